import assert from 'node:assert/strict';
import { type Checkpoint, limits, type OutboxMessage, queryAnswer, type Usage } from '@foremesh/node-runtime/contract';
import {
  answerQuery,
  applyCommand,
  createLedger,
  type JobPlan,
  type LedgerCommand,
  profileOf,
  profileOfTask,
} from '@foremesh/node-runtime/core';
import { takersOf } from '../../../node-runtime/core/planner/pace.ts';
import { workSecondsOf } from '../../../node-runtime/core/planner/profiles.ts';
import { blobNamed, code, json, Leader, planOf, splitStage, stagePlan } from './samples.ts';

const usage: Usage = { cpuMs: 500, wallMs: 900, peakMemoryBytes: 2_000_000, inputBytes: 100, outputBytes: 10 };
const doneWith = (attempt: string, used: Partial<Usage> = {}): OutboxMessage => ({
  type: 'done',
  attempt,
  usage: { ...usage, ...used },
  output: json(1),
});

/** A ledger that is taught by jobs of one task. */
function taught(tasks: readonly { code?: string; used?: Partial<Usage>; speed?: number }[]) {
  const ledger = createLedger();
  for (const [number, { code: name = 'c', used = {}, speed = 1 }] of tasks.entries()) {
    const of = { account: 'me', job: `j${number}`, atMs: 0 };
    const plan = planOf(stagePlan('s', { code: { ...code, blob: name } }));
    applyCommand(ledger, {
      type: 'accept-job',
      ...of,
      specHash: 'h',
      plan,
      cuts: [{ stage: 's', tasks: [{ task: 's-0' }] }],
    });
    applyCommand(ledger, commitOf(of, { speed, usage: { ...usage, ...used } }));
  }
  return ledger;
}

const commitOf = (
  of: { account: string; job: string; atMs: number },
  more: Partial<LedgerCommand & { type: 'commit-task' }>,
): LedgerCommand => ({
  ...{ type: 'commit-task', ...of, task: 's-0', attempt: `me/${of.job}/s-0#1.1`, node: 'n', output: json(1), usage },
  ...more,
});

describe('ledger: profiles', () => {
  it('keep work on a core of speed 1, and no number that nobody has measured', () => {
    const { profiles } = taught([
      { speed: 4 },
      { used: { cpuMs: 0 } },
      { used: { peakMemoryBytes: 0, inputBytes: 0 } },
      { used: { cpuMs: 1e308 }, speed: 1e9 },
    ]);
    const { sample, tasks } = profiles.get('js/c')!;
    assert.equal(tasks, 4);
    assert.deepEqual(sample, [
      [100, 2, 2_000_000, 10],
      [100, null, 2_000_000, 10],
      [0, 0.5, null, 10],
      [100, null, 2_000_000, 10],
    ]);
  });

  it('leave out the work of a node whose speed is unknown, and of an attempt that another one may have begun', () => {
    const ledger = createLedger();
    const state: Checkpoint = { sequence: 1, state: blobNamed('e') };
    const work = (
      job: string,
      ...commands: ((of: { account: string; job: string; atMs: number }) => LedgerCommand)[]
    ) => {
      const of = { account: 'me', job, atMs: 0 };
      const cuts = [{ stage: 's', tasks: [{ task: 's-0' }] }];
      applyCommand(ledger, { type: 'accept-job', ...of, specHash: 'h', plan: planOf(stagePlan('s')), cuts });
      for (const command of commands) applyCommand(ledger, command(of));
      return ledger.profiles.get(`js/${code.blob}`)!.sample.at(-1)![1];
    };
    const counted =
      (n: number) =>
      (of: { account: string; job: string; atMs: number }): LedgerCommand => ({
        ...{ type: 'count-checkpoint', ...of, task: 's-0', attempt: `me/${of.job}/s-0#1.${n}`, checkpoint: state },
      });
    assert.equal(
      work('unknown', (of) => commitOf(of, {})),
      null,
    );
    assert.equal(
      work('whole', counted(1), (of) => commitOf(of, { speed: 1 })),
      0.5,
    );
    assert.equal(
      work('half', counted(2), (of) => commitOf(of, { speed: 1 })),
      null,
    );
    // Once it has been lost, nobody knows whether somebody has begun from it.
    const dropped = (of: { account: string; job: string; atMs: number }): LedgerCommand => ({
      ...{ type: 'drop-checkpoint', ...of, task: 's-0', blob: state.state.blob },
    });
    assert.equal(
      work('lost', counted(2), dropped, (of) => commitOf(of, { speed: 1 })),
      null,
    );
  });

  it('forget the code that was not seen for longest', () => {
    const many = Array.from({ length: limits.profilesKept }, (_, number) => ({ code: `c${number}` }));
    const { profiles } = taught([...many, { code: 'c0' }, { code: 'new' }]);
    assert.equal(profiles.size, limits.profilesKept);
    assert.deepEqual([profiles.has('js/c0'), profiles.has('js/c1'), profiles.get('js/c0')!.tasks], [true, false, 2]);
  });

  it('keep of many tasks a sample of about the last thousand, not of the last alone', () => {
    const { profiles } = taught(Array.from({ length: 6_000 }, (_, number) => ({ used: { inputBytes: number } })));
    const { sample, tasks } = profiles.get('js/c')!;
    assert.deepEqual([tasks, sample.length], [6_000, limits.tasksPerProfile]);
    const ages = sample.map(([number]) => 6_000 - number);
    const mean = ages.reduce((sum, age) => sum + age, 0) / ages.length;
    assert.ok(mean > limits.profileWindowTasks / 2 && mean < limits.profileWindowTasks * 2, `${mean}`);
    const early = taught(Array.from({ length: 1_000 }, (_, number) => ({ used: { inputBytes: number } })));
    const thirds = [0, 0, 0];
    for (const [number] of early.profiles.get('js/c')!.sample) thirds[Math.floor(number / 334)]! += 1;
    assert.ok(Math.min(...thirds) >= 10, `${thirds}`);
  });
});

