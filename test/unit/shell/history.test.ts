import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { historyPage, limits } from '../../../node-runtime/contract/index.ts';
import { agesOf } from '../../../node-runtime/shell/history/ages.ts';
import { History } from '../../../node-runtime/shell/history/history.ts';
import { type HistoryRecord, rounded } from '../../../node-runtime/shell/history/record.ts';
import type { Sample } from '../../../node-runtime/shell/sampler.ts';
import { skip } from '../../support/skip.ts';
import { endAll, scratch } from './scratch.ts';

const sample = (atMs: number, more: Partial<Sample> = {}): Sample => ({
  atMs,
  cpuShare: 0.5,
  cpuBackgroundShare: 0.25,
  memoryAvailableBytes: 2_890_104_832,
  memoryMeshBytes: 61_865_984,
  networkReceivedBytesPerSecond: 5_120.5,
  networkSentBytesPerSecond: 0,
  ...more,
});
const near = (found: number | null | undefined, expected: number) =>
  assert.ok(Math.abs(found! - expected) <= Math.abs(expected) / 1_000, `${found} is not ${expected}`);

describe('History', () => {
  let directory: string;
  let problems: string[];
  beforeEach(async () => {
    directory = join(await scratch(), 'node', 'history');
    problems = [];
  });
  afterEach(endAll);
  const open = () =>
    History.open({ directory, sampleIntervalMs: 5_000, onProblem: (text) => void problems.push(text) });

  it('gives what was measured, the mean and the highest CPU of a minute, and nothing for what was not told', async () => {
    const history = await open();
    for (let n = 1; n <= 12; n += 1) {
      const hot = n === 7 ? { cpuShare: 0.9, cpuBackgroundShare: 0.6, isThrottled: true } : { isThrottled: false };
      history.add(sample(n * 5_000, { temperatureCelsius: 40 + n, diskFreeBytes: 1e9, ...hot }), 1.7e12 + n * 5_000);
    }
    const now = () => ({ atMs: 61_000, wallMs: 0 });
    const fine = (await history.page({ resolution: '5s' }, now))!;
    assert.deepEqual(historyPage.parse(fine), fine);
    assert.deepEqual(
      fine.agesMs,
      Array.from({ length: 12 }, (_, n) => 56_000 - n * 5_000),
    );
    assert.deepEqual(fine.runs, Array(12).fill(1));
    const { values } = fine;
    for (const [metric, expected] of Object.entries(sample(0)))
      if (metric !== 'atMs') near(values[metric as 'cpuShare']![0], expected);
    near(values.temperatureCelsius![0], 41);
    assert.deepEqual(values.isThrottled!.slice(5, 8), [0, 1, 0]);
    assert.deepEqual(values.diskTotalBytes, Array(12).fill(null));

    const { values: minute, intervalMs } = (await history.page({ resolution: '1m' }, now))!;
    assert.equal(intervalMs, 60_000);
    // The sample at 60 s begins the next minute.
    near(minute.cpuShare![0], (10 * 0.5 + 0.9) / 11);
    near(minute.cpuShareMost![0], 0.9);
    near(minute.cpuBackgroundShareMost![0], 0.6);
    near(minute.temperatureCelsius![0], 46);
    assert.deepEqual([minute.isThrottled![0], minute.cpuShare!.length], [1, 1]);
    await history.close();
  });

  it('gives only what was asked for, page by page', async () => {
    const history = await open();
    for (let n = 0; n < 1_500 * 12; n += 1) history.add(sample(n * 5_000), 0);
    const now = () => ({ atMs: 1_500 * 60_000, wallMs: 0 });
    const first = (await history.page({ resolution: '1m', metrics: ['cpuShare'] }, now))!;
    assert.deepEqual(Object.keys(first.values), ['cpuShare']);
    assert.equal(first.agesMs.length, limits.historySamplesPerAnswer);
    const second = (await history.page({ resolution: '1m', from: first.next! }, now))!;
    assert.equal(second.agesMs[0], first.agesMs.at(-1)! - 60_000);
    assert.ok(second.agesMs.length >= 440 && second.next === undefined);
    const since = (await history.page({ resolution: '1m', sinceMs: 600_000 }, now))!;
    assert.equal(since.agesMs.length, 9);
    assert.deepEqual((await history.page({ resolution: '1m', from: 1e9 }, now))!.agesMs, []);
    await history.close();
  });

  it('writes once a minute, counts what it writes, and never takes more room than it says', async () => {
    const history = await open();
    const page = async () => (await history.page({ resolution: '5s' }, () => ({ atMs: 0, wallMs: 0 })))!;
    const writtenAfter: number[] = [];
    for (let n = 1; n <= 36; n += 1) {
      history.add(sample(n * 5_000), 0);
      writtenAfter.push((await page()).writtenBytes);
    }
    assert.deepEqual([...new Set(writtenAfter)].length, 4, 'three writes in three minutes');
    for (let n = 37; n <= 20_000; n += 1) history.add(sample(n * 5_000), 0);
    const { writtenBytes, diskBytesMost } = await page();
    await history.close();
    const sizes = await Promise.all(
      (await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size),
    );
    const sizeBytes = sizes.reduce((sum, each) => sum + each, 0);
    assert.ok(sizeBytes <= diskBytesMost && diskBytesMost < 450_000, `${sizeBytes} of ${diskBytesMost}`);
    assert.ok(writtenBytes > 600_000 && writtenBytes < 800_000, `${writtenBytes} bytes in 28 hours`);
    const again = await open();
    const after = (await again.page({ resolution: '5s' }, () => ({ atMs: 0, wallMs: 0 })))!;
    assert.ok(after.writtenBytes >= writtenBytes, 'the count goes on');
    await again.close();
  });

  it('takes files of another kind for damaged, and works', async () => {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, '5s'), Buffer.alloc(3_000, 'no history'));
    await writeFile(join(directory, '1m'), Buffer.alloc(1_000_000, 7));
    const history = await open();
    assert.deepEqual(
      problems.map((text) => text.replace(/\d+/, 'N')),
      [
        'history: N blocks of 5s cannot be read and are left out',
        'history: N blocks of 1m cannot be read and are left out',
      ],
    );
    history.add(sample(5_000), 0);
    assert.equal((await history.page({ resolution: '5s' }, () => ({ atMs: 5_000, wallMs: 0 })))!.agesMs.length, 1);
    await history.close();
    await rm(directory, { recursive: true });
    await writeFile(directory, 'no folder');
    await assert.rejects(open());
  });

  it('goes on without a disk that is full, says so once, and still has minutes', async function () {
    if (!existsSync('/dev/full')) skip(this, 'this system has no /dev/full');
    await mkdir(directory, { recursive: true });
    await symlink('/dev/full', join(directory, '5s'));
    const history = await open();
    for (let n = 1; n <= 40; n += 1) history.add(sample(n * 5_000), 0);
    const now = () => ({ atMs: 201_000, wallMs: 0 });
    assert.equal((await history.page({ resolution: '1m' }, now))!.agesMs.length, 3);
    assert.deepEqual((await history.page({ resolution: '5s' }, now))!.agesMs, [16_000, 11_000, 6_000, 1_000]);
    await history.close();
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0]!, /^history is not written: ENOSPC/);
  });

  it('answers so many at once, and not more', async () => {
    const history = await open();
    const asked = Array.from({ length: limits.historyRequestsHeld + 1 }, () =>
      history.page({ resolution: '5m' }, () => ({ atMs: 0, wallMs: 0 })),
    );
    const pages = await Promise.all(asked);
    assert.deepEqual(
      [pages.at(-1), pages.filter((page) => page !== undefined).length],
      [undefined, limits.historyRequestsHeld],
    );
    assert.ok(await history.page({ resolution: '5m' }, () => ({ atMs: 0, wallMs: 0 })));
    await history.close();
  });
});

