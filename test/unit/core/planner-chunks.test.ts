import assert from 'node:assert/strict';
import { limits, type OutboxMessage, type Usage } from '@foremesh/node-runtime/contract';
import {
  answerQuery,
  type LedgerTask,
  type PlannerEffect,
  type StagePlan,
  splitAnew,
} from '@foremesh/node-runtime/core';
import { assigned, blobNamed, json, Leader, mergeCode, planOf, stagePlan, usage } from './samples.ts';

const byLines = (change: Partial<StagePlan> = {}): StagePlan =>
  stagePlan('s', { input: blobNamed('a', 10_000), split: { by: 'lines' }, merge: mergeCode, ...change });

function indexed(leader: Leader, records: number, source = blobNamed('a', 10_000)): PlannerEffect[] {
  return leader.indexed('j', 's', records, source);
}

function stageOf(leader: Leader) {
  return leader.planner.ledger.jobs.get('me/j')!.stages.get('s')!;
}

function parts(leader: Leader): LedgerTask[] {
  return stageOf(leader).tasks.filter(({ merges }) => !merges);
}

/** A mesh of virtual nodes that do so many records a second each, run until the job has ended; which parts each has done, in order. */
function work(leader: Leader, recordsPerSecond: Readonly<Record<string, number>>, first: readonly PlannerEffect[]) {
  const running = new Map<string, { node: string; attempt: string; endMs: number; wallMs: number }>();
  const did = new Map(Object.keys(recordsPerSecond).map((node) => [node, [] as number[]]));
  const hear = (effects: readonly PlannerEffect[]): void => {
    for (const effect of effects) {
      if (effect.type !== 'send') continue;
      const { node, message } = effect;
      if (message.type === 'cancel') running.delete(message.attempt);
      if (message.type !== 'assign') continue;
      const { attempt, input } = message;
      const wallMs = input.kind === 'records' ? (input.records * 1_000) / recordsPerSecond[node]! : 1;
      running.set(attempt, { node, attempt, wallMs, endMs: leader.nowMs + 40 + wallMs });
      if (input.kind === 'records') did.get(node)!.push(input.records);
      hear(say(node, { type: 'started', attempt }, 40));
    }
  };
  const say = (node: string, message: OutboxMessage, afterMs = 0) => {
    leader.nowMs += afterMs;
    const effects = leader.report(node, [message]);
    leader.nowMs -= afterMs;
    return effects;
  };
  hear(first);
  while (running.size > 0) {
    const [next] = [...running.values()].sort((a, b) => a.endMs - b.endMs);
    const tickMs = leader.nowMs + 250;
    if (tickMs < next!.endMs) {
      hear(leader.step({ type: 'tick' }, 250));
      continue;
    }
    running.delete(next!.attempt);
    leader.nowMs = Math.max(leader.nowMs, next!.endMs);
    const took: Usage = { ...usage, wallMs: next!.wallMs, cpuMs: next!.wallMs };
    hear(say(next!.node, { type: 'done', attempt: next!.attempt, usage: took, output: json(1) }));
  }
  return did;
}

function fleet(...nodes: string[]): Leader {
  const leader = new Leader();
  leader.elect();
  for (const node of nodes) leader.join(node, { slots: 1, queue: 0 });
  return leader;
}