/** The one that is at a node. */
const attemptOf = (leader: Leader): string => leader.planner.attempts.keys().next().value!;

describe('planner: profiles', () => {
  /** A leader with one node of speed 2 that has done these jobs of one task each. */
  function leaderAfter(jobs: number, category?: string): Leader {
    const leader = new Leader();
    leader.elect();
    leader.join('bob', { speed: { js: 2 }, slots: 8, queue: 8 });
    for (let job = 0; job < jobs; job += 1) {
      const change = category === undefined ? {} : { profile: category };
      leader.submit(`j${job}`, planOf(stagePlan('s', { input: blobNamed('a', 100), ...change })));
      leader.report('bob', [doneWith(attemptOf(leader))]);
    }
    return leader;
  }
  const known = (leader: Leader, job: string) => leader.planner.ledger.jobs.get(`me/${job}`)!;

  it('tell what a task takes from what others took, at the speed of their node', () => {
    const leader = leaderAfter(10);
    leader.submit('next', planOf(stagePlan('s', { input: blobNamed('a', 100) })));
    const job = known(leader, 'next');
    const { workSeconds, peakMemoryBytes, outputBytes, basis, evidence } = profileOf(
      leader.planner,
      job,
      job.plan.stages[0]!,
    );
    assert.deepEqual([basis, evidence], ['own', { tasks: 10, categoryCodes: 0, codes: 0 }]);
    assert.ok(Math.abs(workSeconds!.q50 - 1) < 0.01, `${workSeconds!.q50}`);
    assert.ok(Math.abs(peakMemoryBytes!.q50 / 2e6 - 1) < 0.01 && Math.abs(outputBytes!.q50 / 10 - 1) < 0.05);
  });

  it('learn nothing from what failed, came twice, or was cancelled', () => {
    const leader = leaderAfter(1);
    leader.submit('bad', planOf(stagePlan('s', { retries: 0 })));
    const attempt = attemptOf(leader);
    const failed = { type: 'failed', attempt, fault: 'task', code: 'MESH_TASK_THREW', message: 'boom', usage } as const;
    leader.report('bob', [failed, failed, doneWith(attempt)]);
    leader.submit('late', planOf(stagePlan('s')));
    const late = attemptOf(leader);
    leader.step({ type: 'cancel-requested', account: 'me', job: 'late', reason: 'enough' });
    leader.report('bob', [doneWith(late), doneWith(late)]);
    leader.submit('good', planOf(stagePlan('s')));
    const good = attemptOf(leader);
    leader.report('bob', [doneWith(good), doneWith(good)]);
    assert.equal(leader.planner.ledger.learnedTasks, 2);
  });

  it('know the next leader’s answer: it reads the same log', () => {
    const leader = leaderAfter(5, 'image-processing');
    const next = new Leader({}, leader.planner.ledger, 2);
    next.elect(2);
    next.submit('next', planOf(stagePlan('s', { code: { ...code, blob: 'unknown' }, profile: 'image-processing' })));
    const job = known(next, 'next');
    const { basis, evidence, workSeconds } = profileOf(next.planner, job, job.plan.stages[0]!);
    assert.deepEqual([basis, evidence.categoryCodes], ['category', 1]);
    assert.ok(workSeconds!.q10 < 0.5 && workSeconds!.q90 > 2, JSON.stringify(workSeconds));
  });

  describe('of code that has finished nothing yet', () => {
    /** Code `blob` of this profile has done tasks of so many seconds. */
    function taught(leader: Leader, blob: string, seconds: number, profile?: string): void {
      const named = profile === undefined ? {} : { profile };
      for (let task = 0; task < 8; task += 1) {
        leader.submit(`${blob}${task}`, planOf(stagePlan('s', { code: { ...code, blob }, ...named })));
        const attempt = attemptOf(leader);
        const took = { ...usage, cpuMs: seconds * 500, inputBytes: 100 };
        leader.report('bob', [{ type: 'done', attempt, usage: took, output: json(1) }]);
      }
    }
    function asked(leader: Leader, profile: string | undefined) {
      leader.submit(
        'next',
        planOf(stagePlan('s', { code: { ...code, blob: 'unknown' }, ...(profile && { profile }) })),
      );
      const why = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name: 's-0', job: 'next' });
      const plan = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'plan', job: 'next' });
      assert.ok(why.query === 'why' && plan.query === 'plan', JSON.stringify([why, plan]));
      assert.deepEqual(queryAnswer.parse(why), why);
      assert.deepEqual(queryAnswer.parse(plan), plan);
      const estimate = why.why.estimate!;
      const [stage] = plan.plan.stages;
      assert.deepEqual([stage!.basis, stage!.evidence], [estimate.basis, estimate.evidence], 'plan says what why says');
      assert.deepEqual(stage!.unknownCategory, estimate.unknownCategory);
      return estimate;
    }

    it('begin with the nearest category that is known, and say that the word is not', () => {
      const leader = leaderAfter(0);
      taught(leader, 'a', 100, 'data-analysis');
      taught(leader, 'b', 1, 'image-processing');
      const { basis, evidence, workSeconds, unknownCategory } = asked(leader, 'data-analysi');
      const known = ['data-analysis', 'image-processing'];
      assert.deepEqual(unknownCategory, { name: 'data-analysi', startsFrom: 'data-analysis', known });
      assert.deepEqual([basis, evidence], ['category', { tasks: 0, categoryCodes: 1, codes: 2 }]);
      const right = leaderAfter(0);
      taught(right, 'a', 100, 'data-analysis');
      taught(right, 'b', 1, 'image-processing');
      const meant = asked(right, 'data-analysis');
      assert.equal(meant.unknownCategory, undefined);
      assert.deepEqual(workSeconds, meant.workSeconds);
    });

    it('begin with all that is known where no category is near, merges aside', () => {
      const leader = leaderAfter(0);
      taught(leader, 'a', 100, 'data-analysis');
      const before = asked(leader, 'weather').workSeconds!;
      const merged = leaderAfter(0);
      taught(merged, 'a', 100, 'data-analysis');
      taught(merged, 'm', 0.001, 'merge');
      const { basis, evidence, workSeconds, unknownCategory } = asked(merged, 'weather');
      assert.deepEqual([basis, evidence], ['all', { tasks: 0, categoryCodes: 0, codes: 1 }]);
      assert.deepEqual(unknownCategory, { name: 'weather', known: ['data-analysis'] });
      assert.deepEqual(workSeconds, before);
    });

    it('say nothing of a word where no category is known, or once the code is known by its own tasks', () => {
      const leader = leaderAfter(0);
      taught(leader, 'a', 100);
      assert.equal(asked(leader, 'data-analysis').unknownCategory, undefined);
      const alone = leaderAfter(0);
      taught(alone, 'a', 100, 'data-analysis');
      taught(alone, 'unknown', 1, 'weather');
      const { basis, unknownCategory } = asked(alone, 'weather');
      assert.deepEqual([basis, unknownCategory], ['own', undefined]);
    });

    it('say nothing of a word where there is none', () => {
      const leader = leaderAfter(0);
      taught(leader, 'a', 100);
      const { basis, unknownCategory } = asked(leader, undefined);
      assert.deepEqual([basis, unknownCategory], ['all', undefined]);
    });
  });

  it('believe tasks of the code first, then its author, then others of its category, of placement and of sizes alike', () => {
    const leader = leaderAfter(5, 'image-processing');
    const source = blobNamed('a', 100);
    const unknown = {
      code: { ...code, blob: 'unknown' },
      profile: 'image-processing',
      split: { by: 'lines' as const },
    };
    const ask = (job: string, change: Parameters<typeof stagePlan>[1]) => {
      leader.submit(job, planOf(stagePlan('s', { input: source, ...unknown, ...change })));
      leader.indexed(job, 's', 10, source);
      const view = leader.planner.jobs.get(`me/${job}`)!;
      const [task] = view.tasks.values();
      const rate = takersOf(leader.planner, task!.stage, { source, recordBytes: 10 })(leader.planner.nodes.get('bob')!);
      const share = task!.ledger.range!.records / 10;
      return { seconds: workSecondsOf(leader.planner, task!)!.q50 / share, recordsPerSecond: rate.itemsPerSecond };
    };
    // Others took a second.
    const category = ask('category', {});
    const author = ask('author', { estimateSeconds: 600 });
    assert.ok(Math.abs(author.seconds - 600) < 1e-6, `${author.seconds}`);
    assert.ok(category.seconds < author.seconds / 10, `${category.seconds}`);
    assert.ok(author.recordsPerSecond < category.recordsPerSecond / 10);
    const own = ask('own', { estimateSeconds: 600, code });
    assert.ok(own.seconds < author.seconds / 10, `${own.seconds}`);
    assert.ok(own.recordsPerSecond > 10 * author.recordsPerSecond);
  });

  it('divide the input of a stage by its parts, and foresee what stages that are not done will put out', () => {
    const leader = leaderAfter(12);
    const plan = planOf(
      splitStage('map', 4, { sink: false, input: blobNamed('a', 400) }),
      stagePlan('end', { needs: ['map'] }),
    );
    leader.submit('graph', plan);
    const job = known(leader, 'graph');
    const part = profileOf(leader.planner, job, job.plan.stages[0]!);
    assert.ok(Math.abs(part.workSeconds!.q50 - 1) < 0.05, `${part.workSeconds!.q50}`);
    leader.indexed('graph', 'map', 40, blobNamed('a', 400));
    const tasks = job.stages.get('map')!.tasks;
    const merge = profileOfTask(leader.planner, job, tasks.at(-1)!);
    assert.deepEqual([tasks.length, merge.basis], [5, 'all']);
    assert.ok(Math.abs(profileOfTask(leader.planner, job, tasks[0]!).workSeconds!.q50 - 1) < 0.05);
    assert.notEqual(profileOf(leader.planner, job, job.plan.stages[1]!).basis, 'none');
  });

  it('answer at once for a graph in which every stage needs all of the layer before', () => {
    const leader = leaderAfter(3);
    const stages = Array.from({ length: 60 }, (_, at) => {
      const layer = Math.floor(at / 3);
      const needs = layer === 0 ? [] : [0, 1, 2].map((each) => `s${(layer - 1) * 3 + each}`);
      return stagePlan(`s${at}`, { needs, sink: at >= 57 });
    });
    leader.submit('layers', { stages } satisfies JobPlan);
    const job = known(leader, 'layers');
    assert.equal(profileOf(leader.planner, job, job.plan.stages.at(-1)!).basis, 'own');
  });
});
