import assert from 'node:assert/strict';
import { decodeCbor, encodeCbor, limits } from '@foremesh/node-runtime/contract';
import {
  applyCommand,
  createLedger,
  type JobCommand,
  type JobPlan,
  type Ledger,
  type LedgerCommand,
  type LedgerEvent,
  restoreLedger,
  snapshotLedger,
  validateLedger,
} from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { blobNamed, json, mergeCode, planOf, stagePlan, usage } from '../../unit/core/samples.ts';

const numRuns = Math.max(400, Number(process.env.FOREMESH_FUZZ_RUNS ?? 0));

const plans: readonly JobPlan[] = [
  planOf(stagePlan('s')),
  planOf(stagePlan('s', { input: blobNamed('a'), split: { by: 'lines' }, merge: mergeCode })),
  planOf(
    stagePlan('s', { input: blobNamed('a'), split: { by: 'lines' }, sink: false }),
    stagePlan('s-1', { needs: ['s'], split: { by: 'items' }, merge: mergeCode }),
  ),
];
const timed: readonly JobPlan[] = [
  { ...planOf(stagePlan('s')), deadline: { withinMs: 4_000 } },
  ...(['allow', 'skip'] as const).map((overlap): JobPlan => {
    const schedule = { cron: '* * * * * *', timezone: 'UTC', catchUp: 'none' as const, overlap };
    return { ...planOf(stagePlan('s')), schedule };
  }),
];
const retentionMs = 1_000;
const stages = ['s', 's-1', 'nowhere'];
/** Names of tasks, more often those that are. */
const taskName = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('s-0', 's-1', 's-merge', 's-1-0', 's-1-merge') },
  fc.constantFrom('s-2', 's-1-1', 's-', 's-00', 's-0x1', 'nowhere-0', 'constructor'),
);

const head = { account: fc.constant('me'), job: fc.constantFrom('a', 'b', 'c'), atMs: fc.nat(10_000) };
const attempt = fc.nat(2).map((n) => `me/a/s-0#1.${n}`);
const node = fc.constantFrom('n1', 'n2', 'n3');
const range = fc.record({ start: fc.nat(50), end: fc.nat(50), firstRecord: fc.nat(3), records: fc.nat(3) });
const cutTasks = fc.oneof(
  // A sound cut, as the planner makes it...
  fc
    .record({ stage: fc.constantFrom('s', 's-1'), sizes: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }) })
    .map(({ stage, sizes }) => {
      let firstRecord = 0;
      return sizes.map((records, number) => {
        const piece = {
          task: `${stage}-${number}`,
          range: { start: firstRecord, end: firstRecord + records, firstRecord, records },
        };
        firstRecord += records;
        return piece;
      });
    }),
  fc.constantFrom([{ task: 's-0' }], [{ task: 's-1-0' }]),
  // ... and any other.
  fc.array(fc.record({ task: taskName, range }), { maxLength: 4 }),
);

