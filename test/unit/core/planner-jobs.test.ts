import assert from 'node:assert/strict';
import { decode, encode, jobResult, jobState, limits, type OutboxMessage } from '@foremesh/node-runtime/contract';
import { answerQuery, createLedger, jobStateOf } from '@foremesh/node-runtime/core';
import {
  assigned,
  blobNamed,
  done,
  failed,
  Leader,
  planOf,
  recordIndex,
  splitStage,
  stagePlan,
  usage,
} from './samples.ts';

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
    const leader = new Leader({}, createLedger({ endedJobs: 1, endedTasks: 100, tombstones: 10 }));
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
    leader.indexed('j', 's', 4);
    const problem = { code: 'MESH_BLOB_MISSING', message: 'late' };
    leader.step({ type: 'index-failed', account: 'me', job: 'j', stage: 's', problem });
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

  it('refuses more jobs of an account than it may have at once, and takes them when some have ended', () => {
    const leader = new Leader();
    leader.elect();
    for (let job = 0; job < limits.jobsPerAccount; job += 1) leader.submit(`j${job}`, planOf(stagePlan('s')));
    const refused = leader.submit('more', planOf(stagePlan('s')));
    const state = refused.find((effect) => effect.type === 'publish-state');
    assert.ok(state?.type === 'publish-state' && state.state.phase === 'refused');
    assert.equal(state.state.problem!.code, 'MESH_QUOTA_EXCEEDED');
    assert.ok(
      refused.some((effect) => effect.type === 'clear-spec'),
      'a refused spec must not stay',
    );
    const of = { account: 'you', job: 'j', specHash: 'h', plan: planOf(stagePlan('s')) };
    leader.step({ type: 'submitted', ...of });
    assert.equal(leader.planner.ledger.jobs.get('you/j')!.phase, 'running', 'another account has its own');
    leader.step({ type: 'cancel-requested', account: 'me', job: 'j0', reason: 'room' });
    leader.submit('more', planOf(stagePlan('s')));
    assert.equal(leader.planner.ledger.jobs.get('me/more')!.phase, 'running');
  });

  it('counts jobs on their way into the log against the quota', () => {
    const leader = new Leader();
    leader.elect();
    leader.holds = true;
    for (let job = 0; job <= limits.jobsPerAccount; job += 1) leader.submit(`j${job}`, planOf(stagePlan('s')));
    leader.holds = false;
    leader.commit();
    assert.equal(leader.planner.ledger.jobs.size, limits.jobsPerAccount);
  });

  it('can publish how a job ended whatever a holder or a node says of it', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob');
    const long = '漢'.repeat(80_000);
    leader.submit('j', planOf(splitStage('s', 2)));
    const problem = { code: long, message: long, where: long, mend: long };
    const answers = leader.step({ type: 'index-failed', account: 'me', job: 'j', stage: 's', problem });
    const [first] = assigned(leader.submit('k', planOf(stagePlan('s', { retries: 0 }))));
    const { usage: _, ...failure } = failed(first!.attempt, 'task') as OutboxMessage & { type: 'failed' };
    answers.push(...leader.report('bob', [{ ...failure, usage, code: long, message: long.slice(0, 4_000) }]));
    let published = 0;
    for (const effect of answers) {
      if (effect.type === 'publish-state') decode(jobState, encode(effect.state, 'json'));
      else if (effect.type === 'publish-result') decode(jobResult, encode(effect.result, 'json'));
      else continue;
      published += 1;
    }
    assert.equal(published, 4);
  });
});