describe('planner: chunks', () => {
  it('grow from a small first one to what each node does, and end together', () => {
    const leader = fleet('slow', 'fast');
    leader.submit('j', planOf(byLines()));
    const did = work(leader, { slow: 100, fast: 400 }, indexed(leader, 4_000));
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
    const sum = (node: string) => did.get(node)!.reduce((all, each) => all + each, 0);
    assert.ok(sum('fast') > 2.5 * sum('slow'), `${sum('fast')} and ${sum('slow')} records`);
    const fast = did.get('fast')!;
    assert.ok(fast[0]! * 2 < Math.max(...fast), `the first is small: ${fast}`);
    assert.ok(parts(leader).length < 100, `${parts(leader).length} parts`);
    // 500 records a second together: 8 s and what beginnings and the last pieces cost.
    assert.ok(leader.nowMs < 10_000, `ended after ${leader.nowMs} ms`);
  });

  it('are as many as the author says, or one for each file or block', () => {
    const leader = fleet('ada');
    leader.submit('j', planOf(byLines({ split: { by: 'lines', chunks: 7 } })));
    indexed(leader, 100);
    assert.equal(parts(leader).length, 7);
    const other = fleet('ada');
    other.submit('j', planOf(byLines({ split: { by: 'files' } })));
    indexed(other, 9);
    assert.equal(parts(other).length, 9);
  });

  it('are never more than a stage may have, and leave the next stage some', () => {
    const leader = fleet('ada');
    leader.submit('j', planOf(byLines()));
    const first = indexed(leader, 200_000);
    // So fast that only what a beginning costs keeps a piece from being a record; it is far below what is allowed.
    work(leader, { ada: 1_000_000 }, first);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
    assert.ok(parts(leader).length < limits.tasksPerStage / 2, `${parts(leader).length} parts`);
  });

  it('are there before any node is, so that what fits no node is noticed', () => {
    const leader = fleet();
    leader.submit('j', planOf(byLines()));
    indexed(leader, 120);
    assert.deepEqual(
      parts(leader).map(({ range }) => range!.records),
      [10],
    );
    assert.equal(stageOf(leader).rest!.firstRecord, 10);
    const [, view] = [...leader.planner.jobs.get('me/j')!.stages][0]!;
    assert.equal(view.unplaceable!.code, 'MESH_NO_ROOM');
    const first = leader.join('ada');
    assert.ok(assigned(first).length > 0);
    work(leader, { ada: 100 }, first);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
  });

  it('of a stage without records are none, and it is merged', () => {
    const leader = fleet('ada');
    leader.submit('j', planOf(byLines()));
    const [merge] = assigned(indexed(leader, 0));
    assert.equal(merge!.task, 's-merge');
  });

  it('are known for what they are when progress and time that remains are told', () => {
    const leader = fleet('ada');
    leader.submit('j', planOf(byLines()));
    const [first] = assigned(indexed(leader, 100));
    const took = { ...usage, wallMs: parts(leader)[0]!.range!.records * 100 };
    leader.report('ada', [{ type: 'done', attempt: first!.attempt, usage: took, output: json(1) }]);
    const answer = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'job', job: 'j' });
    assert.ok(answer.query === 'job');
    const { stages, remainingMs } = answer.state;
    assert.ok(Math.abs(stages[0]!.progress - took.wallMs / 100 / 100) < 1e-9, `${stages[0]!.progress}`);
    assert.equal(remainingMs, 100 * 100 - took.wallMs);
  });
});