const accepts = fc.record({
  type: fc.constant('accept-job' as const),
  ...head,
  specHash: fc.constantFrom('h1', 'h2'),
  plan: fc.constantFrom(...plans, ...timed).map((plan) => ({ ...plan, retentionMs })),
  cuts: fc.array(
    fc.record({ stage: fc.constantFrom(...stages), source: fc.constant(blobNamed('b')), tasks: cutTasks }),
    { maxLength: 2 },
  ),
});
const cuts = fc.record({
  type: fc.constant('cut-stage' as const),
  ...head,
  stage: fc.constantFrom(...stages),
  source: fc.constant(blobNamed('b')),
  tasks: cutTasks,
});
const log = fc.constantFrom(100, limits.logBytesPerJob / 2).map((sizeBytes) => blobNamed('9', sizeBytes));
const commits = fc.record(
  {
    type: fc.constant('commit-task' as const),
    ...head,
    task: taskName,
    attempt,
    node,
    output: fc.nat(9).map(json),
    usage: fc.nat(3).map((cpuMs) => ({ ...usage, cpuMs })),
    speed: fc.constantFrom(0.5, 1, 4.8),
    log,
  },
  { requiredKeys: ['type', 'account', 'job', 'atMs', 'task', 'attempt', 'node', 'output', 'usage', 'speed'] },
);
const failures = fc.record(
  {
    type: fc.constant('fail-attempt' as const),
    ...head,
    task: taskName,
    attempt,
    node,
    problem: fc.constant({ code: 'MESH_TASK_THREW', message: 'boom' }),
    log,
  },
  { requiredKeys: ['type', 'account', 'job', 'atMs', 'task', 'attempt', 'node', 'problem'] },
);
const state = fc.constantFrom('x', 'y', 'z').map(blobNamed);
const checkpoints = fc.record({
  type: fc.constant('count-checkpoint' as const),
  ...head,
  task: taskName,
  attempt,
  checkpoint: fc.record({ sequence: fc.integer({ min: 1, max: 4 }), state }),
});
const losses = fc.record({
  type: fc.constant('drop-checkpoint' as const),
  ...head,
  task: taskName,
  blob: state.map(({ blob }) => blob),
});
const ends = fc.record({
  type: fc.constant('end-job' as const),
  ...head,
  phase: fc.constantFrom('failed' as const, 'cancelled' as const),
  problem: fc.constant({ code: 'MESH_JOB_CANCELLED', message: 'enough' }),
});
const key = fc.constantFrom('k', 'l').map((letter) => `${letter.repeat(42)}A`);
const enrollments = fc.record({
  type: fc.constant('enroll-node' as const),
  node,
  publicKey: key,
  atMs: fc.nat(10_000),
});
const removals = fc.record({ type: fc.constant('remove-node' as const), node, atMs: fc.nat(10_000) });
const voters = fc.uniqueArray(fc.record({ node, publicKey: key }), { minLength: 1, selector: (voter) => voter.node });
const links = fc.record({
  type: fc.constant('certify-voters' as const),
  link: fc.record(
    { index: fc.nat(30), term: fc.nat(5), voters, outgoing: voters, signer: key, signature: fc.constant('s') },
    { requiredKeys: ['index', 'term', 'voters', 'signer', 'signature'] },
  ),
});
const settings = fc.record({
  type: fc.constant('set-voters' as const),
  settings: fc.record({ settleMs: fc.nat(9), replaceAfterMs: fc.nat(9) }),
  atMs: fc.nat(10_000),
});
const most = fc.option(fc.nat(9));
const quotas = fc.record({
  type: fc.constant('set-quota' as const),
  account: fc.constantFrom('me', 'you', 'constructor'),
  change: fc.record({ jobs: most, storedBytes: most, tasksAtOnce: most }, { requiredKeys: [] }),
  atMs: fc.nat(10_000),
});
const begins = fc.record({ type: fc.constant('begin-schedule' as const), ...head, fromMs: fc.nat(3_000) });
const starts = fc.record(
  {
    type: fc.constant('start-occurrence' as const),
    ...head,
    occurrenceMs: fc.integer({ min: 1, max: 9 }).map((second) => second * 1_000),
    skip: fc.constant('no room'),
  },
  { requiredKeys: ['type', 'account', 'job', 'atMs', 'occurrenceMs'] },
);
const misses = fc.record({ type: fc.constant('miss-deadline' as const), ...head });
const expiries = fc.record({ type: fc.constant('expire-job' as const), ...head });
const ages = fc.record({ type: fc.constant('pass-time' as const), passedMs: fc.constantFrom(-1, 0.5, 0, 400, 1_000) });
const commands: fc.Arbitrary<LedgerCommand> = fc.oneof(
  { weight: 3, arbitrary: ages },
  { weight: 3, arbitrary: begins },
  { weight: 6, arbitrary: starts },
  { weight: 1, arbitrary: misses },
  { weight: 4, arbitrary: expiries },
  { weight: 1, arbitrary: settings },
  { weight: 2, arbitrary: quotas },
  { weight: 2, arbitrary: enrollments },
  { weight: 1, arbitrary: removals },
  { weight: 2, arbitrary: links },
  { weight: 4, arbitrary: accepts },
  { weight: 6, arbitrary: cuts },
  { weight: 10, arbitrary: commits },
  { weight: 8, arbitrary: failures },
  { weight: 8, arbitrary: checkpoints },
  { weight: 2, arbitrary: losses },
  { weight: 1, arbitrary: ends },
);
const sequences = fc.array(commands, { maxLength: 80, size: 'max' });

