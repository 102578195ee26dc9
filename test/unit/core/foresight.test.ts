import assert from 'node:assert/strict';
import type { Forecaster, QuantileCurves } from '@foremesh/models';
import {
  encode,
  type ForecastResource,
  type HistoryPage,
  limits,
  type MetricSample,
  type NodeForecast,
  nodeForecast,
} from '@foremesh/node-runtime/contract';
import type { Foresight, PlannerEffect } from '@foremesh/node-runtime/core';
import { createLedger } from '@foremesh/node-runtime/core';
import { assigned, done, Leader, nodeStatus, planOf, stagePlan } from './samples.ts';

const GiB = 1024 ** 3;
const stepMs = 60_000;

/** Keeps what it is told; forecasts what the test says. */
class Told implements Foresight {
  learningDue = false;
  pieces = 0;
  readonly values = new Map<string, number[]>();
  readonly closed: string[] = [];
  curves: Partial<Record<ForecastResource, Omit<QuantileCurves, 'intervalMs'>>> = {};

  open({ key, kind, intervalMs }: Parameters<Foresight['open']>[0]): Forecaster {
    const values: number[] = [];
    this.values.set(key, values);
    const flat = (steps: number) => Array<number>(steps).fill(0);
    return {
      model: 'told',
      observe: (value) => void values.push(value),
      forecast: (steps) => ({
        ...{ intervalMs, q10: flat(steps), q50: flat(steps), q90: flat(steps) },
        ...this.curves[kind],
      }),
    };
  }
  close(key: string): void {
    this.closed.push(key);
  }
  why() {
    const members = ['a', 'b', 'c', 'd', 'e'].map((model, index) => ({
      model,
      weight: [0.5, 0.3, 0.004, 0.1, 0.1][index]!,
    }));
    return { champion: 'a', loss: 0.5, lossOfLast: Number.NaN, members };
  }
  *learn() {
    for (let piece = 0; piece < 3; piece += 1) {
      this.pieces += 1;
      yield;
    }
    this.learningDue = false;
  }
}

function sample(ageMs: number, cpuBackgroundShare: number, change: Partial<MetricSample> = {}): MetricSample {
  return {
    ageMs,
    cpuShare: cpuBackgroundShare,
    cpuBackgroundShare,
    memoryAvailableBytes: 0.75 * GiB,
    memoryMeshBytes: 0,
    networkReceivedBytesPerSecond: 1_000,
    networkSentBytesPerSecond: 10,
    ...change,
  };
}