describe('a record of the history', () => {
  it('keeps numbers to a thousandth, and their order', () => {
    const kept = (value: number) =>
      rounded({ run: 1, atMs: 0, wallMs: 0, samples: 1, values: { diskFreeBytes: value } }).values.diskFreeBytes!;
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 2 ** 60, noNaN: true }),
        fc.double({ min: 0, max: 2 ** 60, noNaN: true }),
        (a, b) => {
          assert.ok(Math.abs(kept(a) - a) <= Math.max(0.5, a / 2_000), `${a}: ${kept(a)}`);
          if (a <= b) assert.ok(kept(a) <= kept(b), `${a} ${b}`);
          assert.equal(kept(kept(a)), kept(a));
        },
      ),
      { numRuns: 2_000 },
    );
    for (let whole = 0; whole < 2_048; whole += 1) assert.equal(kept(whole), whole);
    assert.equal(kept(Number.NaN), undefined);
  });
});

describe('ages of records', () => {
  const record = (run: number, atMs: number, wallMs: number): HistoryRecord => ({
    run,
    atMs,
    wallMs,
    samples: 1,
    values: {},
  });

  it('within a run are told by its own clock, whatever the wall clock did', () => {
    const records = [record(3, 1_000, 5e12), record(3, 2_000, 0), record(3, 3_000, 9e12)];
    assert.deepEqual(agesOf(records, { run: 3, atMs: 10_000, wallMs: 1 }), [9_000, 8_000, 7_000]);
  });

  it('between runs are told by the wall clock, while it is possible', () => {
    const records = [record(1, 100_000, 1_000_000), record(1, 200_000, 1_100_000), record(2, 5_000, 1_400_000)];
    assert.deepEqual(agesOf(records, { run: 2, atMs: 15_000, wallMs: 1_410_000 }), [410_000, 310_000, 10_000]);
    // A Pi that has come up without the time: the run before ended at the latest when this one began.
    assert.deepEqual(agesOf(records, { run: 2, atMs: 15_000, wallMs: 7 }), [115_000, 15_000, 10_000]);
  });
});
