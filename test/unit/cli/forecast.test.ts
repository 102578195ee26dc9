import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { runCli } from '@foremesh/node-runtime/cli';
import type { HistoryPage, NodeForecast, NodeRow, QueryAsk } from '@foremesh/node-runtime/contract';
import { nodeStatus } from '../core/samples.ts';
import type { FakeIo } from './fake-io.ts';
import { meshOfSuite } from './mesh-of-suite.ts';

const minuteMs = 60_000;
const steps = 30;
const of = (value: (step: number) => number) => Array.from({ length: steps }, (_, step) => value(step));

/** Free now; in a quarter of an hour its own work begins. */
const busySoon = {
  q10: of((step) => (step < 15 ? 0.7 : 0)),
  q50: of((step) => (step < 15 ? 0.8 : 0.1)),
  q90: of((step) => (step < 15 ? 0.9 : 0.5)),
};
const flat = (value: number) => ({ q10: of(() => value), q50: of(() => value), q90: of(() => value) });

/** The leader's clock is another than ours. */
const leaderMs = 1_000_000_000;

const why = {
  ...{
    model: 'seasonal-naive',
    weight: 0.416,
    score: 0.00237,
    engineScore: 0.0021,
    lastValueScore: 0.0254,
    evidence: 87,
  },
  text: 'seasonal-naive 42 %, last-value 30 %',
};
const forecast: NodeForecast = {
  ...{ v: 1, node: 'pi-3', leader: 'ada', term: 3, originWallMs: leaderMs - 20_000, intervalMs: minuteMs, steps },
  ...{ cores: 4, memoryBytes: 4e9, share: 0.9, offeredMemoryBytes: 2e9, observedSteps: 90 },
  resources: [
    { resource: 'cpu', own: flat(0.1), available: busySoon, why },
    { resource: 'memory', own: flat(2e9), available: flat(1.5e9), why: { model: 'last-value', weight: 0.2 } },
    {
      ...{ resource: 'network-in', own: flat(4_000) },
      why: { model: 'last-value', score: 1234, lastValueScore: 1234, evidence: 1 },
    },
    { resource: 'network-out', own: flat(0) },
  ],
};

const page: HistoryPage = {
  agesMs: Array.from({ length: 60 }, (_, n) => (60 - n) * minuteMs),
  runs: Array(60).fill(1),
  values: {
    cpuBackgroundShare: Array.from({ length: 60 }, (_, n) => (n < 30 ? 1 : 0)),
    memoryAvailableBytes: Array(60).fill(1e9),
    memoryMeshBytes: Array(60).fill(0),
    networkReceivedBytesPerSecond: Array(60).fill(8_000),
    networkSentBytesPerSecond: Array(60).fill(0),
  },
  ...{ intervalMs: minuteMs, diskBytesMost: 1, writtenBytes: 1 },
};

function row(node: string, change: Partial<NodeRow> = {}): NodeRow {
  return { status: nodeStatus(node), running: 0, tasksDone: 0, silentMs: 10, leads: false, ...change };
}

