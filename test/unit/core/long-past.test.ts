import assert from 'node:assert/strict';
import { type ForecastResource, type HistoryPage, limits, type QueryAnswer } from '@foremesh/node-runtime/contract';
import { answerQuery, createLedger, hasMoreToLearn, type PlannerEffect } from '@foremesh/node-runtime/core';
import { asksOf, bobOf, forecastsOf, sample, stepMs, Told } from './foreseeing.ts';
import { Leader } from './samples.ts';

describe('planner: a long past', () => {
  let told: Told;
  let leader: Leader;
  const { tickAt } = bobOf(() => leader);

  beforeEach(() => {
    told = new Told();
    leader = new Leader({ nodeSilenceMs: 1e9 }, createLedger(), 1, { createForesight: () => told });
    leader.elect();
  });

  const learned = (kind: ForecastResource) => told.values.get(`bob/${kind}`);
  const page = (change: Partial<HistoryPage>): HistoryPage => ({
    ...{ agesMs: [], runs: [], values: {}, intervalMs: stepMs, diskBytesMost: 1, writtenBytes: 1, ...change },
  });
  const none = ({ request, node }: ReturnType<typeof asksOf>[number]) =>
    leader.report(node, [{ type: 'history', request, page: page({}) }]);
  function rowOf(node: string) {
    const answer = answerQuery(leader.planner, 'owner', { v: 1, id: 'q', query: 'nodes' });
    return (answer as QueryAnswer & { query: 'nodes' }).nodes.find(({ status }) => status.node === node)!.unforeseen;
  }
  /** It joins and tells as many minutes, and one is heard of it; returns what the leader's round did in which it asked. */
  function tellPast(node: string, minutes: number): PlannerEffect[] {
    leader.join(node);
    const round = tickAt(leader.nowMs);
    const { request } = asksOf(round).find((ask) => ask.node === node)!;
    const agesMs = Array.from({ length: minutes }, (_, index) => (minutes - index) * stepMs);
    const past = page({ agesMs, values: { cpuBackgroundShare: agesMs.map(() => 0.5) } });
    none(asksOf(leader.report(node, [{ type: 'history', request, page: past }]))[0]!);
    const samples = [sample(stepMs, 0.5), sample(0, 0.5)];
    leader.step({ type: 'node-metrics', metrics: { v: 1, node, bootId: `${node}-1`, seq: 1, samples } });
    return round;
  }

  it('learns between its rounds what takes many of them, in pieces, and as many pieces of what is learned on all series', () => {
    const { forecastStepsPerTick: perRound, forecastStepsBetweenTicks: piece } = limits;
    leader.step({ type: 'study' });
    assert.equal(hasMoreToLearn(leader.planner), false);
    tellPast('bob', 3 * perRound);
    assert.equal(hasMoreToLearn(leader.planner), false, 'a round is to find what there is');
    told.learningDue = true;
    tickAt(leader.nowMs + 250);
    assert.equal(hasMoreToLearn(leader.planner), true);
    for (let each = 1; each <= perRound / piece; each += 1) {
      assert.equal(told.pieces, 1);
      leader.step({ type: 'study' });
      assert.equal(learned('cpu')!.length, perRound + each * piece);
    }
    assert.equal(told.pieces, 2);
    while (hasMoreToLearn(leader.planner)) leader.step({ type: 'study' });
    assert.equal(learned('cpu')!.length, 3 * perRound + 1);
    leader.step({ type: 'study' });
    assert.equal(learned('cpu')!.length, 3 * perRound + 1);
    assert.equal(forecastsOf(tickAt(leader.nowMs + 250)).length, 1);
    assert.equal(hasMoreToLearn(leader.planner), false);
  });

  it('forecasts a node by its newest steps alone while its long past is learned, and by all of it as soon as it is', () => {
    const heard: number[][] = [];
    told.meanwhile = () => {
      const values: number[] = [];
      heard.push(values);
      return {
        ...{ model: 'short', observe: (value) => void values.push(value) },
        forecast: () => ({ intervalMs: stepMs, q10: [0.1], q50: [0.2], q90: [0.3] }),
      };
    };
    tellPast('bob', 10 * limits.forecastStepsPerTick);
    const [early, ...more] = forecastsOf(tickAt(leader.nowMs + 250));
    assert.equal(more.length, 0);
    assert.equal(early!.observedSteps, limits.forecastMeanwhileSteps);
    assert.deepEqual(early!.resources[0]!.own.q90, [0.3]);
    assert.deepEqual(early!.resources[0]!.why, { model: 'short' });
    assert.deepEqual(
      heard.map((values) => values.length),
      Array(4).fill(limits.forecastMeanwhileSteps),
    );
    assert.equal(heard[2]!.at(-1), 1_000, 'the newest step is what was heard of it');
    assert.ok(Number.isNaN(heard[2]!.at(-2)), 'and before that is its past, without the network');
    assert.deepEqual(forecastsOf(tickAt(leader.nowMs + 250)), [], 'once a minute');
    assert.ok(rowOf('bob')!.past!.learnedSteps > 0, 'that it is early is still said');
    leader.step(
      {
        type: 'node-metrics',
        metrics: { v: 1, node: 'bob', bootId: 'bob-1', seq: 2, samples: [sample(0, 0.9)] },
      },
      stepMs,
    );
    assert.equal(forecastsOf(tickAt(leader.nowMs)).length, 1);
    while (hasMoreToLearn(leader.planner)) leader.step({ type: 'study' });
    const [whole] = forecastsOf(tickAt(leader.nowMs + 250));
    assert.equal(whole!.observedSteps, 10 * limits.forecastStepsPerTick + 2);
    assert.equal(whole!.originWallMs, early!.originWallMs + stepMs);
    assert.equal(whole!.resources[0]!.why!.model, 'a');
    assert.equal(rowOf('bob'), undefined);
    assert.deepEqual(forecastsOf(tickAt(leader.nowMs + 250)), []);
  });

  it('forecasts few nodes in a round while their past is learned, and none whose past one round will learn', () => {
    told.meanwhile = () => told.open({ key: 'meanwhile', kind: 'cpu', intervalMs: stepMs, range: { low: 0, high: 1 } });
    const names = ['n1', 'n2', 'n3', 'n4', 'n5'];
    const asks = names.map((name) => tellPast(name, 10 * limits.forecastStepsPerTick));
    const early = [...asks, tickAt(leader.nowMs + 250), tickAt(leader.nowMs + 250)].map(forecastsOf);
    assert.ok(early.every((forecasts) => forecasts.length <= limits.forecastNodesMeanwhilePerTick));
    assert.deepEqual(new Set(early.flat().map(({ node }) => node)), new Set(names));
    tellPast('short', limits.forecastStepsPerTick / 2);
    const after = forecastsOf(tickAt(leader.nowMs + 250));
    assert.deepEqual(
      after.map(({ node, observedSteps }) => [node, observedSteps]),
      [['short', limits.forecastStepsPerTick / 2 + 1]],
    );
  });

  it('says of a node without a forecast how much of its past is learned, and when that will be all', () => {
    leader.join('ada');
    assert.deepEqual(rowOf('ada'), { heardMs: 0, dueMs: limits.relayWaitMs, past: { learnedSteps: 0, steps: 0 } });
    const rounds = 20;
    const steps = rounds * limits.forecastStepsPerTick;
    tellPast('ada', steps - 1);
    tellPast('bob', steps - 1);
    tickAt(leader.nowMs);
    // As fast as rounds are, until it is known better.
    const leftOf = (node: string) => rowOf(node)!.past!.steps - rowOf(node)!.past!.learnedSteps;
    assert.deepEqual(rowOf('ada')!.past, { learnedSteps: 2 * limits.forecastStepsPerTick, steps });
    assert.equal(rowOf('ada')!.dueMs, (rounds - 2) * 250);
    assert.ok(Math.abs(leftOf('bob') - steps) <= 1, 'its minutes begin at another moment');
    const perMs = limits.forecastStepsPerTick / 250;
    assert.equal(rowOf('bob')!.dueMs, Math.round((leftOf('ada') + leftOf('bob')) / perMs));
    for (let each = 0; each < 5; each += 1) {
      tickAt(leader.nowMs + 250);
      while (rowOf('ada')!.past!.learnedSteps < (2 * each + 4) * limits.forecastStepsPerTick)
        leader.step({ type: 'study' });
    }
    // Five rounds' time was enough for twelve.
    assert.equal(rowOf('bob')!.dueMs, Math.round((leftOf('ada') + leftOf('bob')) / perMs / (12 / 5)));
    while (hasMoreToLearn(leader.planner)) leader.step({ type: 'study' });
    tickAt(leader.nowMs + 250);
    assert.equal(rowOf('ada'), undefined);
    // One that has nothing to tell is forecast when its first minute is over.
    leader.join('cyd');
    const { request } = asksOf(tickAt(leader.nowMs))[0]!;
    const problem = { code: 'MESH_STORAGE_FAILED', message: 'no' };
    leader.report('cyd', [{ type: 'request-failed', request, problem }]);
    const { dueMs: minuteMs, ...cyd } = rowOf('cyd')!;
    assert.deepEqual(cyd, { heardMs: 0 });
    assert.ok(minuteMs > 0 && minuteMs <= stepMs);
  });
});
