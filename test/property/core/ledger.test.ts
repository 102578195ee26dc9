import assert from 'node:assert/strict';
import { decodeCbor, encodeCbor, limits } from '@foremesh/node-runtime/contract';
import {
  applyCommand,
  createLedger,
  type JobCommand,
  type Ledger,
  type LedgerCommand,
  type LedgerEvent,
  restoreLedger,
  snapshotLedger,
  validateLedger,
} from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { plans, retentionMs, sequences } from './ledger-commands.ts';

const numRuns = Math.max(400, Number(process.env.FOREMESH_FUZZ_RUNS ?? 0));

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
  readonly promised = new Set<string>();
  readonly keys = new Map<string, string>();
  readonly removed = new Set<string>();
  newestVoters = -1;
  /** `account name` -> how much, of what an owner has said and not taken back. */
  readonly quotas = new Map<string, number>();
  /** The blob of the newest model of a kind. */
  readonly models = new Map<string, string>();
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
    if (command.type === 'keep-model') {
      const { kind, weights } = command;
      const isKnown = kind === 'cpu' || kind === 'memory';
      const dropped: LedgerEvent = { type: 'dropped', command, reason: 'no such series' };
      assert.deepEqual(events, [isKnown ? { type: 'model-kept', kind } : dropped]);
      if (isKnown) this.models.set(kind, weights.blob);
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
      case 'job-promised':
        assert.ok(!this.promised.has(event.key), 'a job is promised once');
        this.promised.add(event.key);
        return;
      case 'stage-cut':
      case 'task-retired':
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
    assert.deepEqual(new Map([...ledger.models].map(([kind, { weights }]) => [kind, weights.blob])), this.models);
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