/** The dumb model: what has been committed, in plain maps, by nothing but the events. */
class Model {
  readonly phases = new Map<string, string>();
  readonly committed = new Map<string, string>();
  readonly failures = new Map<string, Set<string>>();
  /** Of open tasks the sequence and the state of the checkpoint that counts. */
  readonly checkpoints = new Map<string, readonly [number, string]>();
  readonly forgotten = new Set<string>();
  /** How long each ended job has been kept, from the first time that time passed. */
  readonly keptMs = new Map<string, number>();
  /** The last of each schedule, or when it began. */
  readonly occurrences = new Map<string, number>();
  readonly missed = new Set<string>();
  readonly keys = new Map<string, string>();
  readonly removed = new Set<string>();
  newestVoters = -1;
  /** `account name` -> how much, of what an owner has said and not taken back. */
  readonly quotas = new Map<string, number>();
  wanted: number | undefined;

  follow(command: LedgerCommand, events: readonly LedgerEvent[]): void {
    if (command.type === 'enroll-node') {
      const before = this.keys.get(command.node);
      const { node, publicKey } = command;
      const enrolled: LedgerEvent = { type: 'node-enrolled', node, publicKey };
      if (this.removed.has(publicKey)) {
        assert.deepEqual(events, [{ type: 'dropped', command, reason: 'the key was removed' }]);
        return;
      }
      if (before === undefined) this.keys.set(node, publicKey);
      const reason = before === publicKey ? 'known already' : 'the id has another key';
      assert.deepEqual(events, [before === undefined ? enrolled : { type: 'dropped', command, reason }]);
      return;
    }
    if (command.type === 'remove-node') {
      const { node } = command;
      const publicKey = this.keys.get(node);
      const dropped: LedgerEvent = { type: 'dropped', command, reason: 'no such node' };
      assert.deepEqual(events, [publicKey === undefined ? dropped : { type: 'node-removed', node, publicKey }]);
      // One key under two names: with the one name the other goes too.
      if (publicKey !== undefined) this.removed.add(publicKey);
      this.keys.delete(node);
      return;
    }
    if (command.type === 'certify-voters') {
      const { index } = command.link;
      if (index <= this.newestVoters) assert.equal(events[0]!.type, 'dropped');
      if (events[0]!.type !== 'dropped') this.newestVoters = index;
      return;
    }
    if (command.type === 'pass-time') {
      const { passedMs } = command;
      const dropped: LedgerEvent = { type: 'dropped', command, reason: 'time goes on' };
      const goesOn = passedMs === 0 || passedMs >= 1;
      assert.deepEqual(events, [goesOn ? { type: 'time-passed' } : dropped]);
      for (const [key, phase] of goesOn ? this.phases : [])
        if (phase !== 'running') this.keptMs.set(key, this.keptMs.has(key) ? this.keptMs.get(key)! + passedMs : 0);
      return;
    }
    if (command.type === 'set-quota') {
      assert.deepEqual(events, [{ type: 'quota-set', account: command.account }]);
      for (const [name, most] of Object.entries(command.change)) {
        if (most === null) this.quotas.delete(`${command.account} ${name}`);
        else if (most !== undefined) this.quotas.set(`${command.account} ${name}`, most);
      }
      return;
    }
    if (command.type === 'set-voters') {
      this.wanted = command.settings.settleMs;
      return;
    }
    const key = `${command.account}/${command.job}`;
    const before = this.phases.get(key);
    const dropped = events.length === 1 && events[0]!.type === 'dropped';
    if (command.type === 'accept-job') assert.equal(dropped, before !== undefined || this.forgotten.has(key));
    else if (command.type === 'expire-job') assert.equal(dropped, (this.keptMs.get(key) ?? 0) < retentionMs);
    else if (before !== 'running') assert.ok(dropped, `${command.type} of a job that is ${before}`);
    for (const event of events) this.take(command, event);
  }