describe('planner: foresight', () => {
  let told: Told;
  let leader: Leader;
  let seq: number;
  /** The leader's clock at which the first step of node bob begins. */
  const goldenSection = (Math.sqrt(5) - 1) / 2;
  const phaseMs = goldenSection * stepMs;

  beforeEach(() => {
    told = new Told();
    seq = 0;
    leader = new Leader({ nodeSilenceMs: 1e9 }, createLedger(), 1, { createForesight: () => told });
    leader.elect();
  });

  /** A round of the leader at this moment of its clock. */
  function tickAt(atMs: number): PlannerEffect[] {
    return leader.step({ type: 'tick' }, atMs - leader.nowMs);
  }
  function metricsAt(atMs: number, samples: MetricSample[], change: { seq?: number; bootId?: string } = {}): void {
    seq += 1;
    const metrics = { v: 1 as const, node: 'bob', bootId: 'bob-1', seq, samples, ...change };
    leader.step({ type: 'node-metrics', metrics }, atMs - leader.nowMs);
  }
  const asksOf = (effects: readonly PlannerEffect[]) =>
    effects.flatMap((effect) =>
      effect.type === 'send' && effect.message.type === 'history-request'
        ? [{ ...effect.message, node: effect.node }]
        : [],
    );
  const forecastsOf = (effects: readonly PlannerEffect[]) =>
    effects.flatMap((effect) => (effect.type === 'publish-forecast' ? [effect.forecast] : []));
  const learned = (kind: ForecastResource) => told.values.get(`bob/${kind}`)?.map((value) => Number(value.toFixed(4)));
  const page = (change: Partial<HistoryPage>): HistoryPage => ({
    ...{ agesMs: [], runs: [], values: {}, intervalMs: stepMs, diskBytesMost: 1, writtenBytes: 1, ...change },
  });

  /** bob joins and has no history to tell. */
  function join(change: Parameters<typeof nodeStatus>[1] = {}): void {
    leader.join('bob', change);
    const [ask] = asksOf(tickAt(leader.nowMs));
    leader.report('bob', [
      { type: 'request-failed', request: ask!.request, problem: { code: 'MESH_STORAGE_FAILED', message: 'no' } },
    ]);
  }
  /** One sample in the middle of each step from `from` on, and one in the step after the last, so that all are complete. */
  function steps(values: readonly number[], from = 1): void {
    for (const [index, value] of [...values, 0].entries())
      metricsAt(phaseMs + (from + index - 0.5) * stepMs, [sample(0, value)]);
  }

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
    assert.deepEqual(asksOf(answer({ agesMs: [2.4 * stepMs], intervalMs: 1.2 * stepMs, values: values([0.4]) })), []);
    metricsAt(answerMs + 0.1 * stepMs, [sample(0, 0)]);
    assert.equal(forecastsOf(tickAt(leader.nowMs)).length, 1);
    // The mean that lies over two steps counts in both.
    assert.deepEqual(learned('cpu'), [0.1, 0.2, 0.4, 0.4, Number.NaN, 0.6]);
    const unknown = Array(5).fill(Number.NaN);
    assert.deepEqual(learned('network-in'), [...unknown, 1_000]);
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

  it('begins anew when it was away for longer than it remembers', () => {
    join();
    steps([0.1]);
    tickAt(leader.nowMs);
    steps([0.3, 0.4], limits.forecastHistorySteps + 100);
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
    leader.report('bob', [{ type: 'history', request: ask!.request, page: page({ agesMs: ages, values }) }]);
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
    assert.deepEqual(cpu!.why, { model: 'a', score: 0.5, text: 'a 50 %, b 30 %' });
    assert.equal(memory!.why!.score, 0.5 * GiB);
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
    leader.step({ type: 'node-status', status: nodeStatus('bob', { online: false }) });
    const [[came, cameMs], [left, leftMs]] = heard as [[string, number], [string, number]];
    assert.deepEqual([came, left, heard.length], ['came', 'left', 2]);
    assert.ok(leftMs >= cameMs, 'time goes on');
  });

  describe('what is left to the mesh', () => {
    const flat = (q10: number, q50: number, q90: number, steps = 30) => ({
      ...{ q10: Array(steps).fill(q10), q50: Array(steps).fill(q50), q90: Array(steps).fill(q90) },
    });
    const of = ({ resources }: NodeForecast, kind: ForecastResource) =>
      resources.find(({ resource }) => resource === kind)!;
    const first = ({ q10, q50, q90 }: { q10: number[]; q50: number[]; q90: number[] }) => [q10[0], q50[0], q90[0]];

    it('is little where the device may need much: the 10 % of the one are the 90 % of the other', () => {
      told.curves = { cpu: flat(0.1, 0.4, 0.7), memory: flat(0.2, 0.5, 0.75), 'network-in': flat(1, 2, 3.4) };
      join({ share: 0.8, offeredMemoryBytes: Math.round(0.6 * GiB) });
      steps([0.1]);
      const [forecast] = forecastsOf(tickAt(leader.nowMs));
      assert.deepEqual(nodeForecast.parse(forecast), forecast);
      assert.deepEqual(first(of(forecast!, 'cpu').own), [0.1, 0.4, 0.7]);
      assert.deepEqual(first(of(forecast!, 'cpu').available!), [0.3, 0.6, 0.8], 'no more than its owner allows');
      assert.deepEqual(first(of(forecast!, 'memory').own), [0.2 * GiB, 0.5 * GiB, 0.75 * GiB].map(Math.round));
      assert.deepEqual(first(of(forecast!, 'memory').available!), [0.25 * GiB, 0.5 * GiB, 0.6 * GiB].map(Math.round));
      assert.deepEqual(first(of(forecast!, 'network-in').own), [1, 2, 3]);
      assert.equal(of(forecast!, 'network-in').available, undefined, 'nobody says how much there is');
      const { leader: by, term, intervalMs, observedSteps, originWallMs } = forecast!;
      assert.deepEqual([by, term, intervalMs, observedSteps], ['ada', 1, stepMs, 1]);
      assert.equal(originWallMs, Math.round(leader.wallStartMs + phaseMs + stepMs));
    });

    it('is nothing while the owner withholds it', () => {
      join({ slots: 0, withheld: { reason: 'paused', text: 'paused' } });
      steps([0.1]);
      const [forecast] = forecastsOf(tickAt(leader.nowMs));
      assert.deepEqual(first(of(forecast!, 'cpu').available!), [0, 0, 0]);
      assert.deepEqual(first(of(forecast!, 'memory').available!), [0, 0, 0]);
      assert.equal(forecast!.withheld?.reason, 'paused');
    });

    it('is less by what tasks will take, for as long as those of their stage usually take', () => {
      join({ cores: 2, slots: 2, offeredMemoryBytes: GiB });
      const plan = stagePlan('s', { estimateSeconds: 240 });
      leader.submit('j', planOf(plan));
      steps([0, 0]);
      const [forecast] = forecastsOf(tickAt(leader.nowMs));
      // It began at time 0, when nobody had said what the device takes itself, which counts as half: it is expected to take eight
      // minutes. The origin is 2.62 minutes later: 5.38 are left.
      const { q50 } = of(forecast!, 'cpu').available!;
      assert.deepEqual(q50.slice(0, 7), [0.5, 0.5, 0.5, 0.5, 0.5, 1, 1]);
      const memory = of(forecast!, 'memory').available!.q50;
      assert.equal(memory[5]! - memory[4]!, plan.limits.memoryBytes);
    });

    it('fits a payload however long it is, and goes when the node goes', () => {
      const most = limits.forecastSteps;
      told.curves = Object.fromEntries(
        (['cpu', 'memory', 'network-in', 'network-out'] as const).map((kind) => [
          kind,
          flat(0.1234, 0.2345, 0.3456, most),
        ]),
      );
      leader = new Leader({ forecastSteps: most }, createLedger(), 1, { createForesight: () => told });
      leader.elect();
      join({ memoryBytes: 2 ** 42, offeredMemoryBytes: 2 ** 42 });
      steps([0.1]);
      const [forecast] = forecastsOf(tickAt(leader.nowMs));
      assert.ok(encode(forecast, 'json').length < limits.payloadBytes / 4);
      const effects = leader.step({
        type: 'applied',
        events: [{ type: 'node-removed', node: 'bob', publicKey: 'A'.repeat(43) }],
      });
      assert.ok(effects.some((effect) => effect.type === 'clear-forecast' && effect.node === 'bob'));
      assert.deepEqual(
        told.closed,
        ['cpu', 'memory', 'network-in', 'network-out'].map((kind) => `bob/${kind}`),
      );
    });
  });

  it('places short tasks by what is now, and long ones by what is expected', () => {
    const busy = { q10: [0.8], q50: [0.9], q90: [1] };
    told.curves = {
      cpu: Object.fromEntries(Object.entries(busy).map(([name, [value]]) => [name, Array(30).fill(value)])) as never,
    };
    join({ slots: 1, queue: 0 });
    leader.join('cyd', { slots: 1, queue: 0, speed: { js: 0.7 } });
    steps([0]);
    tickAt(leader.nowMs);
    // Bob is idle now and will be busy; of cyd nothing is known: half of it.
    const [long] = assigned(leader.submit('long', planOf(stagePlan('s'))));
    assert.equal(long!.node, 'cyd');
    leader.report('cyd', [done(long!.attempt)]);
  });
});
