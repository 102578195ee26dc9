import assert from 'node:assert/strict';
import { encode, type JobState, type PlanAnswer, type QueryAnswer, queryAnswer } from '@foremesh/node-runtime/contract';
import { answerQuery, type JobPlan, jobStateOf, type PlannerEffect } from '@foremesh/node-runtime/core';
import { assigned, blobNamed, done, Leader, planOf, recordIndex, splitStage, stagePlan } from './samples.ts';

const MiB = 1024 ** 2;

function statesIn(effects: readonly PlannerEffect[]): JobState[] {
  return effects.flatMap((effect) => (effect.type === 'publish-state' ? [effect.state] : []));
}

describe('planner: the plan of a job', () => {
  let leader: Leader;
  beforeEach(() => {
    leader = new Leader();
    leader.elect();
  });

  function answer(dryRun: JobPlan | undefined, more: { job?: string; algorithm?: 'heft' } = {}): QueryAnswer {
    const said = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'plan', ...more }, dryRun);
    assert.deepEqual(queryAnswer.parse(said), said, 'it is what the contract says');
    encode(said, 'json');
    return said;
  }
  function plan(job: JobPlan | undefined, more: { job?: string; algorithm?: 'heft' } = {}): PlanAnswer {
    const said = answer(job, more);
    assert.ok(said.query === 'plan', JSON.stringify(said));
    return said.plan;
  }
  const stateOf = (job: string) => jobStateOf(leader.planner, leader.planner.ledger.jobs.get(`me/${job}`)!);

  it('spreads chunks over slots by what nodes give, and merges when all are there', () => {
    leader.join('ada', { speed: { js: 1 } });
    leader.join('bob', { speed: { js: 3 } });
    const { stages, tasks, nodes, finish, promise, problems } = plan(
      planOf(splitStage('map', 8, { estimateSeconds: 80 })),
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(
      stages.map(({ stage, tasks: many, isExact, merges, basis }) => ({ stage, many, isExact, merges, basis })),
      [{ stage: 'map', many: 8, isExact: true, merges: true, basis: 'author' }],
    );
    assert.equal(tasks.length, 9);
    const parts = tasks.filter(({ task }) => task !== 'map-merge');
    const merge = tasks.at(-1)!;
    assert.ok(parts.every(({ finishMs }) => finishMs <= merge.startMs));
    const byNode = Object.fromEntries(nodes.map((each) => [each.node, each.tasks]));
    assert.ok(byNode.bob! > byNode.ada!, JSON.stringify(byNode));
    assert.ok(finish!.q10Ms! <= finish!.q50Ms! && finish!.q50Ms! <= finish!.q90Ms!);
    assert.deepEqual(promise, { withinMs: finish!.q90Ms, confidence: 0.9 });
  });

  it('takes a stage as it will probably be cut, a matrix as it is, and more tasks than it draws together', () => {
    leader.join('ada', { slots: 4 });
    const unsaid = splitStage('map', 1, { estimateSeconds: 80, split: { by: 'lines' }, sink: false });
    const grid = stagePlan('grid', {
      ...{ needs: ['map'], matrix: { rate: Array.from({ length: 300 }, (_, rate) => rate) } },
      ...{ estimateSeconds: 300, merge: unsaid.merge! },
    });
    const { stages, tasks } = plan(planOf(unsaid, grid));
    assert.deepEqual(
      stages.map(({ tasks: many, isExact, needs }) => [many, isExact, needs]),
      [
        [32, false, []],
        [300, true, ['map']],
      ],
    );
    const drawn = tasks.filter(({ stage, task }) => stage === 'grid' && task !== 'grid-merge');
    assert.ok(drawn.length <= 256);
    assert.equal(
      drawn.reduce((sum, { stands = 1 }) => sum + stands, 0),
      300,
    );
    const merged = tasks.find(({ task }) => task === 'map-merge')!;
    assert.ok(drawn.every(({ startMs }) => startMs >= merged.finishMs));
  });

  it('says of each node what keeps a stage from it, and that nobody knows what another takes', () => {
    leader.join('small', { offeredMemoryBytes: 230 * MiB });
    leader.join('old', { engines: [] });
    const limits = { memoryBytes: 900 * MiB, cpuMs: 1_000, wallMs: 1_000, outputBytes: 1_000 };
    const { problems, stages, finish, tasks } = plan(
      planOf(stagePlan('big', { limits, sink: false }), stagePlan('strange', { needs: ['big'] })),
    );
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['MESH_NO_ROOM', 'MESH_WORK_UNKNOWN'],
    );
    assert.match(problems[0]!.message, /small: offers 230 MiB.*old: has no engine js/);
    assert.match(problems[1]!.mend!, /estimate/);
    assert.deepEqual(
      stages.map(({ problem }) => problem?.code),
      ['MESH_NO_ROOM', 'MESH_WORK_UNKNOWN'],
    );
    assert.deepEqual([finish, tasks], [undefined, []]);
  });

  it('says that nobody knows what the parts take, though any merge is known', () => {
    leader.join('ada');
    const { problems } = plan(planOf(splitStage('map', 4)));
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['MESH_WORK_UNKNOWN'],
    );
  });

  it('takes a merge for short until some merge was seen, however long other code computes', () => {
    leader.join('ada');
    const [long] = assigned(
      leader.submit('long', planOf(stagePlan('s', { code: { ...blobNamed('c'), engine: 'js' } }))),
    );
    const outcome = done(long!.attempt);
    assert.ok(outcome.type === 'done');
    leader.report('ada', [{ ...outcome, usage: { ...outcome.usage, cpuMs: 600_000 } }]);
    const { tasks } = plan(planOf(splitStage('map', 4, { estimateSeconds: 8 })));
    const { startMs, finishMs } = tasks.at(-1)!;
    assert.ok(finishMs - startMs < 10_000, `${finishMs - startMs} ms`);
  });

  it('says that what a task takes is a guess where none was seen that read about as much', () => {
    leader.join('ada');
    const code = (name: string) => ({ code: { ...blobNamed(name), engine: 'js' as const }, profile: 'images' });
    const [first] = assigned(leader.submit('taught', planOf(stagePlan('s', code('c')))));
    leader.report('ada', [done(first!.attempt)]);
    const growthOf = (change: Parameters<typeof stagePlan>[1]) =>
      plan(planOf(stagePlan('s', change))).stages[0]!.growth;
    const large = { input: { ...blobNamed('d'), sizeBytes: 1_300_000 } };
    assert.deepEqual([growthOf(code('e')), growthOf({ ...code('e'), ...large })], ['near', 'guessed']);
    assert.equal(growthOf({ ...code('e'), ...large, estimateSeconds: 5 }), undefined, 'its author has said it');
  });

  it('plans around what runs, and what other jobs of a higher priority wait for', () => {
    leader.join('ada', { slots: 1, queue: 0 });
    const job = planOf(stagePlan('s', { estimateSeconds: 10 }));
    const alone = plan(job).finish!.q50Ms!;
    leader.submit('other', planOf(stagePlan('t', { estimateSeconds: 100, priority: 7 })));
    const beside = plan(job).finish!.q50Ms!;
    assert.ok(beside > alone + 60_000, `${beside} after ${alone}`);
    leader.submit('more', planOf(stagePlan('t', { estimateSeconds: 100, priority: 7 })));
    const behind = plan(job).finish!.q50Ms!;
    assert.ok(behind > beside + 60_000, `${behind} after ${beside}`);
    leader.submit('last', planOf(stagePlan('t', { estimateSeconds: 100, priority: 1 })));
    assert.equal(plan(job).finish!.q50Ms, behind);
  });

  it('gives a task as much of what its author said of the stage as it reads of the input', () => {
    leader.join('ada', { slots: 1, queue: 0 });
    leader.submit('j', planOf(splitStage('map', 2, { estimateSeconds: 110 })));
    const index = { ...recordIndex(2), offsets: [0, 100], endOffset: 1_100 };
    const of = { account: 'me', job: 'j', stage: 'map', source: blobNamed('a', 1_100) };
    leader.step({ type: 'indexed', ...of, index });
    const { tasks } = plan(undefined, { job: 'j' });
    const [small, large] = ['map-0', 'map-1'].map((name) => {
      const { startMs, finishMs } = tasks.find(({ task }) => task === name)!;
      return finishMs - startMs;
    }) as [number, number];
    assert.ok(large > 9 * small && large < 11 * small, `${small} and ${large} ms`);
  });

  it('plans what is left of a job, its running tasks where they run', () => {
    leader.join('ada', { slots: 2, queue: 0 });
    leader.submit('j', planOf(splitStage('map', 4, { estimateSeconds: 40 })));
    leader.indexed('j', 'map', 40);
    const running = [...leader.planner.attempts.values()];
    assert.equal(running.length, 2);
    for (const { key, node } of running) leader.report(node, [{ type: 'started', attempt: key }]);
    const { tasks, stages } = plan(undefined, { job: 'j' });
    assert.deepEqual(
      tasks.filter(({ slot }) => slot === undefined).map(({ task, node, startMs }) => [task, node, startMs]),
      running.map(({ task }) => [task.ledger.task, 'ada', 0]),
    );
    assert.equal(tasks.length, 5);
    assert.equal(stages[0]!.isExact, true);
    leader.report('ada', [done(running[0]!.key)]);
    assert.equal(plan(undefined, { job: 'j' }).tasks.length, 4);
    const unknown = answer(undefined, { job: 'nothing' });
    assert.ok(unknown.query === 'error' && unknown.problem.code === 'MESH_JOB_UNKNOWN');
  });

  it('says at once that a deadline will not be met, what is the best there is, and runs the job', () => {
    leader.join('ada', { slots: 1 });
    const stage = stagePlan('s', { estimateSeconds: 100 });
    const tight = { ...planOf(stage), deadline: { withinMs: 30_000, confidence: 0.95 } };
    const dry = plan(tight);
    assert.ok(dry.deadline!.probability < 0.2);
    assert.deepEqual(
      dry.problems.map(({ code }) => code),
      ['MESH_DEADLINE_UNLIKELY'],
    );
    const [accepted] = statesIn(leader.submit('j', tight));
    assert.equal(accepted!.problem?.code, 'MESH_DEADLINE_UNLIKELY');
    assert.match(accepted!.problem!.message, /deadline in 30 s .*asked for were 95 %.*\(50 %\).*\(95 %\)/);
    assert.ok(accepted!.deadline!.probability! < 0.2 && accepted!.deadline!.confidence === 0.95);
    assert.equal(leader.planner.attempts.size, 1, 'it runs all the same');
    const easy = { ...planOf(stage), deadline: { withinMs: 3_600_000 } };
    leader.step({ type: 'tick' }, 200);
    const [other] = statesIn(leader.submit('k', easy));
    assert.equal(other!.problem, undefined);
    assert.ok(other!.deadline!.probability! > 0.9);
    assert.ok(stateOf('j').promise!.confidence === 0.95 && stateOf('k').promise!.confidence === 0.9);
  });

  it('keeps the first promise in the log, says what is expected since, and both when it is done', () => {
    leader.join('ada', { slots: 1 });
    leader.submit('j', planOf(stagePlan('s', { estimateSeconds: 20 })));
    assert.deepEqual([stateOf('j').promise, stateOf('j').finish], [undefined, undefined]);
    leader.step({ type: 'tick' }, 1_100);
    const { promise, finish } = stateOf('j');
    assert.equal(promise!.madeMs, 1_100);
    assert.equal(promise!.withinMs, 1_100 + finish!.q90Ms!);
    leader.step({ type: 'tick' }, 4_000);
    assert.equal(stateOf('j').finish!.q90Ms, finish!.q90Ms! - 4_000, 'time passes');
    const [attempt] = [...leader.planner.attempts.keys()];
    leader.step({ type: 'tick' }, 2_000);
    const [state] = statesIn(leader.report('ada', [done(attempt!)])).filter(({ phase }) => phase === 'done');
    assert.deepEqual(state!.promise, promise);
    assert.equal(state!.finish, undefined);
  });

  it('promises nothing of what is over in a moment, and of what nobody knows', () => {
    leader.join('ada', { slots: 1 });
    leader.submit('unknown', planOf(stagePlan('s')));
    leader.step({ type: 'tick' }, 900);
    leader.step({ type: 'tick' }, 10_000);
    assert.deepEqual([stateOf('unknown').promise, stateOf('unknown').finish], [undefined, undefined]);
  });
});