  private take(command: JobCommand, event: LedgerEvent): void {
    switch (event.type) {
      case 'job-accepted':
        this.phases.set(event.key, 'running');
        return;
      case 'task-committed': {
        const task = `${event.key}/${event.task}`;
        assert.ok(!this.committed.has(task), `I4: ${task} is committed twice`);
        this.committed.set(task, event.attempt);
        this.checkpoints.delete(task);
        return;
      }
      case 'attempt-failed': {
        const counted = this.failures.get(`${event.key}/${event.task}`) ?? new Set();
        assert.ok(!counted.has(event.attempt), 'a failure is counted twice');
        this.failures.set(`${event.key}/${event.task}`, counted.add(event.attempt));
        this.checkpoints.delete(`${event.key}/${event.task}`);
        return;
      }
      case 'checkpoint-counted': {
        const task = `${event.key}/${event.task}`;
        const { sequence, state } = event.checkpoint;
        assert.ok(!this.committed.has(task), 'a task that is done goes on from nothing');
        assert.ok(!this.failures.get(task)?.has(event.attempt), 'nobody goes on from where an attempt failed');
        assert.ok(sequence > (this.checkpoints.get(task)?.[0] ?? 0), 'a checkpoint went back');
        this.checkpoints.set(task, [sequence, state.blob]);
        return;
      }
      case 'checkpoint-dropped': {
        const task = `${event.key}/${event.task}`;
        assert.equal(this.checkpoints.get(task)?.[1], event.blob);
        this.checkpoints.delete(task);
        return;
      }
      case 'job-ended':
        for (const task of [...this.checkpoints.keys()])
          if (task.startsWith(`${event.key}/`)) this.checkpoints.delete(task);
        this.phases.set(event.key, command.type === 'end-job' ? command.phase : 'done');
        return;
      case 'job-forgotten':
        assert.notEqual(this.phases.get(event.key), 'running');
        this.phases.delete(event.key);
        this.keptMs.delete(event.key);
        this.forgotten.add(event.key);
        return;
      case 'occurrence-started':
      case 'occurrence-skipped': {
        const last = this.occurrences.get(event.key);
        assert.ok(last !== undefined && event.occurrenceMs > last, 'an occurrence after a later one');
        this.occurrences.set(event.key, event.occurrenceMs);
        return;
      }
      case 'schedule-begun':
        assert.ok(!this.occurrences.has(event.key), 'a schedule begins once');
        this.occurrences.set(event.key, (command as JobCommand & { type: 'begin-schedule' }).fromMs);
        return;
      case 'deadline-missed':
        assert.ok(!this.missed.has(event.key), 'a deadline is missed once');
        this.missed.add(event.key);
        return;
      case 'stage-cut':
      case 'node-enrolled':
      case 'node-removed':
      case 'voters-certified':
      case 'voters-set':
      case 'quota-set':
      case 'dropped':
    }
  }

  compare(ledger: Ledger): void {
    assert.deepEqual(new Map([...ledger.nodes].map(([id, { publicKey }]) => [id, publicKey])), this.keys);
    assert.equal(ledger.votersChain.at(-1)?.index ?? -1, this.newestVoters);
    assert.equal(ledger.voters?.settleMs, this.wanted);
    const quotas = [...ledger.quotas].flatMap(([account, quota]) => {
      assert.ok(Object.keys(quota).length > 0, 'nothing is said of it, and it takes room');
      return Object.entries(quota).map(([name, most]) => [`${account} ${name}`, most] as const);
    });
    assert.deepEqual(new Map(quotas), this.quotas);
    assert.deepEqual(new Map([...ledger.jobs].map(([key, job]) => [key, job.phase as string])), this.phases);
    assert.deepEqual(new Set(ledger.tombstones.keys()), this.forgotten);
    // Each task teaches once, whatever is reported late, twice, or of what has failed.
    const learned = [...ledger.profiles.values()].reduce((sum, { tasks }) => sum + tasks, 0);
    assert.deepEqual([learned, ledger.learnedTasks], [this.committed.size, this.committed.size]);
    for (const [key, job] of ledger.jobs) {
      assert.equal(job.schedule?.lastMs, this.occurrences.get(key));
      // Of a job that has ended only results are kept.
      for (const { stage, sink } of job.phase === 'running' ? [] : job.plan.stages) {
        const kept = job.stages.get(stage)!.tasks.filter((task) => task.output !== undefined);
        assert.equal(kept.length, sink && job.phase === 'done' && job.stages.get(stage)!.tasks.length > 0 ? 1 : 0);
      }
      for (const task of [...job.stages.values()].flatMap((stage) => stage.tasks)) {
        const { checkpoint } = task;
        const found = checkpoint === undefined ? undefined : [checkpoint.sequence, checkpoint.state.blob];
        assert.deepEqual(found, this.checkpoints.get(`${key}/${task.task}`));
        assert.equal(task.committed?.attempt, this.committed.get(`${key}/${task.task}`));
        assert.equal(task.failures.length, this.failures.get(`${key}/${task.task}`)?.size ?? 0);
      }
    }
  }
}