describe('cli: forecast', () => {
  const { mesh, newIo, path } = meshOfSuite();
  let io: FakeIo;
  let history: HistoryPage | undefined;
  let rows: NodeRow[];
  before(() => mesh.publish(mesh.topics.forecast('pi-3'), forecast, true));
  beforeEach(() => {
    io = newIo();
    history = page;
    rows = ['pi-3', 'pi-5', 'pi-6', 'pi-44'].map((node) => row(node));
    mesh.answer = (ask: QueryAsk) => {
      if (ask.query === 'nodes') return { query: 'nodes', nodes: rows, truncated: 0 };
      if (ask.query === 'history')
        return history === undefined
          ? { query: 'error', problem: { code: 'MESH_NODE_AWAY', message: 'pi-3 is not connected' } }
          : { query: 'history', page: history };
      const settings = { count: 'auto' as const, settleMs: 1, replaceAfterMs: 1 };
      return { query: 'voters', term: 3, wallMs: leaderMs, voters: [], settings, candidates: [] };
    };
  });
  const run = (...argv: string[]) => runCli(['forecast', ...argv], io);

  it('draws the past and the bands of the future, dated by the clock of the leader', async () => {
    assert.equal(await run('pi-3'), 0, io.err);
    const lines = io.text.trimEnd().split('\n');
    assert.equal(lines[0], 'pi-3: as ada foresaw it 20 s ago, from 1 h 30 min of its past');
    assert.deepEqual(
      lines.filter((line) => line.includes('┤')).map((line) => line.replace(/ +/g, ' ').split(' ┤')[0]),
      ['CPU for the mesh 90 %', 'memory for the mesh 2.0 GB', 'received 8.0 kB/s', 'sent 0 B/s'],
    );
    const [top, second, third, bottom] = lines.slice(2, 6).map((line) => line.slice(line.search('[┤│]') + 1));
    // Half an hour busy, half an hour free; then nearly sure, even, and once in ten, and at last all but gone.
    assert.match(top!, /^ +█+│▓+$/);
    assert.match(second!, /^ +█+│█+$/);
    assert.match(third!, /^ +█+│█+░+$/);
    assert.match(bottom!, /^▁+█+│█+░+$/);
    assert.match(io.text, /\nin 29 min 40 s +10 % │/);
    assert.match(io.text, /\n {2}80 % +0 % to 50 % │/);
    assert.match(io.text, /\nby seasonal-naive +│/);
    assert.match(io.text, /\nweight 42 %, scored 0\.24 %; all models 0\.21 %, last-value 2\.5 %; 87 values\n/);
    assert.match(io.text, /\nweight 20 %, not scored yet\n/);
    assert.match(io.text, /\nscored 1\.2 kB\/s; last-value 1\.2 kB\/s; 1 value\n/);
    assert.match(io.text, /\nscored: mean pinball loss/);
    assert.match(io.text, /└┴─+┴─+┴─+┴─+┴─+\n +-1 h .* now +in 29 min 40 s\n/);
    for (const line of lines) assert.ok(line.length <= 100, line);
  });

  it('keeps labels apart and within the terminal, on a young node and beside large numbers', async () => {
    const wide = { ...forecast.resources[1]!, own: flat(12.6e9), available: flat(12.6e9) };
    const resources = [forecast.resources[0]!, wide];
    await mesh.publish(
      mesh.topics.forecast('pi-6'),
      { ...forecast, node: 'pi-6', offeredMemoryBytes: 12.6e9, resources },
      true,
    );
    history = {
      ...page,
      agesMs: [minuteMs],
      runs: [1],
      values: { cpuBackgroundShare: [1], memoryAvailableBytes: [20e9] },
    };
    io.stdout.columns = 80;
    assert.equal(await run('pi-6'), 0, io.err);
    assert.match(io.text, /^memory for the mesh 12\.6 GB ┤/m);
    assert.match(io.text, /\n +now +in 29 min 40 s\n/);
    for (const line of io.text.trimEnd().split('\n').slice(1)) assert.ok(line.length <= 80, line);
  });

  it('says what the owner will change, and what has been changed since it was made', async () => {
    const withheld = { reason: 'hours', text: 'only 08:00-18:00' } as const;
    const ahead = [
      { afterMs: 10_000, slots: 0, withheld },
      { afterMs: 12 * minuteMs + 20_000, slots: 2 },
    ];
    await mesh.publish(mesh.topics.forecast('pi-5'), { ...forecast, node: 'pi-5', ahead }, true);
    assert.equal(await run('pi-5', '--resource', 'cpu'), 0, io.err);
    assert.match(io.text, /^pi-5: .* past; now: only 08:00-18:00; in 12 min: takes work\n/);
  });

  it('says how likely the node leaves from now on, where that is known, as text and in the picture', async () => {
    // As likely in each minute: of those that are there after the first ones, fewer leave in the rest.
    const left = of((step) => 1 - 0.9 ** (step + 1));
    const made = { node: 'pi-6', originWallMs: leaderMs - 27 * minuteMs - 20_000 };
    await mesh.publish(mesh.topics.forecast('pi-6'), { ...forecast, ...made, left }, true);
    const file = path('pi-6.svg');
    assert.equal(await run('pi-6'), 0, io.err);
    assert.match(io.text, /^pi-6: .* past\nleaves within 2 min 40 s: 27 %\n\n/);
    assert.equal(await run('pi-6', '--svg', file), 0, io.err);
    assert.match(await readFile(file, 'utf8'), />leaves within 2 min 40 s: 27 %<\/text>/);
    const isOver = { ...made, originWallMs: leaderMs - 31 * minuteMs };
    await mesh.publish(mesh.topics.forecast('pi-6'), { ...forecast, ...isOver, left }, true);
    assert.equal(await run('pi-6', '--svg', file), 0, io.err);
    assert.doesNotMatch(await readFile(file, 'utf8'), /leaves/);
  });

  it('says first of one that is away for how long, and not how likely it leaves', async () => {
    const left = of((step) => step / 100);
    await mesh.publish(mesh.topics.forecast('pi-7'), { ...forecast, node: 'pi-7', left }, true);
    const away = row('pi-7', { silentMs: 7 * minuteMs, status: nodeStatus('pi-7', { online: false }) });
    // A leader that began after it had gone does not know it: then it is away since its forecast, at most.
    for (const [known, said, awayMs] of [
      [[away], '7 min', 7 * minuteMs],
      [[], '20 s at most', 20_000],
    ] as const) {
      rows = [row('pi-3'), ...known];
      io = newIo();
      assert.equal(await run('pi-7'), 0, io.err);
      assert.match(io.text, new RegExp(`^pi-7: away for ${said}; as ada foresaw it 20 s ago, .*\\n\\n`));
      assert.doesNotMatch(io.text, /leaves/);
      io = newIo();
      assert.equal(await run('pi-7', '--json'), 0, io.err);
      const [document] = io.documents as [NodeForecast & { awayMs: number }];
      assert.deepEqual([document.left, document.awayMs], [undefined, awayMs]);
    }
    mesh.answer = ((answer) => (ask: QueryAsk) => {
      const all = answer!(ask);
      return all?.query === 'nodes' ? { ...all, truncated: 2 } : all;
    })(mesh.answer);
    io = newIo();
    assert.equal(await run('pi-7'), 0, io.err);
    assert.match(io.text, /^pi-7: as ada .*\nleaves within/, 'it may be one of those that were not told');
  });

  it('prints one resource alone, as JSON and as a picture', async () => {
    assert.equal(await run('pi-3', '--resource', 'cpu', '--json'), 0, io.err);
    const [document] = io.documents as [NodeForecast & { ageMs: number }];
    assert.deepEqual(document, { ...forecast, ageMs: 20_000, resources: [forecast.resources[0]] });
    const file = path('pi-3.svg');
    assert.equal(await run('pi-3', '--resource', 'memory', '--svg', file), 0, io.err);
    const svg = await readFile(file, 'utf8');
    assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" [^>]+>\n/);
    assert.match(svg, /memory for the mesh/);
    assert.match(svg, />weight 20 %, not scored yet</);
    assert.equal(svg.match(/<polygon /g)!.length, 1);
    assert.doesNotMatch(svg, /NaN|Infinity|undefined|CPU/);
    assert.equal(svg.match(/<g /g)!.length, svg.match(/<\/g>/g)!.length);
    assert.equal(await run('pi-3', '--svg', path('nowhere', 'pi-3.svg')), 1);
    assert.match(io.err, /nowhere.*MESH_STORAGE_FAILED/);
  });

  it('does without the past when the node cannot tell it, and says so', async () => {
    history = undefined;
    assert.equal(await run('pi-3'), 0, io.err);
    assert.match(io.err, /^its past hour is not shown: pi-3 is not connected/);
    assert.match(io.text, /│█+░+\n/);
  });

  it('is said to be to come in the list of nodes, while the past of some is learned', async () => {
    const early = (dueMs: number) => ({ heardMs: 9_000, dueMs, past: { learnedSteps: 10, steps: 4_320 } });
    const away = { status: nodeStatus('pi-9', { online: false }), unforeseen: early(900_000) };
    rows = [row('pi-1'), row('pi-2', { unforeseen: { heardMs: 1, dueMs: 1 } }), row('pi-9', away)];
    assert.equal(await runCli(['nodes'], io), 0, io.err);
    assert.doesNotMatch(io.text, /learned/);
    rows.push(row('pi-3', { unforeseen: early(8_000) }), row('pi-4', { unforeseen: early(65_000) }));
    assert.equal(await runCli(['nodes'], io), 0, io.err);
    assert.match(io.text, /\nthe past of 2 nodes is being learned: forecasts of all in 1 min 5 s or so\n$/);
    io = newIo();
    assert.equal(await runCli(['nodes', '--json'], io), 0, io.err);
    const [{ nodes }] = io.documents as [{ nodes: NodeRow[] }];
    assert.deepEqual(nodes[3]!.unforeseen, early(8_000));
  });

  it('says that there is no such node, that it is too early, that it is away', async () => {
    assert.equal(await run('pi-4'), 2);
    assert.match(io.err, /no node "pi-4" \(MESH_NODE_UNKNOWN\)\n {2}did you mean "pi-3"\? `foremesh nodes` lists/);
    io.err = '';
    rows = [row('pi-44', { unforeseen: { heardMs: 35_000, dueMs: 20_000 } })];
    assert.equal(await run('pi-44'), 1);
    assert.match(
      io.err,
      /of pi-44 yet: the leader has heard of it for 35 s \(MESH_FORECAST_EARLY\)\n {2}ask again in 30 s/,
    );
    for (const [past, said] of [
      [
        { learnedSteps: 0, steps: 0 },
        /yet: the leader waits for what it remembers of its past \(.*\n {2}ask again in 21 s$/m,
      ],
      [
        { learnedSteps: 1_200, steps: 4_320 },
        /yet: the leader learns its past, and knows 1,200 of 4,320 steps \(.*\n {2}ask again in 21 s$/m,
      ],
    ] as const) {
      io.err = '';
      rows = [row('pi-44', { unforeseen: { heardMs: 35_000, dueMs: 20_000, past } })];
      assert.equal(await run('pi-44'), 1);
      assert.match(io.err, said);
    }
    io.err = '';
    rows = [row('pi-44', { status: nodeStatus('pi-44', { online: false }) })];
    assert.equal(await run('pi-44'), 1);
    assert.match(io.err, /pi-44 is away.*MESH_NODE_AWAY/);
    assert.equal(await run('pi-3', '--resource', 'disk'), 2);
    assert.equal(await run(), 2);
  });
});
