import assert from 'node:assert/strict';
import { limits, type QuotaChange, type QuotaRow } from '@foremesh/node-runtime/contract';
import {
  answerQuery,
  createLedger,
  type PlannerEffect,
  restoreLedger,
  snapshotLedger,
} from '@foremesh/node-runtime/core';
import { assigned, blobNamed, code, done, Leader, planOf, splitStage, stagePlan } from './samples.ts';

const refusalOf = (effects: readonly PlannerEffect[]) =>
  effects.flatMap((each) => (each.type === 'publish-state' && each.state.phase === 'refused' ? [each.state] : []))[0];
const input = (digit: string, sizeBytes: number) => planOf(stagePlan('s', { input: blobNamed(digit, sizeBytes) }));

/** An owner says so, and the log commits it. */
function setQuota(leader: Leader, account: string, change: QuotaChange): PlannerEffect[] {
  leader.proposed.push({ type: 'set-quota', account, change, atMs: 0 });
  return leader.commit();
}

function quotaRow(leader: Leader, account: string): QuotaRow {
  const answer = answerQuery(leader.planner, account, { v: 1, id: 'q', query: 'quota' });
  assert.ok(answer.query === 'quota');
  return answer.quota;
}

describe('planner: quotas', () => {
  it('hold for an account as an owner has said, through a snapshot and for the next leader, until it is taken back', () => {
    const leader = new Leader();
    leader.elect();
    setQuota(leader, 'me', { jobs: 1, storedBytes: 700 });
    assert.equal(refusalOf(leader.submit('one', input('a', 500))), undefined);
    const refused = refusalOf(leader.submit('two', input('a', 500)));
    assert.match(refused!.problem!.message, /^jobsPerAccount is 1, account me has 1 open$/);
    assert.match(refused!.problem!.mend!, /`foremesh quota me --jobs N`/);
    leader.step({ type: 'submitted', account: 'you', job: 'j', specHash: 'h', plan: input('a', 9_000) });
    assert.ok(leader.planner.ledger.jobs.has('you/j'), 'of another account nothing was said');
    const next = new Leader({}, restoreLedger(JSON.parse(JSON.stringify(snapshotLedger(leader.planner.ledger)))), 2);
    next.elect(2);
    assert.ok(refusalOf(next.submit('two', input('a', 500))));
    setQuota(next, 'me', { jobs: null });
    assert.equal(refusalOf(next.submit('two', input('a', 500))), undefined);
    const tooMuch = refusalOf(next.submit('three', input('b', 200)));
    assert.match(tooMuch!.problem!.message, /^storedBytesPerAccount is 700, .* has 600 bytes .* adds 200$/);
    assert.match(tooMuch!.problem!.mend!, /`foremesh quota me --bytes SIZE`/);
    assert.deepEqual(quotaRow(next, 'me'), {
      account: 'me',
      jobs: { used: 2, most: limits.jobsPerAccount, isOwn: false },
      storedBytes: { used: 600, most: 700, isOwn: true },
      tasksAtOnce: { used: 0, most: limits.tasksAtOncePerAccount, isOwn: false },
    });
  });

  it('with more tasks allowed those that wait go at once; with fewer nothing is taken away', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('ada', { slots: 6 });
    setQuota(leader, 'me', { tasksAtOnce: 2 });
    leader.submit('j', planOf(splitStage('s', 5)));
    const first = assigned(leader.indexed('j', 's', 5));
    assert.equal(first.length, 2);
    assert.equal(assigned(setQuota(leader, 'me', { tasksAtOnce: 4 })).length, 2);
    assert.deepEqual(setQuota(leader, 'me', { tasksAtOnce: 1 }), [], 'nobody is told to stop');
    assert.deepEqual(quotaRow(leader, 'me').tasksAtOnce, { used: 4, most: 1, isOwn: true });
    const answer = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name: 's-4', job: 'j' });
    assert.ok(answer.query === 'why');
    assert.match(answer.why.text, /account me has 4 tasks at nodes, and may have 1 \(tasksAtOncePerAccount\)$/);
    assert.match(answer.why.mend!, /`foremesh quota me --tasks N`/);
    assert.deepEqual(assigned(leader.report('ada', [done(first[0]!.attempt)])), []);
  });

  it('are listed for all accounts that have anything, or of which something was said', () => {
    const leader = new Leader();
    leader.elect();
    setQuota(leader, 'vera', { jobs: 0 });
    leader.submit('one', input('a', 500));
    const answer = answerQuery(leader.planner, 'owner', { v: 1, id: 'q', query: 'quotas' });
    assert.ok(answer.query === 'quotas');
    assert.deepEqual(answer.quotas.map(({ account, jobs }) => [account, jobs.used]).sort(), [
      ['me', 1],
      ['vera', 0],
    ]);
  });

  it('are remembered of so many accounts and no more; of those they can still be changed', () => {
    const leader = new Leader({}, createLedger());
    leader.elect();
    for (let n = 0; n < limits.accountsWithQuota; n += 1) setQuota(leader, `a${n}`, { jobs: n });
    setQuota(leader, 'late', { jobs: 1 });
    assert.equal(leader.planner.ledger.quotas.size, limits.accountsWithQuota);
    const ask = { v: 1, id: 'q', query: 'set-quota', account: 'late', change: { jobs: 1 } } as const;
    const answer = answerQuery(leader.planner, 'owner', ask);
    assert.ok(answer.query === 'error');
    assert.match(answer.problem.message, /^accountsWithQuota is 1000/);
    setQuota(leader, 'a7', { jobs: null });
    setQuota(leader, 'late', { jobs: 1 });
    assert.deepEqual(leader.planner.ledger.quotas.get('late'), { jobs: 1 });
  });

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
    const first = assigned(leader.indexed('j', 's', 5));
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
    assert.match(answer.why.text, /account me has 2 tasks at nodes, and may have 2/);
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