function small(): Ledger {
  return createLedger({ endedJobs: 2, endedTasks: 6, tombstones: 100 });
}

function throughDisk(ledger: Ledger): Ledger {
  return restoreLedger(decodeCbor(encodeCbor(snapshotLedger(ledger))));
}

describe('ledger', () => {
  it('agrees with a dumb model after any commands, and never throws', () => {
    fc.assert(
      fc.property(sequences, (sequence) => {
        const ledger = small();
        const model = new Model();
        for (const command of sequence) {
          model.follow(command, applyCommand(ledger, command));
          validateLedger(ledger);
          model.compare(ledger);
        }
      }),
      { numRuns },
    );
  });

  it('becomes the same by the same commands, whenever it is written to disk and read back', () => {
    fc.assert(
      fc.property(sequences, fc.array(fc.nat(80), { maxLength: 4 }), (sequence, restarts) => {
        const undisturbed = small();
        let ledger = small();
        for (const [at, command] of sequence.entries()) {
          if (restarts.includes(at)) ledger = throughDisk(ledger);
          assert.deepEqual(applyCommand(ledger, command), applyCommand(undisturbed, command));
        }
        assert.deepEqual(throughDisk(ledger), throughDisk(undisturbed));
      }),
      { numRuns },
    );
  });

  it('does not change a snapshot that has been written', () => {
    fc.assert(
      fc.property(sequences, sequences, (before, after) => {
        const ledger = small();
        for (const command of before) applyCommand(ledger, command);
        const written = encodeCbor(snapshotLedger(ledger));
        const restored = restoreLedger(decodeCbor(written));
        for (const command of after) applyCommand(ledger, command);
        assert.equal(Buffer.compare(encodeCbor(snapshotLedger(restored)), written), 0);
      }),
      { numRuns: numRuns / 4 },
    );
  });

  it('keeps no more ended jobs and tombstones than it retains', () => {
    const ledger = createLedger({ endedJobs: 3, endedTasks: 100, tombstones: 5 });
    for (let job = 0; job < 50; job += 1) {
      const of = { account: 'me', job: `j${job}`, atMs: 0 };
      applyCommand(ledger, { type: 'accept-job', ...of, specHash: 'h', plan: plans[0]!, cuts: [] });
      applyCommand(ledger, { type: 'end-job', ...of, phase: 'failed', problem: { code: 'X', message: 'x' } });
    }
    assert.deepEqual([...ledger.jobs.keys()], ['me/j47', 'me/j48', 'me/j49']);
    assert.equal(ledger.tombstones.size, 5);
    assert.ok(limits.endedJobsKept > 3);
  });

  it('keeps no more tasks of ended jobs than it retains, and always the job that has just ended', () => {
    const ledger = createLedger({ endedJobs: 100, endedTasks: 5, tombstones: 5 });
    const kept = [2, 3, 4, 9, 1].map((tasks, number) => {
      const of = { account: 'me', job: `j${number}`, atMs: 0 };
      applyCommand(ledger, { type: 'accept-job', ...of, specHash: 'h', plan: plans[0]!, cuts: [] });
      const { stage } = plans[0]!.stages[0]!;
      const names = Array.from({ length: tasks }, (_, part) => ({ task: `${stage}-${part}` }));
      applyCommand(ledger, { type: 'cut-stage', ...of, stage, tasks: names });
      applyCommand(ledger, { type: 'end-job', ...of, phase: 'failed', problem: { code: 'X', message: 'x' } });
      validateLedger(ledger);
      return [...ledger.jobs.keys()].map((key) => key.slice(3));
    });
    assert.deepEqual(kept, [['j0'], ['j0', 'j1'], ['j2'], ['j3'], ['j4']]);
  });
});
