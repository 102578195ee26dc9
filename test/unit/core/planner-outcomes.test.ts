import assert from 'node:assert/strict';
import { decode, encode, jobResult } from '@foremesh/node-runtime/contract';
import type { PlannerConfig, StagePlan } from '@foremesh/node-runtime/core';
import { outputValue } from '../../../node-runtime/sdk/outputs.ts';
import { assigned, done, failed, json, Leader, planOf, splitStage, stagePlan, usage } from './samples.ts';

/** A leader whose one node works on the first attempt of a job of one task. */
function bobAtWork(config: Partial<PlannerConfig> = {}, change: Partial<StagePlan> = {}) {
  const leader = new Leader(config);
  leader.elect();
  leader.join('bob');
  const [first] = assigned(leader.submit('j', planOf(stagePlan('s', change))));
  return { leader, first: first! };
}

/** Outcomes that come late, twice, out of turn or never asked for. */
describe('planner: outcomes', () => {
  it('counts a failure once, however often the node reports it', () => {
    const { leader, first } = bobAtWork();
    for (let report = 0; report < 5; report += 1) leader.report('bob', [failed(first.attempt, 'task')]);
    const job = leader.planner.ledger.jobs.get('me/j')!;
    assert.equal(job.phase, 'running');
    assert.equal(job.stages.get('s')!.tasks[0]!.failures.length, 1);
  });

  it('counts a fault of the node once, however often the node reports it', () => {
    const { leader, first } = bobAtWork();
    for (let report = 0; report < 20; report += 1) leader.report('bob', [failed(first.attempt, 'node')]);
    assert.equal(leader.planner.jobs.get('me/j')!.tasks.get('s-0')!.nodeFaults, 1);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'running');
  });

  it('tells a node to forget a failure that is counted already', () => {
    const { leader, first } = bobAtWork();
    leader.report('bob', [failed(first.attempt, 'task')]);
    const effects = leader.report('bob', [failed(first.attempt, 'task')]);
    const forgets = effects.some(
      (effect) =>
        effect.type === 'send' && effect.message.type === 'committed' && effect.message.attempts[0] === first.attempt,
    );
    assert.ok(forgets);
  });

  it('does not let a merge be committed, or fail, before its parts are done', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob', { slots: 4 });
    leader.submit('j', planOf(splitStage('s', 2)));
    const parts = assigned(leader.indexed('j', 's', 2));
    leader.report('bob', [done('me/j/s-merge#1.99', 'nonsense')]);
    leader.report('bob', [failed('me/j/s-merge#1.98', 'task')]);
    leader.report('bob', [failed('me/j/s-merge#1.97', 'node')]);
    const merge = leader.planner.jobs.get('me/j')!.tasks.get('s-merge')!;
    assert.equal(merge.state, 'waiting');
    assert.equal(merge.committing, false);
    for (const part of parts) leader.report('bob', [done(part.attempt)]);
    assert.equal(String(merge.state), 'assigned');
    leader.report('bob', [done([...merge.attempts][0]!.key, 'right')]);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
  });

  it('takes both last parts of a stage in one batch of commits', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob', { slots: 4 });
    leader.submit('j', planOf(splitStage('s', 2)));
    const parts = assigned(leader.indexed('j', 's', 2));
    const effects = leader.report(
      'bob',
      parts.map((part) => done(part.attempt)),
    );
    assert.deepEqual(
      assigned(effects).map((each) => each.task),
      ['s-merge'],
    );
  });

  it('settles the outcome of the slower of two attempts', () => {
    const { leader, first } = bobAtWork({ inventoryGraceMs: 0 });
    leader.join('cyd');
    // An attempt of an earlier leader turns out to run on cyd too, and both end while the first commit is on its way.
    const { request } = leader.planner.nodes.get('cyd')!;
    leader.report('cyd', [{ type: 'inventory', request, attempts: ['me/j/s-0#0.1'] }]);
    leader.holds = true;
    leader.report('bob', [done(first.attempt, 'a')]);
    leader.report('cyd', [done('me/j/s-0#0.1', 'b')]);
    leader.holds = false;
    const effects = leader.commit();
    const toCyd = effects.flatMap((effect) =>
      effect.type === 'send' && effect.node === 'cyd' ? [effect.message] : [],
    );
    assert.ok(toCyd.some((message) => message.type === 'committed' && message.attempts.includes('me/j/s-0#0.1')));
  });

  it('asks again for an outcome that came while another was being committed', () => {
    const { leader, first } = bobAtWork({ inventoryGraceMs: 0 });
    leader.join('cyd');
    leader.holds = true;
    leader.report('bob', [done(first.attempt, 'a')]);
    leader.report('cyd', [done('me/j/s-0#0.7', 'b')]); // of an attempt that the leader had given up
    leader.holds = false;
    leader.commit();
    const effects = leader.step({ type: 'tick' }, 10_001);
    const asked = effects.filter((effect) => effect.type === 'send' && effect.message.type === 'inventory-request');
    assert.deepEqual(
      asked.map((effect) => (effect as { node: string }).node),
      ['cyd'],
    );
  });

  it('gives a result as bytes that nests deeper than a message may', () => {
    const { leader, first } = bobAtWork();
    const inline = new TextEncoder().encode('['.repeat(30_000) + ']'.repeat(30_000));
    const effects = leader.report('bob', [
      { type: 'done', attempt: first.attempt, usage, output: { encoding: 'json', inline } },
    ]);
    const result = effects.find((effect) => effect.type === 'publish-result');
    assert.ok(result?.type === 'publish-result' && result.result.phase === 'done');
    assert.deepEqual(result.result.outputs!.s, { encoding: 'json', base64: Buffer.from(inline).toString('base64') });
    assert.doesNotThrow(() => decode(jobResult, encode(result.result, 'json')));
    const next = new Leader({}, leader.planner.ledger, 2);
    assert.doesNotThrow(() => next.elect(2), 'the next leader must not fall over it either');
  });

  it('gives a result as bytes that JSON would make larger than a payload', () => {
    const { leader, first } = bobAtWork();
    const inline = new TextEncoder().encode('\u0001'.repeat(64_000)); // six characters each in JSON
    const output = { encoding: 'text' as const, inline };
    const effects = leader.report('bob', [{ type: 'done', attempt: first.attempt, usage, output }]);
    const result = effects.find((effect) => effect.type === 'publish-result');
    assert.ok(result?.type === 'publish-result' && result.result.phase === 'done');
    assert.equal(outputValue(decode(jobResult, encode(result.result, 'json')).outputs!.s!), '\u0001'.repeat(64_000));
  });

  it('counts the tasks of a node whose name is a property of every object', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('constructor');
    const [first] = assigned(leader.submit('j', planOf(stagePlan('s'))));
    const effects = leader.report('constructor', [done(first!.attempt)]);
    const result = effects.find((effect) => effect.type === 'publish-result');
    assert.ok(result?.type === 'publish-result');
    assert.deepEqual(Object.entries(result.result.tasksByNode), [['constructor', 1]]);
    assert.deepEqual(result.result.outputs!.s, { encoding: 'json', value: 1 });
    assert.deepEqual(json(1).encoding, 'json');
  });
});

