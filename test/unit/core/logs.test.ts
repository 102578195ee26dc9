import assert from 'node:assert/strict';
import { type LogRow, limits, type QueryAnswer } from '@foremesh/node-runtime/contract';
import { answerQuery, lateLogOf, unneededBlobs } from '@foremesh/node-runtime/core';
import { assigned, blobNamed, done, failed, Leader, planOf, splitStage, stagePlan } from './samples.ts';

function ask(leader: Leader, from = 0, task?: string, account = 'me'): QueryAnswer {
  const which = { job: 'j', from, ...(task === undefined ? {} : { task }) };
  return answerQuery(leader.planner, account, { v: 1, id: 'q', query: 'logs', ...which });
}
function rows(leader: Leader, task?: string): LogRow[] {
  const answer = ask(leader, 0, task);
  assert.ok(answer.query === 'logs', JSON.stringify(answer));
  return answer.logs;
}
/** A job of one stage, cut into so many tasks, all of them at nodes. */
function start(tasks: number): { leader: Leader; attempts: { node: string; attempt: string; task: string }[] } {
  const leader = new Leader();
  leader.elect();
  leader.join('ada', { slots: tasks, queue: 2 * tasks, memoryBytes: 1024 ** 4, offeredMemoryBytes: 1024 ** 4 });
  leader.submit('j', { ...planOf(splitStage('s', tasks, { retries: 5 })), retentionMs: 5_000 });
  return { leader, attempts: assigned(leader.indexed('j', 's', tasks)) };
}

describe('planner: logs that are kept', () => {
  const log = blobNamed('9', 300);

  it('are found by job and task, of what failed and of what counts, also when the job has ended, and by its account alone', () => {
    const { leader, attempts } = start(2);
    const [first, second] = attempts;
    leader.join('bob', { slots: 2 });
    const again = assigned(
      leader.report('ada', [{ ...failed(first!.attempt, 'task'), log } as ReturnType<typeof done>]),
    );
    assert.equal(again.length, 1);
    const logged = { ...done(again[0]!.attempt), log: blobNamed('8', 200) } as ReturnType<typeof done>;
    const [merge] = [
      ...assigned(leader.report(again[0]!.node, [logged])),
      ...assigned(leader.report('ada', [done(second!.attempt)])),
    ];
    assert.deepEqual(rows(leader), [
      { task: 's-0', node: 'ada', attempt: first!.attempt, failed: true, log },
      { task: 's-0', node: again[0]!.node, attempt: again[0]!.attempt, failed: false, log: blobNamed('8', 200) },
    ]);
    assert.deepEqual(rows(leader, 's-1'), [], 'it has logged nothing');
    leader.report(merge!.node, [done(merge!.attempt)]);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
    assert.equal(rows(leader, 's-0').length, 2);
    assert.deepEqual(unneededBlobs(leader.planner.ledger, [log, blobNamed('7')]), [blobNamed('7')], 'they are needed');
    for (const node of ['bob', 'eve', 'mia']) leader.join(node);
    leader.step({ type: 'tick' }, 1_000);
    const unknown = ask(leader, 0, 's-7');
    assert.ok(unknown.query === 'error' && unknown.problem.code === 'MESH_TASK_UNKNOWN');
    const foreign = ask(leader, 0, undefined, 'you');
    assert.ok(foreign.query === 'error' && foreign.problem.code === 'MESH_JOB_UNKNOWN');
    leader.step({ type: 'tick' }, 6_000);
    assert.deepEqual(unneededBlobs(leader.planner.ledger, [log]), [log], 'they go with the job');
  });

  it('come in pages, each row once', () => {
    const { leader, attempts } = start(1_500);
    assert.equal(attempts.length, 1_500);
    leader.report(
      'ada',
      attempts.map(({ attempt }) => ({ ...done(attempt), log }) as ReturnType<typeof done>),
    );
    const seen: string[] = [];
    let pages = 0;
    for (let from: number | undefined = 0; from !== undefined; pages += 1) {
      const answer = ask(leader, from);
      assert.ok(answer.query === 'logs' && answer.logs.length > 0);
      assert.ok(JSON.stringify(answer).length <= limits.payloadBytes);
      seen.push(...answer.logs.map(({ task }) => task));
      from = answer.next;
    }
    assert.deepEqual(
      seen,
      attempts.map(({ task }) => task),
    );
    assert.ok(pages > 1);
  });

  it('are so many bytes of a job and no more, with room left for what fails', () => {
    const { leader, attempts } = start(9);
    const large = blobNamed('9', limits.logBytesPerJob / 8);
    for (const { attempt } of attempts.slice(0, 7)) {
      leader.report('ada', [{ ...done(attempt), log: large } as ReturnType<typeof done>]);
    }
    assert.equal(rows(leader).length, 6, 'three quarters');
    for (const { attempt } of attempts.slice(7)) {
      leader.report('ada', [{ ...failed(attempt, 'task'), log: large } as ReturnType<typeof done>]);
    }
    assert.equal(rows(leader).filter((row) => row.failed).length, 2);
  });

  it('are asked for before they count, when what they are of comes late', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('ada');
    const [first] = assigned(leader.submit('j', planOf(stagePlan('s'))));
    const outcome = { ...done(first!.attempt), log } as ReturnType<typeof done>;
    assert.equal(lateLogOf(leader.planner, outcome), undefined);
    leader.step({ type: 'tick' }, 60_000);
    assert.deepEqual(lateLogOf(leader.planner, outcome), log);
    assert.equal(lateLogOf(leader.planner, done(first!.attempt)), undefined);
  });
});
