import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { runCli } from '@foremesh/node-runtime/cli';
import type { HistoryPage, NodeRow, QueryAsk } from '@foremesh/node-runtime/contract';
import { nodeStatus } from '../core/samples.ts';
import type { FakeIo } from './fake-io.ts';
import { meshOfSuite } from './mesh-of-suite.ts';

/** A wave of 24 values, 5 minutes apart, with a little noise that is always the same. */
const wave = (count: number, middle = 0.5) =>
  Array.from(
    { length: count },
    (_, at) => middle + 0.3 * Math.sin((at * Math.PI) / 12) + 0.02 * Math.sin(at * at * 1.7),
  );
const csv = (values: readonly number[]) =>
  `time,cpu\n${values.map((value, at) => `${1.7e9 + 300 * at},${value.toFixed(4)}\n`).join('')}`;

describe('cli: backtest', function () {
  this.timeout(60_000);
  const { mesh, newIo, path } = meshOfSuite();
  let io: FakeIo;
  before(() => writeFile(path('cpu.csv'), csv(wave(400))));
  beforeEach(() => {
    io = newIo();
  });
  const run = (...argv: string[]) => runCli(['backtest', ...argv], io);

  it('judges every model on the same windows, draws the best, and writes a picture of all', async () => {
    assert.equal(await run('cpu.csv', '--range', '0:1', '--origins', '20', '--svg', path('cpu.svg')), 0, io.err);
    const lines = io.text.split('\n');
    assert.equal(lines[0], 'cpu of cpu.csv: 400 values 5 min apart, 12 steps ahead from 20 origins');
    assert.match(lines[2]!, /^MODEL +MAE +MASE +PB +BY LAST-VALUE +IN BAND +TIME$/);
    assert.match(lines[3]!, / <- best$/);
    assert.match(io.text, /\nlast-value +\S+ +\S+ +\S+ +1 +\d+ % +\S+ ms/);
    const best = lines[3]!.split(' ')[0]!;
    assert.ok(best !== 'last-value' && io.text.includes(`the last forecast of ${best}: `), io.text);
    const svg = await readFile(path('cpu.svg'), 'utf8');
    assert.match(svg, /^<svg /);
    const panels = lines.slice(3, lines.indexOf('', 3)).length;
    assert.equal(svg.match(/<polygon/g)!.length, panels);
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
    assert.match(io.err, new RegExp(`cpu.svg: ${panels} charts`));
  });

  it('says the same as JSON, the best model first', async () => {
    assert.equal(await run('cpu.csv', '--json', '--origins', '10', '--horizon', '6'), 0, io.err);
    const [{ series, horizon, origins, models }] = io.documents as [
      { series: object; horizon: number; origins: number; models: Record<string, number | string>[] },
    ];
    const range = { low: 0, high: 1 };
    assert.deepEqual(series, {
      column: 'cpu',
      values: 400,
      missing: 0,
      averaged: 0,
      outside: 0,
      intervalMs: 300_000,
      range,
    });
    assert.deepEqual([horizon, origins], [6, 10]);
    const losses = models.map(({ pinballLoss }) => pinballLoss as number);
    assert.deepEqual(
      [...losses].sort((a, b) => a - b),
      losses,
    );
    assert.deepEqual(new Set(models.map(({ windows }) => windows)), new Set([10]));
    const plain = models.find(({ model }) => model === 'last-value')!;
    assert.ok(losses[0]! < (plain.pinballLoss as number) / 2 && (plain.mase as number) > 1, JSON.stringify(models));
    assert.equal(io.err, '');
  });

  it('shows on a terminal how far it is, and takes that away', async () => {
    io.stderr.isTTY = true;
    assert.equal(await run('cpu.csv', '--origins', '10', '--model', 'arima', '--json'), 0);
    assert.match(io.err, /\S{24} +\d+ % {2}last-value\n/);
    assert.ok(io.err.endsWith('\u001b[1F\u001b[0J'), JSON.stringify(io.err.slice(-80)));
  });

  it('judges those alone that are named, beside the last value', async () => {
    const rows = async (...argv: string[]) => {
      io.out = Buffer.alloc(0);
      assert.equal(await run('cpu.csv', '--json', '--origins', '5', ...argv), 0, io.err);
      return (io.documents[0]!.models as { model: string }[]).map(({ model }) => model).sort();
    };
    assert.deepEqual(await rows('--model', 'ridge'), ['last-value', 'ridge']);
    assert.deepEqual(await rows('--model', 'arima, climatology', '--model', 'last-value'), [
      'arima',
      'climatology',
      'last-value',
    ]);
  });

  it('says which range it assumes, and why, and nothing where it is given', async () => {
    await writeFile(path('rx.csv'), csv(wave(100)).replace('cpu', 'received'));
    await writeFile(path('percent.csv'), csv(wave(100, 50)));
    await writeFile(path('below.csv'), csv(wave(100, 0)));
    await writeFile(path('hosts.csv'), csv(wave(100)).replace(/^\d.*$/gm, '$&\n$&'));
    const quick = ['--model', 'last-value', '--origins', '5'];
    const cases: [string[], RegExp][] = [
      [['cpu.csv'], /^range 0:1 is assumed by the name "cpu" and its values; --range LOW:HIGH gives another$/m],
      [['percent.csv'], /^range 0:100 is assumed by the name "cpu"/m],
      [['rx.csv'], /^range 0: is assumed, as for a network/m],
      [['below.csv'], /^a range without ends is assumed, since values are below 0/m],
      [['rx.csv', '--range', '0:1'], /^$/],
      [['cpu.csv', '--range', '0:0.5'], /^\d+ values outside of 0:0\.5, where forecasts never go$/m],
      [
        ['hosts.csv'],
        /^200 values share an interval with others, and are averaged; if they are of several machines, leave those of one$/m,
      ],
    ];
    for (const [argv, message] of cases) {
      io.err = '';
      assert.equal(await run(...argv, ...quick), 0, io.err);
      assert.match(io.err, message);
    }
  });

  it('says why a model has no row', async () => {
    await writeFile(path('few.csv'), csv(wave(60)));
    assert.equal(await run('few.csv', '--origins', '5'), 0, io.err);
    const too = '0 windows of 48 values and the 12 that follow before the first origin';
    assert.match(
      io.err,
      new RegExp(`^no row for ridge: too little to train ridge: ${too}; give it a longer series$`, 'm'),
    );
    assert.match(
      io.err,
      new RegExp(`^no row for lstm: ${too}, and a leader trains it from 1,000 on; --model lstm`, 'm'),
    );
    const season = 'too little for seasonal-naive: 30 values before the first origin, and it needs two seasons of 288';
    assert.match(io.err, new RegExp(`^no row for seasonal-naive: ${season}; give it a longer series$`, 'm'));
    assert.doesNotMatch(io.text, /^(ridge|lstm|seasonal-naive)/m);
    io.err = '';
    assert.equal(await run('few.csv', '--origins', '5', '--model', 'arima,ridge'), 0, io.err);
    assert.match(io.text, /^arima/m);
    assert.match(io.err, /^no row for ridge: too little to train ridge/m);
  });

  it('knows before it begins that a picture cannot be written, and loses no table by it', async () => {
    io.stderr.isTTY = true;
    assert.equal(await run('cpu.csv', '--svg', path('no/cpu.svg')), 1);
    assert.match(io.err, /^[^\n]*no\/cpu\.svg: cannot write: no such file or directory/);
    io.err = '';
    await mkdir(path('cpu.svg.d'));
    assert.equal(await run('cpu.csv', '--origins', '2', '--model', 'arima', '--svg', path('cpu.svg.d')), 1);
    assert.match(io.err, /cannot write/);
    assert.match(io.text, /^arima/m);
  });

  it('says large numbers in thousands, millions and so on', async () => {
    await writeFile(path('sent.csv'), csv(wave(100).map((_, at) => 333e6 + (at % 2) * 1e5)));
    assert.equal(await run('sent.csv', '--origins', '2', '--model', 'last-value'), 0, io.err);
    assert.match(io.text, /80 % +33\d(\.\d)? M to 33\d(\.\d)? M /);
  });

  it('draws in the picture what came beside what was expected', async () => {
    const svg = path('last.svg');
    assert.equal(await run('cpu.csv', '--origins', '2', '--json', '--svg', svg), 0, io.err);
    assert.equal(io.documents[0]!.svg, svg);
    const [first] = /<g .*?<\/g>/s.exec(await readFile(svg, 'utf8'))!;
    const xs = (points: string) => points.split(' ').map((point) => Number(point.split(',')[0]));
    const band = xs(/<polygon points="([^"]*)"/.exec(first)![1]!);
    const lines = [...first.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) => xs(points!));
    const actual = lines.at(-1)!;
    assert.equal(actual.length, 4 * 12 + 12, 'four horizons before the origin, and what came');
    assert.ok(Math.max(...actual) > Math.min(...band) && Math.min(...actual) < Math.min(...band));
  });

  it('takes values below zero, gaps, and series in which nothing happens', async () => {
    await writeFile(path('cold.csv'), csv(wave(200, -5)).replace(/^(\d+),(-4\.9\d+)$/gm, '$1,'));
    await writeFile(path('flat.csv'), csv(Array(100).fill(3)));
    for (const file of ['cold.csv', 'flat.csv']) {
      assert.equal(await run(file, '--origins', '5'), 0, io.err);
      assert.doesNotMatch(io.text, /NaN|Infinity|undefined/);
    }
    assert.match(io.text, /cold\.csv: .* from 5 origins; \d+ are missing\n/);
  });

  it('asks a node for its history, and takes the ranges that a leader takes', async () => {
    const values = wave(120);
    const page: HistoryPage = {
      agesMs: values.map((_, at) => (values.length - at) * 60_000),
      runs: values.map(() => 1),
      values: {
        memoryAvailableBytes: values.map((value) => value * 1e9),
        networkSentBytesPerSecond: values,
        cpuBackgroundShare: values,
      },
      intervalMs: 60_000,
      diskBytesMost: 1,
      writtenBytes: 1,
    };
    const row = {
      status: nodeStatus('pi-3', { memoryBytes: 4e9 }),
      running: 0,
      tasksDone: 0,
      silentMs: 10,
      leads: false,
    };
    let nodes: NodeRow[] = [row];
    mesh.answer = (ask) =>
      ask.query === 'nodes' ? { query: 'nodes', nodes, truncated: 0 } : { query: 'history', page };
    const rangeOf = async (metric: string) => {
      io.out = Buffer.alloc(0);
      const argv = ['--metric', metric, '--origins', '5', '--model', 'last-value', '--json'];
      assert.equal(await run('pi-3', ...argv), 0, io.err);
      return (io.documents[0]!.series as { range: object }).range;
    };
    assert.equal(await run('pi-3', '--metric', 'memoryAvailableBytes', '--origins', '5'), 0, io.err);
    assert.match(io.text, /^memoryAvailableBytes of pi-3: 120 values 1 min apart, 12 steps ahead from 5 origins\n/);
    assert.doesNotMatch(io.err, /is assumed/);
    const ask = mesh.asks.find(({ query }) => query === 'history') as QueryAsk & { query: 'history' };
    assert.deepEqual([ask.node, ask.resolution], ['pi-3', '1m']);
    assert.deepEqual(await rangeOf('memoryAvailableBytes'), { low: 0, high: 4e9 });
    assert.deepEqual(await rangeOf('networkSentBytesPerSecond'), { low: 0, high: null });
    assert.deepEqual(await rangeOf('cpuBackgroundShare'), { low: 0, high: 1 });
    nodes = [];
    assert.equal(await run('pi-3', '--metric', 'memoryAvailableBytes', '--model', 'last-value'), 0, io.err);
    assert.match(io.err, /^range 0: is assumed, since the leader does not say how much memory the node has/m);
    io.err = '';
    assert.equal(await run('pi-3', '--metric', 'temperatureCelsius'), 2);
    assert.match(io.err, /all of its 120 values are missing/);
    const young = (count: number) => {
      page.agesMs = page.agesMs.slice(0, count);
      page.runs = page.runs.slice(0, count);
    };
    young(8);
    for (const [argv, mend] of [
      [
        [],
        /pi-3: 8 values, too few for 12 steps ahead.*\n {2}24 are enough: --resolution 5s has more.*, or a lower --horizon/,
      ],
      [['--resolution', '5s'], /\n {2}24 are enough: ask later, or a lower --horizon/],
    ] as const) {
      io.err = '';
      assert.equal(await run('pi-3', ...argv), 2);
      assert.match(io.err, mend);
    }
    // A directory has no values: it hides no node.
    await mkdir(path('pi-3'));
    io.err = '';
    assert.equal(await run('pi-3'), 2);
    assert.match(io.err, /8 values, too few/);
    young(0);
    io.err = '';
    assert.equal(await run('pi-3'), 2);
    assert.match(io.err, /nothing has been measured yet.*\n {2}--resolution 5s has more/);
  });

  it('refuses what it cannot read, and says what would be right', async () => {
    await writeFile(path('word.csv'), '1\n2\nthree\n');
    await writeFile(path('short.csv'), '1\n2\n3\n');
    const gaps = 'NaN\n'.repeat(50);
    await writeFile(path('few.csv'), csv(wave(60)));
    await writeFile(path('gone.csv'), `${gaps}${gaps}`);
    await writeFile(path('late.csv'), `${gaps}NaN\n${'1\n'.repeat(50)}`);
    await writeFile(path('early.csv'), `${'1\n'.repeat(40)}${gaps}`);
    await writeFile(path('gap.csv'), `${'1\n'.repeat(88)}${'NaN\n'.repeat(12)}`);
    await writeFile(path('warm.csv'), `${'40\n48\n'.repeat(50)}`);
    const refusals: [string[], RegExp][] = [
      [['word.csv'], /word\.csv:3: "three" is no number .*MESH_SERIES_INVALID\)\n {2}write 0\.25/],
      [
        ['short.csv'],
        /short\.csv: 3 values, too few for 12 steps ahead .*\n {2}24 are enough: give it a longer series, or a lower --horizon/,
      ],
      [['nothing.csv'], /nothing\.csv: there is no such file .*\n {2}name a CSV file, or a node/],
      [['.'], /it cannot be read.*\n {2}name a CSV file, or a node/],
      [[''], /^[^:]*it is not said what to look at.*\n {2}name a CSV file, or a node/],
      [['cpu.csv', '--metric', 'cpuShare'], /--metric is for a node, and cpu\.csv is a file.*\n {2}leave --metric out/],
      [['cpu.csv', '--resolution', '1m'], /--resolution is for a node, and cpu\.csv is a file/],
      [['pi-3', '--column', 'cpu'], /--column is for a file, and pi-3 is a node/],
      [
        ['cpu.csv', '--model', 'lstn'],
        /no model "lstn".*\n {2}did you mean lstm\? there are: last-value, .*ridge, lstm$/m,
      ],
      [['cpu.csv', '--model', ''], /no model "".*\n {2}there are: last-value/],
      [['few.csv', '--model', 'ridge'], /too little to train ridge: 0 windows of 48 values and the 12 that follow/],
      [['gone.csv'], /all of its 100 values are missing/],
      [['late.csv'], /all values before the first origin are missing/],
      [['early.csv'], /all values that are to be forecast are missing/],
      [['gap.csv', '--origins', '1'], /all values that are to be forecast are missing/],
      [['warm.csv', '--range', '0:1'], /all of its values lie outside of --range 0:1.*\n {2}they are from 40 to 48/],
      [['cpu.csv', '--interval', '0s'], /it is 1ms or more/],
      [['cpu.csv', '--column', 'disk'], /cpu\.csv:1: there is no column "disk".*\n {2}there are: time, cpu/],
      [['cpu.csv', '--range', '1:0'], /it looks like 0:1/],
      [['cpu.csv', '--horizon', '0'], /a whole number from 1 to 1000/],
      [['cpu.csv', '--interval', 'soon'], /it looks like 30s/],
    ];
    for (const [argv, message] of refusals) {
      io.err = '';
      assert.equal(await run(...argv), 2, argv.join(' '));
      assert.match(io.err, message);
    }
  });
});
