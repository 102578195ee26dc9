import assert from 'node:assert/strict';
import { encode, type PlanAnswer, type QueryAnswer, queryAnswer } from '@foremesh/node-runtime/contract';
import { answerQuery, type JobPlan } from '@foremesh/node-runtime/core';
import { Leader, planOf, splitStage, stagePlan } from './samples.ts';

describe('planner: the plan of a job', () => {
  let leader: Leader;
  beforeEach(() => {
    leader = new Leader();
    leader.elect();
  });

  function answer(plan: JobPlan): QueryAnswer {
    const said = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'plan', spec: {} }, plan);
    assert.deepEqual(queryAnswer.parse(said), said, 'it is what the contract says');
    encode(said, 'json');
    return said;
  }
  function plan(job: JobPlan): PlanAnswer {
    const said = answer(job);
    assert.ok(said.query === 'plan', JSON.stringify(said));
    return said.plan;
  }

  it('spreads chunks over slots by what nodes give, and merges when all are there', () => {
    leader.join('ada', { speed: { js: 1 } });
    leader.join('bob', { speed: { js: 3 } });
    const { stages, tasks, nodes, finish, promise, problems } = plan(
      planOf(splitStage('map', 8, { estimateSeconds: 80 })),
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(
      stages.map(({ stage, tasks: many, isCut, merges, basis }) => ({ stage, many, isCut, merges, basis })),
      [{ stage: 'map', many: 8, isCut: false, merges: true, basis: 'author' }],
    );
    assert.equal(tasks.length, 9);
    const parts = tasks.filter(({ task }) => task !== 'map-merge');
    const merge = tasks.at(-1)!;
    assert.ok(parts.every(({ finishMs }) => finishMs <= merge.startMs));
    const byNode = Object.fromEntries(nodes.map((each) => [each.node, each.tasks]));
    assert.ok(byNode.bob! > byNode.ada!, JSON.stringify(byNode));
    assert.ok(finish!.q10Ms! <= finish!.q50Ms! && finish!.q50Ms! <= finish!.q90Ms!);
    assert.equal(promise!.withinMs, finish!.q90Ms);
    assert.equal(promise!.confidence, 0.9);
  });
});