describe('planner: an inventory that comes late', () => {
  it('does not bring back an attempt that has failed', () => {
    const { leader, first } = bobAtWork({}, { retries: 5 });
    leader.step({ type: 'tick' }, 10_001);
    const { request } = leader.planner.nodes.get('bob')!;
    const inventory = { type: 'inventory' as const, request, attempts: [first.attempt] };
    leader.report('bob', [inventory]);
    leader.report('bob', [failed(first.attempt, 'task')]);
    leader.report('bob', [inventory]); // the broker sent it twice
    leader.report('bob', [failed(first.attempt, 'task')]);
    const task = leader.planner.jobs.get('me/j')!.tasks.get('s-0')!;
    assert.deepEqual(
      [...task.attempts].map((attempt) => attempt.key !== first.attempt),
      [true],
    );
  });

  it('settles an attempt that was taken over and then reports what is settled', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob', { slots: 1, queue: 0 });
    const [first] = assigned(leader.submit('j', planOf(stagePlan('s', { retries: 5 }))));
    leader.report('bob', [failed(first!.attempt, 'node')]);
    leader.step({ type: 'tick' }, 10_001);
    leader.report('bob', [done('me/j/s-0#0.5')]);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
    assert.equal(leader.planner.attempts.size, 0);
  });
});
