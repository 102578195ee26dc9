import {
  type Assign,
  type Checkpoint,
  decode,
  encode,
  type InboxMessage,
  type JobResult,
  jobResult,
  jobState,
  type NodeForecast,
  nodeForecast,
  type OutboxMessage,
  type Topics,
} from '@foremesh/node-runtime/contract';
import {
  findTask,
  holdsLease,
  isWhole,
  type LedgerCommand,
  type LedgerEvent,
  type LogEntry,
  type PlannerState,
  type RaftState,
  type VoterEffect,
  type VoterEvent,
  type VoterState,
} from '@foremesh/node-runtime/core';
import { plainText } from '../engine/plain-text.ts';
import { type Blobs, expectedOutputs, type VirtualJob } from '../scenario/virtual-jobs.ts';
import { CutChecks } from './cut-checks.ts';
import { LogChecks } from './log-checks.ts';
import { check } from './violation.ts';

/** What one needs to see the whole mesh for: an observer that no machine knows of. */
export class Checks {
  readonly #blobs: Blobs;
  readonly #jobs: ReadonlyMap<string, VirtualJob>;
  readonly #topics: Topics;
  readonly log: LogChecks;
  readonly #attempts = new Set<string>();
  readonly #commits = new Map<string, string>();
  /** Attempts that their nodes were told to stop, or asked to give back. */
  readonly #takenBack = new Set<string>();
  /** When each task was moved last, by the clock of the leader that did it. */
  readonly #movedMs = new Map<string, number>();
  readonly #cuts: CutChecks;
  /** Tasks that were taken from their nodes and not assigned again yet. */
  readonly #moving = new Set<string>();
  /** Of each task that was assigned, how many attempts there are at the leader's choice: copies, and those that went on elsewhere. */
  readonly #chosen = new Map<string, number>();
  /** The latest that count. */
  readonly #checkpoints = new Map<string, number>();
  readonly #acknowledged = new Set<string>();
  readonly #nodeTerms = new Map<string, number>();
  readonly #believedTerms = new Map<string, number>();
  readonly #newestStates = new Map<string, readonly [term: number, revision: number]>();
  readonly #results = new Map<string, string>();
  /** Phases of ended jobs, as published. */
  readonly ended = new Map<string, string>();
  runs = 0;
  moves = 0;
  forecasts = 0;

  constructor(topics: Topics, blobs: Blobs, jobs: ReadonlyMap<string, VirtualJob>, founder: string) {
    this.log = new LogChecks(founder);
    this.#topics = topics;
    this.#blobs = blobs;
    this.#jobs = jobs;
    this.#cuts = new CutChecks(this.log.ledger, blobs);
  }

  // I3, I4, I5.

  /** A voter has applied an entry; what the first of them makes of the jobs is looked at. */
  applied(raft: RaftState<LedgerCommand>, entry: LogEntry<LedgerCommand>, expectedIndex: number): void {
    for (const event of this.log.applied(raft, entry, expectedIndex)) this.#ledgerMoved(event);
  }

  #ledgerMoved(event: LedgerEvent): void {
    if (event.type === 'checkpoint-counted') this.#checkpointCounts(event);
    if (event.type === 'attempt-failed' || event.type === 'checkpoint-dropped') this.#checkpointIsOver(event);
    if (event.type === 'task-retired') this.#cuts.retired(event);
    if (event.type !== 'task-committed') return;
    const task = `${event.key}/${event.task}`;
    const before = this.#commits.get(task);
    check(
      before === undefined || before === event.attempt,
      'I4',
      `${task} was committed by ${before} and ${event.attempt}`,
    );
    this.#commits.set(task, event.attempt);
    this.#cuts.committed(event, this.#taskOf(event));
    let learned = 0;
    for (const { tasks } of this.log.ledger.profiles.values()) learned += tasks;
    check(
      learned === this.#commits.size,
      'profiles',
      `${this.#commits.size} tasks are done, ${learned} were learned from`,
    );
    const output = this.#taskOf(event)?.output;
    if (output !== undefined && 'blob' in output) {
      check(this.#blobs.has(output.blob), 'I5', `${task} is committed, its output is nowhere`);
    }
  }

  #checkpointCounts({ key, task, checkpoint }: LedgerEvent & { type: 'checkpoint-counted' }): void {
    const name = `${key}/${task}`;
    const { sequence, state } = checkpoint;
    check(this.#blobs.has(state.blob), 'I5', `checkpoint ${sequence} of ${name} counts, its state is nowhere`);
    const before = this.#checkpoints.get(name) ?? 0;
    check(sequence > before, 'I5', `checkpoint ${sequence} of ${name} counts after ${before}`);
    this.#checkpoints.set(name, sequence);
  }