describe('planner: late copies', () => {
  /** Two nodes, one of which hangs in the last piece; what becomes of it. */
  function stuck(change: Partial<StagePlan> = {}) {
    const leader = fleet('bob', 'cyd');
    leader.submit('j', planOf(byLines({ split: { by: 'lines', chunks: 4 }, ...change })));
    const next = assigned(indexed(leader, 40));
    const wait: typeof next = [];
    const end = ({ node, attempt }: { node: string; attempt: string }) => {
      leader.nowMs += 1_000;
      return assigned(
        leader.report(node, [{ type: 'done', attempt, usage: { ...usage, wallMs: 1_000 }, output: json(1) }]),
      );
    };
    while (next.length > 0) {
      const each = next.shift()!;
      if (each.task === 's-3') wait.push(each);
      else if (each.task !== 's-merge') next.push(...end(each));
    }
    return { leader, hung: wait[0]!, end };
  }

  it('run where a part would end earlier than where it hangs; the first result counts', () => {
    const { leader, hung, end } = stuck();
    assert.deepEqual(assigned(leader.step({ type: 'tick' }, 100)), []);
    const [copy, ...more] = assigned(leader.step({ type: 'tick' }, 5_000));
    assert.deepEqual([copy!.task, more], ['s-3', []]);
    assert.notEqual(copy!.node, hung.node);
    const why = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name: 's-3' });
    assert.ok(why.query === 'why');
    assert.match(why.why.text, new RegExp(`${hung.node}.*; ${copy!.node} runs it too`));
    assert.deepEqual(assigned(leader.step({ type: 'tick' }, 10_000)), [], 'one copy at most');
    assert.deepEqual(
      end(copy!).map(({ task }) => task),
      ['s-merge'],
    );
    assert.equal(leader.planner.attempts.has(hung.attempt), false);
  });

  it('are not made where they would take from what the device needs itself', () => {
    const { leader, hung } = stuck();
    const idle = hung.node === 'bob' ? 'cyd' : 'bob';
    const measured = (seq: number, cpuBackgroundShare: number) => {
      const memory = { memoryAvailableBytes: 2 ** 29, memoryMeshBytes: 0 };
      const network = { networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 };
      const sample = { ageMs: 0, cpuShare: cpuBackgroundShare, cpuBackgroundShare, ...memory, ...network };
      leader.step({ type: 'node-metrics', metrics: { v: 1, node: idle, bootId: `${idle}-1`, seq, samples: [sample] } });
    };
    measured(1, 0.9);
    assert.deepEqual(assigned(leader.step({ type: 'tick' }, 10_000)), []);
    measured(2, 0.1);
    assert.deepEqual(
      assigned(leader.step({ type: 'tick' }, 100)).map(({ task, node }) => `${task} ${node}`),
      [`s-3 ${idle}`],
    );
  });

  it('are not made of what talks to the world', () => {
    const signed = { engine: 'node' as const, ...blobNamed('c') };
    const manifest = { capabilities: ['network'], key: 'k' } as never;
    const { leader } = stuck();
    const task = leader.planner.jobs.get('me/j')!.tasks.get('s-3')!;
    Object.assign(task.stage.plan, { code: { ...signed, engine: 'js', manifest } });
    assert.deepEqual(assigned(leader.step({ type: 'tick' }, 5_000)), []);
  });
});

describe('planner: a task that is split anew', () => {
  it('is asked after once, goes to others by its records, and is explained', () => {
    const leader = fleet('bob');
    leader.submit('j', planOf(byLines({ split: { by: 'lines', chunks: 2 } })));
    const [first] = assigned(indexed(leader, 40));
    const task = () => leader.planner.jobs.get('me/j')!.tasks.get('s-0')!;
    const effects: PlannerEffect[] = [];
    assert.equal(splitAnew(leader.planner, task(), [5], effects), false);
    assert.equal(splitAnew(leader.planner, task(), [5], effects), false);
    assert.deepEqual(
      effects.map(({ type }) => type),
      ['index'],
    );
    indexed(leader, 40);
    effects.length = 0;
    assert.equal(splitAnew(leader.planner, task(), [5], effects), true);
    for (const effect of effects) if (effect.type === 'propose') leader.proposed.push(...effect.commands);
    const sent = leader.commit();
    const told = sent.flatMap((effect) => (effect.type === 'send' ? [effect.message.type] : []));
    assert.deepEqual(told, ['cancel', 'committed', 'assign']);
    leader.report('bob', [{ type: 'done', attempt: first!.attempt, usage, output: json(1) }]);
    assert.deepEqual(stageOf(leader).tasks[0]!.committed, undefined);
    const why = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name: 's-0' });
    assert.ok(why.query === 'why');
    assert.match(why.why.text, /they are in s-2, s-3/);
  });

  it('stays whole when a holder has no index of its records any more', () => {
    const leader = fleet('bob');
    leader.submit('j', planOf(byLines({ split: { by: 'lines', chunks: 2 } })));
    indexed(leader, 40);
    const task = leader.planner.jobs.get('me/j')!.tasks.get('s-0')!;
    splitAnew(leader.planner, task, [5], []);
    const problem = { code: 'MESH_BLOB_MISSING', message: 'gone' };
    leader.step({ type: 'index-failed', account: 'me', job: 'j', stage: 's', problem });
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'running');
  });
});
