import assert from 'node:assert/strict';
import { answerQuery, type JobPlan, type PlannerPolicy } from '@foremesh/node-runtime/core';
import { assigned, blobNamed, json, Leader, planOf, splitStage, stagePlan, usage } from './samples.ts';
import { type OwnWork, UnsteadyFleet } from './unsteady-fleet.ts';

const steady: OwnWork = { levels: [0.4], meanMs: [0], foreseen: { q10: 0.35, q50: 0.4, q90: 0.45 } };
/** Free more often than not, and then faster than the others. */
const moody: OwnWork = { levels: [0.05, 0.9], meanMs: [30_000, 20_000], foreseen: { q10: 0.05, q50: 0.3, q90: 0.9 } };

describe('planner: a deadline and how sure it is to be', () => {
  it('on nodes of which one is unsteady more jobs are in time that ask for 95 % than that ask for 50 %', function () {
    this.timeout(120_000);
    const withinMs = 53_000;
    const seeds = Array.from({ length: 12 }, (_, index) => index + 1);
    // Who does not mind disturbing devices: else the moody one is left alone for its own sake.
    const weights = { makespan: 1, contention: 0, transfer: 1, risk: 1 };
    const inTime = (confidence: number) =>
      seeds.filter((seed) => {
        const fleet = new UnsteadyFleet(seed, { ada: steady, bob: steady, cyd: steady, dot: moody }, 0.1);
        return fleet.run(800, { deadline: { withinMs, confidence }, weights }, 8) * 1_000 <= withinMs;
      });
    const [even, sure] = [inTime(0.5), inTime(0.95)];
    const said = `in time at 50 %: seeds ${even.join(' ')}; at 95 %: ${sure.join(' ')}`;
    assert.ok(sure.length > even.length, said);
    assert.ok(sure.length >= 0.95 * seeds.length, said);
  });

  it('cuts smaller pieces for a node of which less is sure', () => {
    const given = (confidence: number) => {
      const fleet = new UnsteadyFleet(3, { ada: steady, dot: moody }, 0.1);
      fleet.run(2_000, { deadline: { withinMs: 600_000, confidence } });
      return Math.max(...fleet.given.filter(({ node }) => node === 'dot').map(({ records }) => records));
    };
    const [even, sure] = [given(0.5), given(0.95)];
    assert.ok(sure < 0.6 * even, `${sure} of ${even} records`);
  });

  it('is in a plan: how sure pieces are, and that there are more of them', () => {
    const { leader } = new UnsteadyFleet(3, { ada: steady, dot: moody }, 0.1);
    const stage = stagePlan('s', { input: blobNamed('a', 1e6), split: { by: 'lines' }, estimateSeconds: 1_000 });
    const planned = (change: Partial<JobPlan>) => {
      const dryRun = { ...planOf(stage), ...change };
      const said = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'plan', spec: {} }, dryRun);
      assert.ok(said.query === 'plan');
      return said.plan.stages[0]!;
    };
    const none = planned({});
    assert.equal(none.sizedFor, undefined);
    const sure = planned({ deadline: { withinMs: 3_600_000, confidence: 0.95 } });
    assert.equal(sure.sizedFor!.confidence, 0.95);
    assert.ok(sure.sizedFor!.share > 0.3 && sure.sizedFor!.share < 0.8, `${sure.sizedFor!.share}`);
    assert.ok(sure.tasks > none.tasks, `${sure.tasks} and ${none.tasks} tasks`);
    const fixed = { ...stage, split: { by: 'lines' as const, chunks: 9 } };
    const asSaid = planned({ stages: [fixed], deadline: { withinMs: 3_600_000, confidence: 0.95 } });
    assert.deepEqual([asSaid.sizedFor, asSaid.tasks], [undefined, 9]);
  });
});

describe('planner: copies for the sake of a deadline', () => {
  /** Two nodes in the last part of a stage, one of which has just begun; the other is idle. */
  function ending(deadline: { withinMs: number; confidence: number } | undefined, change: Partial<PlannerPolicy> = {}) {
    const leader = new Leader({}, undefined, 1, change);
    leader.elect();
    for (const node of ['bob', 'cyd']) leader.join(node, { slots: 1, queue: 0 });
    leader.submit('j', { ...planOf(splitStage('s', 3)), ...(deadline === undefined ? {} : { deadline }) });
    const first = assigned(leader.indexed('j', 's', 30));
    leader.nowMs += 10_000;
    const took = { ...usage, wallMs: 10_000 };
    const last = assigned(
      first.flatMap(({ node, attempt }) =>
        leader.report(node, [{ type: 'done', attempt, usage: took, output: json(1) }]),
      ),
    );
    assert.equal(last.length, 1);
    const [runs] = last;
    const other = runs!.node === 'bob' ? 'cyd' : 'bob';
    /** The node that runs it leaves so often. */
    const leaves = (perSecond: number) => (leader.planner.nodes.get(runs!.node)!.leavesPerSecond = perSecond);
    const tickIn = (ms: number) =>
      assigned(leader.step({ type: 'tick' }, ms)).map(({ task, node }) => `${task} ${node}`);
    return { leader, runs: runs!, other, leaves, tickIn };
  }

  it('are made where one may leave, of a job that wants to be sure, and explained', () => {
    const { leader, runs, other, leaves, tickIn } = ending({ withinMs: 60_000, confidence: 0.95 });
    leaves(0.02);
    assert.deepEqual(tickIn(1_000), [`s-2 ${other}`]);
    leader.report(runs.node, [{ type: 'started', attempt: runs.attempt }]);
    const why = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name: 's-2' });
    assert.ok(why.query === 'why');
    assert.match(why.why.text, new RegExp(`runs on ${runs.node}; ${other} runs it too`));
    assert.match(why.why.text, /in time with \d+ % alone, \d+ % together \(asked for: 95 %\)/);
    assert.deepEqual(tickIn(1_000), [], 'one is enough');
  });

  it('are not made of a job without a deadline, or that is sure enough, or too late for any of it', () => {
    for (const deadline of [undefined, { withinMs: 60_000, confidence: 0.5 }, { withinMs: 15_000, confidence: 0.95 }]) {
      const { leaves, tickIn } = ending(deadline);
      leaves(0.02);
      assert.deepEqual(tickIn(1_000), [], JSON.stringify(deadline));
    }
    const { leaves, tickIn } = ending({ withinMs: 60_000, confidence: 0.95 }, { looksAhead: false });
    leaves(0.02);
    assert.deepEqual(tickIn(1_000), [], 'by what is measured now nobody leaves');
  });
});
