import assert from 'node:assert/strict';
import { answerQuery, type PlannerEffect } from '@foremesh/node-runtime/core';
import { assigned, blobNamed, code, done, Leader, planOf, recordIndex, splitStage, stagePlan } from './samples.ts';

const refusalOf = (effects: readonly PlannerEffect[]) =>
  effects.flatMap((each) => (each.type === 'publish-state' && each.state.phase === 'refused' ? [each.state] : []))[0];
const input = (digit: string, sizeBytes: number) => planOf(stagePlan('s', { input: blobNamed(digit, sizeBytes) }));

describe('planner: quotas', () => {
  it('refuse a job whose blobs are more than its account may have, each counted once, until others are forgotten', () => {
    const leader = new Leader({ storedBytesPerAccount: 1_000 + code.sizeBytes });
    leader.elect();
    leader.join('ada', { slots: 8 });
    for (const job of ['one', 'two']) leader.submit(job, { ...input('a', 600), retentionMs: 5_000 });
    assert.equal(refusalOf(leader.submit('three', input('b', 400))), undefined, 'just enough');
    const refused = refusalOf(leader.submit('four', input('e', 1)));
    assert.equal(refused?.problem?.code, 'MESH_QUOTA_EXCEEDED');
    assert.match(refused!.problem!.message, /storedBytesPerAccount is 1100, .* 1100 bytes .* adds 1$/);
    leader.step({ type: 'submitted', account: 'you', job: 'j', specHash: 'h', plan: input('f', 1_000) });
    assert.ok(leader.planner.ledger.jobs.has('you/j'), 'another account has its own');
    const cancelled = leader.step({ type: 'cancel-requested', account: 'me', job: 'one', reason: 'no' });
    leader.step({ type: 'cancel-requested', account: 'me', job: 'two', reason: 'no' });
    assert.ok(cancelled.length > 0);
    leader.nowMs += 1_000;
    assert.ok(refusalOf(leader.submit('four', input('e', 1))), 'ended jobs are kept, and their blobs');
    for (const node of ['bob', 'eve']) leader.join(node);
    leader.step({ type: 'tick' }, 1_000);
    leader.step({ type: 'tick' }, 6_000);
    assert.equal(refusalOf(leader.submit('four', input('e', 1))), undefined);
  });

  it('keep an account from more tasks at once; the others wait, hold up nobody, and say why', () => {
    const leader = new Leader({ tasksAtOncePerAccount: 2 });
    leader.elect();
    leader.join('ada', { slots: 6 });
    leader.submit('j', planOf(splitStage('s', 5)));
    const of = { account: 'me', job: 'j', stage: 's', source: blobNamed('a'), index: recordIndex(5) };
    const first = assigned(leader.step({ type: 'indexed', ...of }));
    assert.deepEqual(
      first.map(({ task }) => task),
      ['s-0', 's-1'],
    );
    const other = { account: 'you', job: 'k', specHash: 'h', plan: planOf(stagePlan('t')) };
    assert.deepEqual(
      assigned(leader.step({ type: 'submitted', ...other })).map(({ task }) => task),
      ['t-0'],
    );
    const answer = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name: 's-3', job: 'j' });
    assert.ok(answer.query === 'why');
    assert.equal(answer.why.reason, 'quota');
    assert.match(answer.why.text, /account me has 2 tasks at nodes/);
    const more = assigned(leader.report('ada', [done(first[0]!.attempt)]));
    assert.deepEqual(
      more.map(({ task }) => task),
      ['s-2'],
    );
    leader.step({ type: 'deposed' });
    leader.elect(2);
    leader.nowMs += 60_000;
    assert.deepEqual(
      assigned(leader.join('bob', { slots: 6 })).length,
      3,
      'a new leader counts from anew: two, and one',
    );
  });
});
