import assert from 'node:assert/strict';
import { encode, limits } from '@foremesh/node-runtime/contract';
import { answerQuery, createLedger, jobStateOf } from '@foremesh/node-runtime/core';
import { assigned, blobNamed, done, Leader, planOf, recordIndex, splitStage, stagePlan } from './samples.ts';

/** Jobs as clients submit, cancel and ask for them. */
describe('planner: jobs', () => {
  const cancel = { type: 'cancel-requested' as const, account: 'me', job: 'j', reason: 'no more' };

  it('cancels a job that is on its way into the log', () => {
    const leader = new Leader();
    leader.elect();
    leader.holds = true;
    leader.submit('j', planOf(stagePlan('s')));
    leader.step(cancel);
    leader.holds = false;
    const effects = leader.commit();
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'cancelled');
    const result = effects.find((effect) => effect.type === 'publish-result');
    assert.equal(result?.type === 'publish-result' && result.result.phase, 'cancelled');
  });

  it('keeps the spec of a job that is on its way into the log', () => {
    const leader = new Leader();
    leader.elect();
    leader.holds = true;
    leader.submit('j', planOf(stagePlan('s')));
    const again = leader.submit('j', planOf(stagePlan('s')));
    assert.deepEqual(
      again.filter((effect) => effect.type === 'clear-spec'),
      [],
    );
    leader.holds = false;
    assert.equal(leader.commit().filter((effect) => effect.type === 'clear-spec').length, 1);
  });

  it('answers whoever submits a job again that is forgotten', () => {
    const leader = new Leader({}, createLedger({ endedJobs: 1, tombstones: 10 }));
    leader.elect();
    leader.join('bob');
    for (const job of ['j', 'k']) {
      for (const { attempt } of assigned(leader.submit(job, planOf(stagePlan('s')))))
        leader.report('bob', [done(attempt)]);
    }
    assert.ok(leader.planner.ledger.tombstones.has('me/j'));
    const state = leader.submit('j', planOf(stagePlan('s'))).find((effect) => effect.type === 'publish-state');
    assert.ok(state?.type === 'publish-state');
    assert.equal(state.state.phase, 'refused');
    assert.match(state.state.problem!.message, /done/);
  });

  it('does not fail a stage that is cut already by an index that failed late', () => {
    const leader = new Leader();
    leader.elect();
    leader.submit('j', planOf(splitStage('s', 2)));
    const answer = { account: 'me', job: 'j', stage: 's' };
    leader.step({ type: 'indexed', ...answer, source: blobNamed('a'), index: recordIndex(4) });
    leader.step({ type: 'index-failed', ...answer, problem: { code: 'MESH_BLOB_MISSING', message: 'late' } });
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'running');
  });

  it('fails a job rather than lose records to an index that contradicts itself', () => {
    const leader = new Leader();
    leader.elect();
    leader.submit('j', planOf(splitStage('s', 2)));
    const index = { ...recordIndex(4), records: [2, 3], offsets: [20, 30] };
    leader.step({ type: 'indexed', account: 'me', job: 'j', stage: 's', source: blobNamed('a'), index });
    const job = leader.planner.ledger.jobs.get('me/j')!;
    assert.equal(job.phase, 'failed');
    assert.equal(job.problem!.code, 'MESH_INPUT_INVALID');
  });

  it('says a finite time that remains, whatever a stage or a node claims', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob');
    leader.submit('j', planOf(stagePlan('s', { estimateSeconds: 1e308 }), stagePlan('t', { estimateSeconds: 1e308 })));
    const state = jobStateOf(leader.planner, leader.planner.ledger.jobs.get('me/j')!);
    assert.ok(Number.isSafeInteger(state.remainingMs), `${state.remainingMs}`);
  });

  it('answers a query in one payload whatever the names are written in', () => {
    const leader = new Leader();
    leader.elect();
    for (let job = 0; job < 600; job += 1)
      leader.submit(`j${job}`, { name: '漢'.repeat(200), stages: [stagePlan('s')] });
    const answer = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'jobs' });
    assert.ok(answer.query === 'jobs' && answer.truncated > 0 && answer.jobs.length > 0);
    assert.ok(encode(answer, 'json').length <= limits.payloadBytes);
  });
});