  /** Nobody goes on from where an attempt went wrong, nor from what is lost. */
  #checkpointIsOver(event: { readonly key: string; readonly task: string }): void {
    this.#checkpoints.delete(`${event.key}/${event.task}`);
    const { sequence } = this.#taskOf(event)?.checkpoint ?? {};
    check(sequence === undefined, 'I5', `checkpoint ${sequence} of ${event.key}/${event.task} counts still`);
  }

  #taskOf({ key, task }: { readonly key: string; readonly task: string }) {
    const job = this.log.ledger.jobs.get(key);
    return job === undefined ? undefined : findTask(job, task);
  }

  /** A new leader has read the log, and begins to plan. */
  elected(
    { raft, ledger, appliedIndex }: VoterState,
    effects: readonly VoterEffect[],
    heard: Iterable<VoterEvent & { type: 'spec-heard' }>,
  ): void {
    this.log.isAsNew(raft, appliedIndex);
    for (const key of this.#acknowledged)
      check(ledger.jobs.has(key) || ledger.tombstones.has(key), 'I3', `job ${key} is lost`);
    for (const { account, job, specHash } of heard) {
      const taken = effects.some(
        (each) =>
          each.type === 'take-spec' && each.account === account && each.job === job && each.specHash === specHash,
      );
      check(taken, 'specs', `${raft.id} leads, has heard the spec of ${account}/${job}, and does not take it in`);
    }
  }

  // What the leader says.

  leaderSends({ planner, raft }: VoterState, node: string, message: InboxMessage): void {
    if (message.type === 'cancel' || message.type === 'reclaim') this.#takenBack.add(message.attempt);
    if (message.type !== 'assign') return;
    const { attempt, account, job, stage, task } = message;
    check(holdsLease(raft, planner.nowMs), 'lease', `${raft.id} assigns ${attempt}, and its lease has run out`);
    check(!this.#attempts.has(attempt), 'attempts', `${attempt} was assigned before`);
    this.#attempts.add(attempt);
    this.runs += 1;
    const ledger = planner.ledger.jobs.get(`${account}/${job}`);
    this.#counts(message, planner);
    const tasks = ledger?.stages.get(stage)?.tasks ?? [];
    const assigned = tasks.find((each) => each.task === task);
    check(assigned !== undefined, 'cut', `${attempt} was assigned, the log has no such task`);
    this.#resumes(message, assigned.checkpoint);
    check(ledger?.phase === 'running', 'cut', `${attempt} was assigned, its job is ${ledger?.phase}`);
    const view = planner.nodes.get(node);
    const room = view === undefined ? 0 : view.status.slots + view.status.queue;
    check(
      (view?.attempts.size ?? 0) <= room,
      'I7',
      `${node} offers room for ${room}, was given ${view?.attempts.size}`,
    );
    check(view?.confirmed === true, 'inventory', `${node} was given ${attempt} before it said what it has in hand`);
  }

  /** One attempt of a task, and at most one copy: when all of its stage is out. */
  #counts({ attempt, account, job, stage, task }: Assign, { jobs, ledger }: PlannerState): void {
    const key = `${account}/${job}`;
    const view = jobs.get(key);
    const others = view?.tasks.get(task)?.attempts.size ?? 0;
    check(others <= 2, 'copies', `${attempt} was assigned, and ${others - 1} others go on`);
    const open = ledger.jobs.get(key)?.stages.get(stage);
    const isAllOut = open !== undefined && isWhole(open) && open.openParts === view?.stages.get(stage)?.atNodes;
    check(others < 2 || isAllOut, 'copies', `${attempt} is a copy, and others of its stage wait`);
    const name = `${key}/${task}`;
    // The first is no copy, even when one look at the task made a copy of it too.
    const chosen = this.#chosen.get(name);
    if (chosen === undefined) this.#chosen.set(name, 0);
    else if (others > 1 || this.#moving.delete(name)) this.#chosen.set(name, chosen + 1);
  }

  /** What people are told: of a task that moves, that it does not go to and fro. */
  leaderTells(
    { planner }: VoterState,
    { kind, fields }: { readonly kind: string; readonly fields?: Readonly<Record<string, unknown>> | undefined },
  ): void {
    if (kind !== 'task-moved') return;
    const { account, job, task } = fields!;
    // Another leader does not know what was moved before it.
    const key = `${account}/${job}/${task} of term ${planner.term}`;
    const passedMs = planner.nowMs - (this.#movedMs.get(key) ?? Number.NEGATIVE_INFINITY);
    check(passedMs >= planner.config.moveCoolDownMs, 'moves', `${key} moves again after ${passedMs} ms`);
    this.#movedMs.set(key, planner.nowMs);
    this.moves += 1;
    // Of one that is split anew nothing is run again by its name.
    if (fields!.kind !== 'resplit') this.#moving.add(`${account}/${job}/${task}`);
  }

  /** Whoever reads it can draw it: no curve crosses another, none leaves the range of its resource. */
  forecast(forecast: NodeForecast): void {
    const { node, steps, memoryBytes } = decode(nodeForecast, encode(forecast, 'json'));
    for (const { resource, own, available } of forecast.resources) {
      const most = resource === 'cpu' ? 1 : resource === 'memory' ? memoryBytes : Number.POSITIVE_INFINITY;
      for (const { q10, q50, q90 } of [own, ...(available === undefined ? [] : [available])]) {
        const isDrawn = q50.length === steps && q50.every((value, step) => q10[step]! <= value && value <= q90[step]!);
        check(isDrawn && q90.every((value) => value <= most), 'forecast', `of ${resource} of ${node} cannot be drawn`);
      }
    }
    this.forecasts += 1;
  }

  /** From the latest that counts, unless a node has found it spoiled. */
  #resumes({ attempt, resume }: Assign, counts: Checkpoint | undefined): void {
    const latest = resume?.state.blob === counts?.state.blob && resume?.sequence === counts?.sequence;
    const anew = resume === undefined && counts !== undefined && this.#blobs.wasSpoiled(counts.state.blob);
    check(latest || anew, 'I5', `${attempt} goes on from ${resume?.sequence}, ${counts?.sequence} counts`);
  }

  /** Whatever passes the broker. */
  seen(topic: string, payload: Uint8Array): void {
    if (payload.length === 0) return;
    const parsed = this.#topics.parse(topic);
    if (parsed?.kind === 'state') this.#seenState(payload);
    else if (parsed?.kind === 'result') this.#seenResult(`${parsed.account}/${parsed.job}`, decode(jobResult, payload));
  }

  #seenState(payload: Uint8Array): void {
    const { account, job, phase, problem, term, revision } = decode(jobState, payload);
    const key = `${account}/${job}`;
    check(phase !== 'refused', 'I3', `${key} was refused: ${problem?.message}`);
    const { jobs, tombstones } = this.log.ledger;
    const inLog = jobs.has(key) || tombstones.has(key);
    check(inLog, 'I3', `${key} was acknowledged and is not in the log`);
    this.#acknowledged.add(key);
    // What a leader of the past still had on the way says nothing, and whoever reads it sees that.
    const newest = this.#newestStates.get(key) ?? [0, 0];
    if (term < newest[0] || (term === newest[0] && revision < newest[1])) return;
    this.#newestStates.set(key, [term, revision]);
    const before = this.ended.get(key);
    check(before === undefined || before === phase, 'I4', `${key} was ${before} and is ${phase}`);
    if (phase === 'done' || phase === 'failed' || phase === 'cancelled') this.ended.set(key, phase);
  }

  #seenResult(key: string, result: JobResult): void {
    const text = plainText(result);
    const before = this.#results.get(key);
    check(before === undefined || before === text, 'I4', `the result of ${key} changed from ${before} to ${text}`);
    if (before !== undefined) return;
    this.#results.set(key, text);
    const job = this.#jobs.get(key)!;
    if (job.cancelMs !== undefined && result.phase === 'cancelled') return;
    const wanted = job.doomed ? 'failed' : 'done';
    check(result.phase === wanted, 'I6', `${key} is ${result.phase}, not ${wanted}: ${result.problem?.message}`);
    if (job.doomed) {
      check(
        result.problem?.code === 'MESH_TASK_POISON' || result.problem?.code === 'MESH_TASK_THREW',
        'I3',
        `${key} failed by ${result.problem?.code}`,
      );
      return;
    }
    for (const [stage, numbers] of expectedOutputs(job.plan, this.#blobs)) {
      const found = this.#blobs.numbersOfResult(result.outputs![stage]!);
      check(
        JSON.stringify(found) === JSON.stringify(numbers),
        'I6',
        `${key}, stage ${stage}: ${found}, not ${numbers}`,
      );
    }
  }

  // I2, I7.

  nodeHeard(node: string, messageTerm: number, before: readonly number[], after: readonly number[]): void {
    check(after[0]! >= before[0]!, 'I2', `${node} lowered its term from ${before[0]} to ${after[0]}`);
    if (messageTerm >= before[0]!) return;
    check(
      before.every((each, at) => each === after[at]),
      'I2',
      `${node} obeyed term ${messageTerm} in term ${before[0]}`,
    );
  }

  /** The highest term that was proven to the node: its fence. */
  nodeBelieves(node: string, term: number): void {
    const before = this.#believedTerms.get(node) ?? 0;
    check(term >= before, 'I2', `${node} obeys term ${term} after term ${before}`);
    this.#believedTerms.set(node, term);
  }

  /** The node acts, or speaks, in this term: it must never act in a lower one again. */
  nodeActs(node: string, term: number, termOnDisk: number): void {
    check(term <= termOnDisk, 'I2', `${node} acts in term ${term}, on its disk is ${termOnDisk}`);
    const before = this.#nodeTerms.get(node) ?? 0;
    check(term >= before, 'I2', `${node} acts in term ${term}, it has acted in ${before}`);
    this.#nodeTerms.set(node, term);
  }

  /** What an attempt came to is on the node's disk before anyone hears of it. */
  outcomeReported(node: string, message: OutboxMessage, journaled: ReadonlySet<string>): void {
    // A node that refuses to run an attempt has nothing to keep.
    if (message.type !== 'done' && !(message.type === 'failed' && message.fault === 'task')) return;
    check(journaled.has(message.attempt), 'outcomes', `${node} reports ${message.attempt} and has not kept it`);
  }

  diskWasLost(node: string): void {
    this.log.diskWasLost(node);
    this.#nodeTerms.delete(node);
  }

  runsOn(
    node: string,
    offer: { slots: number; memoryBytes: number },
    running: readonly { attempt: string; memoryBytes: number }[],
  ): void {
    const names = new Set(running.map((each) => each.attempt));
    check(names.size === running.length, 'I7', `${node} runs an attempt twice`);
    check(running.length <= offer.slots, 'I7', `${node} runs ${running.length} attempts, offers ${offer.slots}`);
    const bytes = running.reduce((sum, each) => sum + each.memoryBytes, 0);
    check(bytes <= offer.memoryBytes, 'I7', `${node} runs ${bytes} bytes, offers ${offer.memoryBytes}`);
  }

  // The end.

  everyJobEnded(withinMs: number, story: () => string): void {
    const open = [...this.#jobs.keys()].filter((key) => !this.#results.has(key) || !this.ended.has(key));
    check(
      open.length === 0,
      'I9',
      `${withinMs / 1_000} s after the last fault ${open.join(', ')} have not ended: ${story()}`,
    );
  }

  get allEnded(): boolean {
    return this.#results.size === this.#jobs.size && this.ended.size === this.#jobs.size;
  }

  /** Something that must come to be within a while, faults or not, has. */
  inTime(reached: boolean, checker: string, what: string, withinMs: number): void {
    check(reached, checker, `${withinMs / 1_000} s have passed, and ${what}`);
  }

  settled(leftovers: readonly string[], withinMs: number): void {
    check(
      leftovers.length === 0,
      'settled',
      `${withinMs / 1_000} s after the last job ended, there are still ${leftovers.join(', ')}`,
    );
  }

  /** Nothing was lost, nobody died, no task threw: then nothing ran twice. */
  nothingRanTwice(): void {
    if (this.log.terms > 1) return; // a new leader may have to ask twice
    const results = new Set(this.#commits.values());
    const wild = [...this.#attempts].filter((attempt) => !results.has(attempt) && !this.#takenBack.has(attempt));
    check(wild.length === 0, 'waste', `nobody has stopped ${wild.join(', ')}, whose tasks others did`);
    // What was done of a task before it was split anew is nobody's fault.
    const isWhole = (task: string) => !this.#cuts.isRetired(task);
    const runs = [...this.#attempts].filter((attempt) => isWhole(attempt.slice(0, attempt.lastIndexOf('#')))).length;
    let chosen = 0;
    for (const [task, attempts] of this.#chosen) if (isWhole(task)) chosen += attempts;
    check(
      runs - chosen === this.#commits.size,
      'waste',
      `${runs} attempts, of them ${chosen} copies or moved, for ${this.#commits.size} results, and nothing had failed`,
    );
  }
}
