import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OutcomeJournal } from '../../../node-runtime/shell/outcome-journal.ts';
import { LogStore } from '../../../node-runtime/shell/voter/log-store.ts';
import { skip } from '../../support/skip.ts';
import { entriesFrom, entry } from '../../unit/shell/entries.ts';
import { endAll, later, meshError, scratch, spawnScript, until } from './support.ts';

function lastNumber(lines: readonly string[]): number {
  return Number(lines.findLast((line) => /^\d+$/.test(line)) ?? 0);
}

/** A file system of its own, so small that it fills up. */
async function makeSmallDisk(context: Mocha.Context, kibibytes: number): Promise<string> {
  const directory = await scratch();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', directory], { stdio: 'pipe' });
  } catch (error) {
    skip(context, `no small file system can be mounted here: ${(error as Error).message.split('\n').at(-2)}`);
  }
  later(() => execFileSync('umount', ['-l', directory]));
  return directory;
}

describe('what a killed runtime had acknowledged', () => {
  afterEach(endAll);

  it('is in the log when it is opened again, three times over, compactions between', async () => {
    const directory = join(await scratch(), 'log');
    let acknowledged = 0;
    for (let round = 0; round < 3; round += 1) {
      const child = spawnScript('persist-process.ts', 'log', directory, '0', '200');
      await until('a good deal is acknowledged', () => lastNumber(child.lines) > acknowledged + 150);
      await child.kill('SIGKILL');
      assert.ok(Number(child.lines[0]!.split(' ')[1]) >= acknowledged, 'the child found all of it too');
      acknowledged = lastNumber(child.lines);
      const { store, restored, ledger } = await LogStore.open(directory);
      await store.close();
      const last = restored.snapshotIndex + restored.log.length;
      assert.ok(last >= acknowledged, `${acknowledged} were acknowledged, ${last} are there`);
      assert.deepEqual(ledger, { upTo: restored.snapshotIndex });
      assert.deepEqual(restored.log[0], entry(restored.snapshotIndex + 1, 'x'.repeat(200)));
    }
  });

  it('is in the journal of outcomes', async () => {
    const file = join(await scratch(), 'outcomes');
    const child = spawnScript('persist-process.ts', 'outcomes', file, '0', '100');
    await until('a good deal is kept', () => lastNumber(child.lines) > 500);
    await child.kill('SIGKILL');
    const journal = new OutcomeJournal(file);
    journal.close();
    assert.ok(journal.held().length >= lastNumber(child.lines));
  });
});

describe('a full disk', () => {
  afterEach(endAll);

  it('fails the write and all after it; what was acknowledged is there, and it goes on once there is room', async function () {
    const disk = await makeSmallDisk(this, 256);
    const directory = join(disk, 'log');
    const { store } = await LogStore.open(directory);
    await store.persist({ term: 1, votedFor: 'ada' }, []);
    let acknowledged = 0;
    const filling = async () => {
      for (;;) {
        await store.persist(undefined, [entry(acknowledged + 1, 'x'.repeat(5_000))]);
        acknowledged += 1;
      }
    };
    await assert.rejects(filling(), meshError('MESH_STORAGE_FAILED', directory));
    assert.ok(acknowledged > 5);
    const later = [store.persist(undefined, [entry(1)]), store.persist({ term: 2 }, []), store.compact(1, 1, {}, [])];
    for (const each of later) await assert.rejects(each, meshError('MESH_STORAGE_FAILED', 'free space'));
    await store.close();

    // Full as it is, it can be read; the half of an entry that was written was not answered for.
    const full = await LogStore.open(directory).catch(meshError('MESH_STORAGE_FAILED', 'no space left'));
    if (typeof full === 'object') await full.store.close();
    execFileSync('mount', ['-o', 'remount,size=1m', disk]);
    const { store: again, restored } = await LogStore.open(directory);
    assert.equal(restored.log.length, acknowledged);
    await again.persist(undefined, [entry(acknowledged + 1)]);
    await again.close();
  });

  it('in the midst of a compaction loses nothing', async function () {
    const disk = await makeSmallDisk(this, 512);
    const { store } = await LogStore.open(join(disk, 'log'));
    await store.persist({ term: 1 }, entriesFrom(1, 100));
    const { bavail, bsize } = await statfs(disk);
    const compacting = store.compact(90, 1, 'x'.repeat(bavail * bsize), entriesFrom(91, 10));
    await assert.rejects(compacting, meshError('MESH_STORAGE_FAILED'));
    await store.close();
    const { store: again, restored } = await LogStore.open(join(disk, 'log'));
    await again.close();
    assert.equal(restored.log.length, 100);
  });

  it('fails an outcome without hiding those that come after', async function () {
    const disk = await makeSmallDisk(this, 64);
    const file = join(disk, 'outcomes');
    const ballast = join(disk, 'ballast');
    await mkdir(disk, { recursive: true });
    await writeFile(ballast, Buffer.alloc(32_768));
    const journal = new OutcomeJournal(file);
    const usage = { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 };
    const keep = (n: number, bytes: number) =>
      journal.keep({
        type: 'failed',
        attempt: `a/b/c-0#1.${n}`,
        usage,
        fault: 'task',
        code: 'X',
        message: 'x'.repeat(bytes),
      });
    let kept = 0;
    assert.throws(
      () => {
        for (;;) {
          keep(kept + 1, 3_000);
          kept += 1;
        }
      },
      meshError('MESH_STORAGE_FAILED', file),
    );
    await rm(ballast);
    keep(100, 10);
    journal.close();
    const again = new OutcomeJournal(file);
    again.close();
    assert.deepEqual(
      again.held().map(({ attempt }) => attempt.slice(10)),
      [...Array.from({ length: kept }, (_, n) => `${n + 1}`), '100'],
    );
  });
});
