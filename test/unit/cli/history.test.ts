import assert from 'node:assert/strict';
import { runCli } from '@foremesh/node-runtime/cli';
import type { HistoryPage, QueryAsk } from '@foremesh/node-runtime/contract';
import { axisOf, barsOf, columnsOf } from '../../../node-runtime/cli/plot.ts';
import type { FakeIo } from './fake-io.ts';
import { meshOfSuite } from './mesh-of-suite.ts';

/** An hour of samples, a minute apart, in two runs. */
const count = 60;
const ramp = (most: number) => Array.from({ length: count }, (_, n) => (most * n) / (count - 1));
const page: HistoryPage = {
  agesMs: Array.from({ length: count }, (_, n) => (count - n) * 60_000),
  runs: Array.from({ length: count }, (_, n) => (n < 20 ? 4 : 5)),
  values: {
    cpuShare: ramp(1),
    cpuBackgroundShare: ramp(0.5),
    memoryAvailableBytes: Array(count).fill(2e9),
    networkReceivedBytesPerSecond: ramp(8_000),
    networkSentBytesPerSecond: Array(count).fill(0),
    diskFreeBytes: Array(count).fill(12e9),
    diskTotalBytes: Array(count).fill(30e9),
    temperatureCelsius: Array.from({ length: count }, (_, n) => (n < 50 ? null : 48)),
    isThrottled: Array.from({ length: count }, (_, n) => (n === 3 ? 1 : 0)),
  },
  intervalMs: 60_000,
  diskBytesMost: 336_000,
  writtenBytes: 1_234_567,
};

describe('cli: history', () => {
  const { mesh, newIo } = meshOfSuite();
  let io: FakeIo;
  beforeEach(() => {
    io = newIo();
    mesh.asks.length = 0;
    mesh.answer = () => ({ query: 'history', page });
  });
  const run = (...argv: string[]) => runCli(argv, io);
  const asked = () => mesh.asks.map((ask) => ask as QueryAsk & { query: 'history' });

  it('draws what was measured', async () => {
    assert.equal(await run('history', 'pi-3'), 0, io.err);
    const lines = io.text.trimEnd().split('\n');
    assert.equal(lines[0], 'pi-3: the last 1 h, 60 samples, 1 restart');
    assert.deepEqual(
      lines.filter((line) => line.includes('┤')).map((line) => line.replace(/ +/g, ' ').split(' ┤')[0]),
      ['CPU 100 %', 'own work 100 %', 'memory free 2.0 GB', 'received 8.0 kB/s', 'sent 0 B/s', 'temperature 48 °C'],
    );
    assert.match(lines[2]!, /┤ {40,}.*█$/);
    assert.match(lines[3]!, /^last 100 % {15}│ {20,}▁[^ ]+█$/);
    assert.match(io.text, /^ +└┴─+┴─+┴─+┴─+\n +-1 h +-45 min +-30 min +-15 min +now\n/m);
    assert.match(io.text, /\ndisk: 12\.0 GB free of 30\.0 GB\nslowed down by heat or its supply: 1 sample of 60\n/);
    assert.match(io.text, /\nkept on its disk: at most 336 kB; written for it so far: 1\.2 MB\n$/);
    for (const line of lines) assert.ok(line.length <= 100, line);
  });

  it('takes the finest resolution that goes back far enough, or the one that is wanted, and all its pages', async () => {
    for (const [words, resolution, sinceMs] of [
      [[], '5s', 3_600_000],
      [['--since', '30m'], '5s', 1_800_000],
      [['--since', '61m'], '1m', 3_660_000],
      [['--since', '7d'], '5m', 604_800_000],
      [['--resolution', '5m'], '5m', 2_592_000_000],
      [['--resolution', '1m', '--since', '2h'], '1m', 7_200_000],
    ] as const) {
      mesh.asks.length = 0;
      assert.equal(await run('history', 'pi-3', '--json', ...words), 0, io.err);
      const { id: _, ...ask } = asked()[0]!;
      assert.deepEqual(ask, { v: 1, query: 'history', node: 'pi-3', resolution, sinceMs, from: 0 });
    }
    io.out = Buffer.alloc(0);
    mesh.answer = (ask) => {
      const { from } = ask as QueryAsk & { query: 'history' };
      return { query: 'history', page: { ...page, ...(from! < 20 ? { next: from! + 10 } : {}) } };
    };
    assert.equal(await run('history', 'pi-3', '--json'), 0, io.err);
    const [document] = io.documents as [{ samples: { ageMs: number }[] }];
    assert.equal(document.samples.length, 3 * count);
    assert.ok(document.samples[0]!.ageMs >= 3_600_000, 'the pages before have grown older meanwhile');
  });

  it('prints a table for other programs', async () => {
    assert.equal(await run('history', 'pi-3', '--csv'), 0, io.err);
    const [head, first, ...rest] = io.text.trimEnd().split('\n');
    assert.match(head!, /^time,ageMs,run,cpuShare,cpuShareMost,/);
    assert.match(first!, /^\d{4}-\d\d-\d\dT[\d:.]+Z,3600000,4,0,,0,,2000000000,,0,0,12000000000,30000000000,,0$/);
    assert.equal(rest.length, count - 1);
  });

  it('says when there is nothing yet, that the node is away, and what is wrong with the words', async () => {
    mesh.answer = () => ({ query: 'history', page: { ...page, agesMs: [], runs: [], values: {} } });
    assert.equal(await run('history', 'pi-3'), 0);
    assert.match(io.err, /^pi-3 has nothing yet from the last 1 h/);
    const problem = { code: 'MESH_NODE_AWAY', message: 'pi-3 is not connected', mend: 'later' };
    mesh.answer = () => ({ query: 'error', problem });
    assert.equal(await run('history', 'pi-3'), 1);
    assert.match(io.err, /pi-3 is not connected \(MESH_NODE_AWAY\)\n {2}later\n$/);
    mesh.answer = () => ({ query: 'error', problem: { ...problem, code: 'MESH_NODE_UNKNOWN' } });
    assert.equal(await run('history', 'pi-3'), 2);
    assert.equal(await run('history', 'pi-3', '--since', 'long'), 2);
    assert.equal(await run('history', 'pi-3', '--resolution', '2s'), 2);
    assert.equal(await run('history'), 2);
  });
});

describe('plots', () => {
  it('take the mean of each column, and leave gaps', () => {
    const dots = [90, 80, 20, 5, 0].map((ageMs) => ({ ageMs, value: ageMs }));
    assert.deepEqual(columnsOf([...dots, { ageMs: 101, value: 1 }], 100, 4, 5), [85, undefined, undefined, 25 / 3]);
  });

  it('draw eighths of a row, a thin line for nothing, and nothing for a gap', () => {
    assert.deepEqual(barsOf([0, undefined, 0.5, 1, 2, 0.26], 1, 2), ['   ██', '▁ ██ █'.replace('██ █', '███▄')]);
    assert.deepEqual(barsOf([0, 5], 0, 1), ['▁▁']);
  });

  it('say how long ago it was, as far as there is room', () => {
    assert.deepEqual(axisOf(3_600_000, 44)[1], '-1 h       -45 min    -30 min    -15 min now');
    assert.deepEqual(axisOf(3_600_000, 8), ['┴─┴─┴─┴─', '-1 h now']);
    assert.deepEqual(axisOf(60_000, 2)[1], ' now');
    assert.deepEqual(axisOf(60_000, 10)[1], '-1 min now');
  });
});
