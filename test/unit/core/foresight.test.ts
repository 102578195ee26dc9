import assert from 'node:assert/strict';
import { leavingHazards } from '@foremesh/models';
import { type ForecastResource, type HistoryPage, limits } from '@foremesh/node-runtime/contract';
import { createLedger } from '@foremesh/node-runtime/core';
import { asksOf, bobOf, forecastsOf, GiB, phaseMs, sample, stepMs, Told } from './foreseeing.ts';
import { Leader, nodeStatus } from './samples.ts';

describe('planner: foresight', () => {
  let told: Told;
  let leader: Leader;
  const { tickAt, metricsAt, join, steps } = bobOf(() => leader);

  beforeEach(() => {
    told = new Told();
    leader = new Leader({ nodeSilenceMs: 1e9 }, createLedger(), 1, { createForesight: () => told });
    leader.elect();
  });

  const learned = (kind: ForecastResource) => told.values.get(`bob/${kind}`)?.map((value) => Number(value.toFixed(4)));
  const page = (change: Partial<HistoryPage>): HistoryPage => ({
    ...{ agesMs: [], runs: [], values: {}, intervalMs: stepMs, diskBytesMost: 1, writtenBytes: 1, ...change },
  });

  it('learns the mean of each minute once it is over; one in which nothing was measured as missing', () => {
    join();
    const at = (step: number, part: number) => phaseMs + (step - 1 + part) * stepMs;
    metricsAt(at(1, 0.2), [sample(0, 0.1)]);
    metricsAt(at(1, 0.9), [sample(0.2 * stepMs, 0.3), sample(0, 0.8)]);
    assert.deepEqual(forecastsOf(tickAt(at(1, 1))), [], 'samples of this minute may still come');
    metricsAt(at(3, 0.5), [sample(0, 1)]);
    tickAt(at(3, 0.6));
    assert.deepEqual(learned('cpu'), [0.4, Number.NaN]);
    assert.deepEqual(learned('memory'), [0.25, Number.NaN]);
    assert.deepEqual(learned('network-in'), [1_000, Number.NaN]);
    assert.deepEqual(learned('network-out'), [10, Number.NaN]);
  });

  it('takes the tasks of the mesh off the memory in use', () => {
    join();
    const busy = { memoryAvailableBytes: 0.25 * GiB, memoryMeshBytes: 0.5 * GiB };
    metricsAt(phaseMs + 0.5 * stepMs, [sample(0, 0, busy)]);
    metricsAt(phaseMs + 1.5 * stepMs, [sample(0, 0)]);
    tickAt(leader.nowMs);
    assert.deepEqual(learned('memory'), [0.25]);
  });

  it('counts a batch once that comes twice, puts one where its ages say, and leaves out what comes too late', () => {
    join();
    const at = (step: number, part: number) => phaseMs + (step - 1 + part) * stepMs;
    metricsAt(at(1, 0.5), [sample(0, 0.2)], { seq: 1 });
    metricsAt(at(1, 0.6), [sample(0.1 * stepMs, 0.2)], { seq: 1 });
    metricsAt(at(2, 0.1), [sample(0, 0.6)], { seq: 3 });
    metricsAt(at(2, 0.2), [sample(0.6 * stepMs, 0.8)], { seq: 2 });
    metricsAt(at(3, 0.1), [sample(0, 0)], { seq: 4 });
    tickAt(leader.nowMs);
    assert.deepEqual(learned('cpu'), [0.5, 0.6]);
    metricsAt(at(3, 0.2), [sample(2 * stepMs, 1)], { seq: 5 });
    metricsAt(at(4, 0.2), [sample(0, 0)], { seq: 6 });
    tickAt(leader.nowMs);
    assert.deepEqual(learned('cpu'), [0.5, 0.6, 0], 'a minute that was learned is over');
    // Another boot counts its batches from the beginning.
    leader.join('bob', { bootId: 'bob-2' });
    metricsAt(at(5, 0.2), [sample(0.5 * stepMs, 0.4), sample(0, 0)], { seq: 1, bootId: 'bob-2' });
    tickAt(leader.nowMs);
    assert.deepEqual(learned('cpu'), [0.5, 0.6, 0, 0.2]);
  });

  const none = ({ request, node }: ReturnType<typeof asksOf>[number]) =>
    leader.report(node, [{ type: 'history', request, page: page({}) }]);

  it("begins with the node's own history, all pages of it, and goes on with what is heard", () => {
    leader.join('bob');
    const answerMs = phaseMs + stepMs - 1;
    const [ask] = asksOf(tickAt(answerMs - 2_000));
    assert.equal(ask!.resolution, '1m');
    assert.equal(ask!.sinceMs, limits.forecastHistorySteps * stepMs);
    metricsAt(answerMs - 1_000, [sample(0, 0.5)]);
    metricsAt(answerMs, [sample(0, 0.7)]);
    tickAt(answerMs);
    assert.equal(learned('cpu'), undefined, 'it waits for what was before');
    const values = (cpu: (number | null)[]) => ({
      cpuBackgroundShare: cpu,
      memoryAvailableBytes: cpu.map(() => GiB),
      memoryMeshBytes: cpu.map(() => 0),
    });
    const answer = (change: Partial<HistoryPage>) =>
      leader.report('bob', [{ type: 'history', request: ask!.request, page: page(change) }]);
    const [more] = asksOf(answer({ agesMs: [5, 4].map((each) => each * stepMs), values: values([0.1, 0.2]), next: 7 }));
    assert.equal(more!.from, 7);
    const [older] = asksOf(answer({ agesMs: [2.4 * stepMs], intervalMs: 1.2 * stepMs, values: values([0.4]) }));
    assert.equal(older!.resolution, '5m');
    none(older!);
    metricsAt(answerMs + 0.1 * stepMs, [sample(0, 0)]);
    assert.equal(forecastsOf(tickAt(leader.nowMs)).length, 1);
    // The mean that lies over two steps counts in both.
    assert.deepEqual(learned('cpu'), [0.1, 0.2, 0.4, 0.4, Number.NaN, 0.6]);
    const unknown = Array(5).fill(Number.NaN);
    assert.deepEqual(learned('network-in'), [...unknown, 1_000]);
  });

  it('takes what is older from the means of five minutes, each for the step in its middle', () => {
    leader.join('bob');
    const nowMs = phaseMs + 0.4 * stepMs;
    const [ask] = asksOf(tickAt(nowMs));
    metricsAt(nowMs, [sample(0, 0.9)]);
    const told = (ages: number[], cpu: number[], change: Partial<HistoryPage> = {}) =>
      page({ agesMs: ages.map((age) => (age + 0.45) * stepMs), values: { cpuBackgroundShare: cpu }, ...change });
    const fine = told([2, 1, 0], [0.1, 0.2, 0.3], { intervalMs: 0.9 * stepMs });
    const [older] = asksOf(leader.report('bob', [{ type: 'history', request: ask!.request, page: fine }]));
    assert.deepEqual([older!.resolution, older!.sinceMs], ['5m', limits.forecastDistantMeans * 5 * stepMs]);
    const first = told([10], [0.6], { intervalMs: 5 * stepMs, next: 3 });
    const [more] = asksOf(leader.report('bob', [{ type: 'history', request: older!.request, page: first }]));
    assert.deepEqual([more!.resolution, more!.sinceMs, more!.from], ['5m', older!.sinceMs, 3]);
    const second = told([5, 0], [0.7, 0.8], { intervalMs: 5 * stepMs });
    leader.report('bob', [{ type: 'history', request: more!.request, page: second }]);
    metricsAt(phaseMs + 1.1 * stepMs, [sample(0, 0)]);
    tickAt(leader.nowMs);
    const no = Number.NaN;
    assert.deepEqual(learned('cpu'), [0.6, no, no, no, no, 0.7, no, no, no, no, 0.1, 0.2, 0.3, 0.9]);
  });

  it('recalls what lies before the steps that it learns, for the seasons, up to them and no more of it than a month', () => {
    leader.join('bob');
    for (let each = 1; each < 1_000; each += 1) leader.join(`n${each}`);
    const reach = limits.forecastHistoryStepsOfAll / 1_000;
    const nowMs = phaseMs;
    const ask = asksOf(tickAt(nowMs)).find(({ node }) => node === 'bob')!;
    metricsAt(nowMs + 0.5 * stepMs, [sample(0, 0.9)]);
    const fine = page({ agesMs: [(reach - 3) * stepMs], values: { cpuBackgroundShare: [0.3] } });
    const [older] = asksOf(leader.report('bob', [{ type: 'history', request: ask.request, page: fine }]));
    assert.equal(older!.sinceMs, (limits.forecastDistantMeansOfAll / 1_000) * 5 * stepMs);
    const ages = [reach + 13, reach + 7, reach + 2, reach - 3, 0].map((age) => age * stepMs);
    const month = limits.forecastDistantMeans * 5 * stepMs;
    const coarse = page({
      agesMs: [month + 1, ...ages],
      values: { cpuBackgroundShare: [1, 0.6, 0.7, 0.8, 0.5, 0.5] },
      intervalMs: 5 * stepMs,
    });
    leader.report('bob', [{ type: 'history', request: older!.request, page: coarse }]);
    metricsAt(nowMs + 1.5 * stepMs, [sample(0, 0)]);
    tickAt(leader.nowMs);
    const no = Number.NaN;
    const five = (value: number) => Array<number>(5).fill(value);
    const past = told.recalled.get('bob/cpu')!.map((value) => Number(value.toFixed(4)));
    assert.deepEqual(past, [...five(0.6), no, ...five(0.7), ...five(0.8), no, no, no, no]);
    assert.equal(learned('cpu')![0], 0.3, 'it goes on with the first step that is learned');
    assert.ok(told.recalled.get('bob/network-in')!.every(Number.isNaN));
    // What was recalled once is not again.
    leader.step({ type: 'node-status', status: nodeStatus('bob', { online: false }) });
    told.recalled.clear();
    metricsAt(leader.nowMs + 3 * stepMs, [sample(0, 0.6), sample(-stepMs, 0)]);
    tickAt(leader.nowMs);
    assert.equal(told.recalled.size, 0);
  });

  it('recalls the pasts of a few nodes in a round, and waits for none that measures nothing', () => {
    const silent = Array.from({ length: limits.forecastRecallsPerTick }, (_, index) => `silent${index}`);
    const measuring = Array.from({ length: 2 * limits.forecastRecallsPerTick + 1 }, (_, index) => `n${index}`);
    const names = [...silent, ...measuring];
    for (const name of names) leader.join(name);
    const old = page({ agesMs: [4 * 86_400_000], values: { cpuBackgroundShare: [0.5] }, intervalMs: 5 * stepMs });
    for (const { node, request } of asksOf(tickAt(phaseMs))) {
      const [older] = asksOf(leader.report(node, [{ type: 'history', request, page: page({}) }]));
      leader.report(node, [{ type: 'history', request: older!.request, page: old }]);
      if (silent.includes(node)) continue;
      for (const [seq, afterMs] of [stepMs, 2 * stepMs].entries()) {
        const samples = [sample(2 * stepMs - afterMs, 0.5)];
        leader.step({ type: 'node-metrics', metrics: { v: 1, node, bootId: `${node}-1`, seq, samples } });
      }
    }
    const recalled = () => new Set([...told.recalled.keys()].map((key) => key.split('/')[0])).size;
    for (let round = 1; recalled() < measuring.length; round += 1) {
      tickAt(leader.nowMs + 250);
      assert.equal(recalled(), Math.min(measuring.length, round * limits.forecastRecallsPerTick));
    }
  });

  it('learns short pasts before long ones', () => {
    for (const name of ['bob', 'ada']) leader.join(name);
    const asks = asksOf(tickAt(phaseMs));
    for (const [node, minutes] of [['bob', 3 * limits.forecastStepsPerTick] as const, ['ada', 10] as const]) {
      const { request } = asks.find((each) => each.node === node)!;
      const ages = Array.from({ length: minutes }, (_, index) => (minutes - index) * stepMs);
      const values = { cpuBackgroundShare: ages.map(() => 0.5) };
      none(asksOf(leader.report(node, [{ type: 'history', request, page: page({ agesMs: ages, values }) }]))[0]!);
      leader.step({
        type: 'node-metrics',
        metrics: { v: 1, node, bootId: `${node}-1`, seq: 1, samples: [sample(0, 0)] },
      });
    }
    const [first] = forecastsOf(tickAt(leader.nowMs));
    assert.equal(first?.node, 'ada');
  });

  it('goes on without a history that never comes, and takes none that was asked for by another leader', () => {
    leader.join('bob');
    const [ask] = asksOf(tickAt(phaseMs));
    const old = page({ agesMs: [5 * stepMs], values: { cpuBackgroundShare: [1] } });
    leader.report('bob', [{ type: 'history', request: ask!.request - 2 ** 24, page: old }]);
    metricsAt(phaseMs + 1_000, [sample(0, 0.5)]);
    metricsAt(phaseMs + stepMs + 1_000, [sample(0, 0.5)]);
    tickAt(phaseMs + stepMs + 1_000);
    assert.deepEqual(learned('cpu'), [0.5], `after ${limits.relayWaitMs} ms it waits no longer`);
    leader.report('bob', [{ type: 'history', request: ask!.request, page: old }]);
    tickAt(leader.nowMs + 1);
    assert.deepEqual(learned('cpu'), [0.5]);
  });

  it('asks again for what was measured while the node was away', () => {
    join();
    steps([0.1, 0.2]);
    tickAt(leader.nowMs);
    leader.step({ type: 'node-status', status: nodeStatus('bob', { online: false }) });
    const backMs = phaseMs + 6 * stepMs;
    assert.deepEqual(asksOf(tickAt(backMs)), []);
    metricsAt(backMs, [sample(0.1 * stepMs, 0.6)]);
    const [ask] = asksOf(tickAt(backMs));
    assert.equal(Math.round(ask!.sinceMs! / stepMs), 4, 'no more of it than is not known');
    const past = page({
      agesMs: [2 * stepMs],
      values: { cpuBackgroundShare: [0.5], memoryAvailableBytes: [GiB], memoryMeshBytes: [0] },
    });
    leader.report('bob', [{ type: 'history', request: ask!.request, page: past }]);
    metricsAt(backMs + 0.5 * stepMs, [sample(0, 0)]);
    tickAt(leader.nowMs);
    assert.deepEqual(learned('cpu'), [0.1, 0.2, 0, 0.5, Number.NaN, 0.6]);
  });

  it('keeps its series when it was away for longer than it remembers: what nobody measured is missing', () => {
    join();
    steps([0.1, 0.2]);
    tickAt(leader.nowMs);
    leader.step({ type: 'node-status', status: nodeStatus('bob', { online: false }) });
    // A mesh so large that each node tells only minutes of its past.
    const nodes = 1_000;
    for (let each = 1; each < nodes; each += 1) leader.join(`n${each}`);
    const back = 3 + Math.floor(limits.forecastHistoryStepsOfAll / nodes) + 100;
    metricsAt(phaseMs + (back - 0.5) * stepMs, [sample(0, 0.6)]);
    const [ask] = asksOf(tickAt(leader.nowMs));
    const past = page({ agesMs: [10 * stepMs], intervalMs: stepMs / 2, values: { cpuBackgroundShare: [0.5] } });
    leader.report('bob', [{ type: 'history', request: ask!.request, page: past }]);
    metricsAt(phaseMs + (back + 0.5) * stepMs, [sample(0, 0)]);
    tickAt(leader.nowMs);
    assert.deepEqual(told.closed, []);
    const expected = [0.1, 0.2, 0, ...Array<number>(back - 3).fill(Number.NaN)];
    expected[back - 11] = 0.5;
    expected[back - 1] = 0.6;
    assert.deepEqual(learned('cpu'), expected);
  });

  it('begins anew after a gap that is too long to be learned', () => {
    join();
    steps([0.1]);
    tickAt(leader.nowMs);
    steps([0.3, 0.4], 1 + limits.forecastGapSteps);
    tickAt(leader.nowMs);
    assert.deepEqual(learned('cpu'), [0.3, 0.4]);
    assert.equal(told.closed.length, 4);
  });

  it('learns a long past a little in each round, and forecasts when it has learned all', () => {
    leader.join('bob');
    const [ask] = asksOf(tickAt(phaseMs));
    const minutes = 3 * limits.forecastStepsPerTick - 10;
    const ages = Array.from({ length: minutes }, (_, index) => (minutes - index) * stepMs);
    const values = { cpuBackgroundShare: ages.map(() => 0.5) };
    metricsAt(phaseMs + 0.1 * stepMs, [sample(0, 0.5)]);
    const answer = { type: 'history', request: ask!.request, page: page({ agesMs: ages, values }) } as const;
    none(asksOf(leader.report('bob', [answer]))[0]!);
    for (let round = 1; round < 3; round += 1) {
      assert.deepEqual(forecastsOf(tickAt(leader.nowMs + 250)), []);
      assert.equal(learned('cpu')!.length, round * limits.forecastStepsPerTick);
    }
    assert.equal(forecastsOf(tickAt(leader.nowMs + 250)).length, 1);
    assert.deepEqual(forecastsOf(tickAt(leader.nowMs + 250)), [], 'once a minute');
  });

  it('asks a few nodes at a time, and forecasts no more of them in one round than it may', () => {
    const names = Array.from({ length: limits.forecastNodesPerTick + 6 }, (_, index) => `n${index}`);
    for (const name of names) leader.join(name);
    assert.equal(asksOf(tickAt(0)).length, limits.forecastHistoriesAtOnce);
    for (let round = 1; round < 8; round += 1) tickAt(round * (limits.relayWaitMs + 1));
    for (const afterMs of [0, stepMs]) {
      leader.step({ type: 'tick' }, afterMs);
      for (const node of names) {
        const metrics = { v: 1 as const, node, bootId: `${node}-1`, seq: 1 + afterMs, samples: [sample(0, 0.5)] };
        leader.step({ type: 'node-metrics', metrics });
      }
    }
    assert.equal(forecastsOf(tickAt(leader.nowMs + 250)).length, limits.forecastNodesPerTick);
    assert.equal(forecastsOf(tickAt(leader.nowMs + 250)).length, 6);
  });

  it('has what is learned on all series together learned piece by piece', () => {
    told.learningDue = true;
    for (const pieces of [1, 2, 3, 3, 3]) {
      tickAt(leader.nowMs + 250);
      assert.equal(told.pieces, pieces);
    }
  });

  it('says which models made it, and how well they did, in the unit of what is forecast', () => {
    join();
    steps([0.1]);
    const [forecast] = forecastsOf(tickAt(leader.nowMs));
    const [cpu, memory] = forecast!.resources;
    const scores = { score: 0.25, engineScore: 0.5, lastValueScore: 0.75, evidence: 60 };
    assert.deepEqual(cpu!.why, { model: 'a', weight: 0.3, ...scores, text: 'b 50 %, a 30 %, d 10 %' });
    const { score, engineScore, lastValueScore, evidence } = memory!.why!;
    assert.deepEqual([score, engineScore, lastValueScore, evidence], [0.25 * GiB, 0.5 * GiB, 0.75 * GiB, 60]);
  });

  it('says no scores before anything was scored', () => {
    told.evidence = 0;
    join();
    steps([0.1]);
    const [forecast] = forecastsOf(tickAt(leader.nowMs));
    assert.deepEqual(forecast!.resources[0]!.why, { model: 'a', weight: 0.3, text: 'b 50 %, a 30 %, d 10 %' });
  });

  it('says how likely a node has left, from when it came and went, whatever the wall clock does', () => {
    const heard: [string, number][] = [];
    const createLeaving = () => ({
      open: () => ({
        observe: (what: string, atMs: number) => void heard.push([what, atMs]),
        forecast: (_nowMs: number, count: number) => Array.from({ length: count }, (_, step) => step / 1e3),
      }),
    });
    leader = new Leader({ nodeSilenceMs: 1e9 }, createLedger(), 1, { createForesight: () => told, createLeaving });
    leader.elect();
    join();
    steps([0.1]);
    const [forecast] = forecastsOf(tickAt(leader.nowMs));
    assert.deepEqual(forecast!.left!.slice(0, 3), [0, 0.001, 0.002]);
    leader.wallStartMs -= 600_000;
    const effects = leader.step({ type: 'node-status', status: nodeStatus('bob', { online: false }) });
    const [last, ...more] = forecastsOf(effects);
    const { left: _, originWallMs: _origin, ...rest } = forecast!;
    assert.deepEqual([{ ...last, originWallMs: 0 }, more], [{ ...rest, originWallMs: 0 }, []], 'it has left');
    const [[came, cameMs], [left, leftMs]] = heard as [[string, number], [string, number]];
    assert.deepEqual([came, left, heard.length], ['came', 'left', 2]);
    assert.ok(leftMs >= cameMs, 'time goes on');
  });

  it('knows soon after an election who comes and goes, by what nodes tell of the time before', () => {
    const policy = { createForesight: () => told, createLeaving: leavingHazards };
    leader = new Leader({ nodeSilenceMs: 1e9 }, createLedger(), 1, policy);
    leader.elect();
    for (const node of ['bob', 'ada']) leader.join(node);
    const hours = 24;
    const ages = Array.from({ length: hours * 12 }, (_, index) => (hours * 12 - 1 - index) * 5 * stepMs);
    // A new run every half hour, the last half of which it is away; and one run.
    const runs = ages.map((ageMs) => Math.floor((ages[0]! - ageMs) / (30 * stepMs)));
    const there = ages.map((_, index) => index % 6 < 3 || index === ages.length - 1);
    const pages: Record<string, Partial<HistoryPage>> = {
      bob: { agesMs: ages.filter((_, index) => there[index]), runs: runs.filter((_, index) => there[index]) },
      ada: { agesMs: ages, runs: ages.map(() => 1) },
    };
    for (const { node, request } of asksOf(tickAt(phaseMs))) {
      const [older] = asksOf(leader.report(node, [{ type: 'history', request, page: page({}) }]));
      const answer = page({ ...pages[node], intervalMs: 5 * stepMs });
      leader.report(node, [{ type: 'history', request: older!.request, page: answer }]);
    }
    for (const part of [0.5, 1.7])
      for (const node of ['bob', 'ada']) {
        const metrics = { v: 1 as const, node, bootId: `${node}-1`, seq: part, samples: [sample(0, 0.5)] };
        leader.step({ type: 'node-metrics', metrics }, phaseMs + part * stepMs - leader.nowMs);
      }
    const left = new Map(forecastsOf(tickAt(leader.nowMs)).map((forecast) => [forecast.node, forecast.left!.at(-1)!]));
    assert.ok(left.get('bob')! > 0.3 && left.get('ada')! < 0.03, JSON.stringify([...left]));
  });
});
