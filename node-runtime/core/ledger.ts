import {
  type AccountQuota,
  type DataReference,
  type ForecastResource,
  type JobPromise,
  limits,
  type Output,
  type Problem,
  type Usage,
  type VotersLink,
} from '../contract/index.ts';
import { hasParts, type JobPlan, jobKeyOf } from './job-plan.ts';
import { type CheckpointedTask, countCheckpoint, dropCheckpoint } from './ledger-checkpoints.ts';
import type { JobCommand, LedgerCommand, LedgerEvent, RecordRange, VoterSettings } from './ledger-commands.ts';
import { applyCut, cutStage, findCutFault, isDone, partsOf, retireTask, stagePlanOf } from './ledger-cuts.ts';
import { keptLog } from './ledger-logs.ts';
import { applyMeshCommand, isAboutMesh } from './ledger-members.ts';
import type { LedgerModel } from './ledger-models.ts';
import { type LedgerProfile, learnTask } from './ledger-profiles.ts';
import { expireJob, type LedgerRetention, retireJob } from './ledger-retention.ts';
import { applyToSchedule, type LedgerSchedule } from './ledger-schedules.ts';

export interface LedgerTask extends CheckpointedTask {
  readonly task: string;
  readonly stage: string;
  readonly merges: boolean;
  readonly range?: RecordRange;
  readonly failures: {
    readonly node: string;
    readonly attempt: string;
    readonly problem: Problem;
    readonly log?: DataReference;
  }[];
  committed?: {
    readonly node: string;
    readonly attempt: string;
    readonly usage: Usage;
    readonly log?: DataReference;
  };
  /** Dropped once the job has ended, unless it is a result. */
  output?: Output;
  /** It was split anew: the tasks that have its records now. */
  replacedBy?: readonly string[];
}

export interface LedgerStage {
  readonly stage: string;
  cut: boolean;
  done: boolean;
  source?: DataReference;
  /** What is in no task yet of a stage that is cut while it runs; absent: every record is in one, once it is cut at all. */
  rest?: { readonly firstRecord: number; readonly start: number; readonly totalRecords: number };
  /** Part by part as they were named, those that were split anew included; the merge task, if it is there, is last. */
  readonly tasks: LedgerTask[];
  /** Parts (the merge task not counted) that are named, not committed yet and not split anew. */
  openParts: number;
}

export interface LedgerJob {
  readonly account: string;
  readonly job: string;
  readonly specHash: string;
  readonly plan: JobPlan;
  readonly acceptedAtMs: number;
  phase: 'running' | 'done' | 'failed' | 'cancelled';
  endedAtMs?: number;
  /** How old the log was when it was first said after the end: see `Ledger.ageMs`. */
  endedAgeMs?: number;
  problem?: Problem;
  readonly stages: Map<string, LedgerStage>;
  /** Present when the plan has one. */
  readonly schedule?: LedgerSchedule;
  /** It is one of a schedule. */
  readonly occurrence?: { readonly schedule: string; readonly atMs: number };
  missedDeadline?: boolean;
  /** When its submitter was first told that it is done. */
  promise?: JobPromise;
  /** Of the logs that are remembered; absent: none are. */
  logBytes?: number;
}

export interface Tombstone {
  readonly key: string;
  readonly specHash: string;
  readonly phase: 'done' | 'failed' | 'cancelled';
}

/**
 * What the mesh has promised and what has come of it: a deterministic state machine over the committed log, the same on
 * every voter. It knows no clock.
 */
export interface Ledger {
  /** Enrolled nodes, by id, in the order in which they came. */
  readonly nodes: Map<string, { readonly publicKey: string }>;
  /** Keys of nodes that were removed, with the names they had, in the order in which they went: the oldest makes room. */
  readonly removed: Map<string, string>;
  /** From the founder to the voters of today; rising indexes. */
  votersChain: readonly VotersLink[];
  readonly jobs: Map<string, LedgerJob>;
  /** Ended jobs in the order of their end: the oldest makes room. */
  readonly ended: string[];
  readonly tombstones: Map<string, Tombstone>;
  /** What a person wants of the voters; the default until somebody has said so. */
  voters?: VoterSettings;
  /** What accounts may have, of those for which an owner has said it. */
  readonly quotas: Map<string, AccountQuota>;
  /** Tasks of ended jobs. */
  endedTasks: number;
  readonly retain: LedgerRetention;
  /** What finished tasks took, by their code; the code that was seen last is last. And of how many tasks in all. */
  readonly profiles: Map<string, LedgerProfile>;
  learnedTasks: number;
  /** Forecasting models that leaders have trained, by the kind of series. */
  readonly models: Map<ForecastResource, LedgerModel>;
  /** For how long somebody has led this mesh, as far as leaders have said so: what is kept for a time is kept by this. */
  ageMs: number;
}

export function createLedger(
  retain: LedgerRetention = {
    endedJobs: limits.endedJobsKept,
    endedTasks: limits.endedTasksKept,
    tombstones: limits.tombstonesKept,
  },
): Ledger {
  const empty = {
    nodes: new Map(),
    removed: new Map(),
    votersChain: [],
    jobs: new Map(),
    quotas: new Map(),
    ended: [],
    endedTasks: 0,
    ageMs: 0,
    tombstones: new Map(),
    profiles: new Map(),
    learnedTasks: 0,
    models: new Map(),
  };
  return { ...empty, retain };
}

export function findTask(job: LedgerJob, task: string): LedgerTask | undefined {
  for (const stage of job.stages.values()) {
    // Parts carry their number in their name, so that a job of thousands of tasks needs no index of its own.
    if (!task.startsWith(`${stage.stage}-`)) continue;
    const number = Number(task.slice(stage.stage.length + 1));
    const found = Number.isInteger(number) ? stage.tasks[number] : stage.tasks.at(-1);
    if (found?.task === task) return found;
  }
  return undefined;
}

/** The output(s) of a stage that is done: one, or one per part in record order when nothing merges them. */
export function stageOutput(job: LedgerJob, name: string): Output | Output[] {
  const stage = job.stages.get(name)!;
  const plan = stagePlanOf(job, name);
  if (plan.merge !== undefined || !hasParts(plan)) return stage.tasks.at(-1)!.output!;
  return partsOf(stage).map((task) => task.output!);
}

/** Applies one committed command; returns what it did. Never throws on any command: a bad one is `dropped`. */
export function applyCommand(ledger: Ledger, command: LedgerCommand): LedgerEvent[] {
  return isAboutMesh(command) ? applyMeshCommand(ledger, command) : applyToJob(ledger, command);
}

function applyToJob(ledger: Ledger, command: JobCommand): LedgerEvent[] {
  const key = jobKeyOf(command.account, command.job);
  if (command.type === 'accept-job') return accept(ledger, key, command);
  const job = ledger.jobs.get(key);
  if (job === undefined) return [{ type: 'dropped', command, reason: 'no such job' }];
  if (command.type === 'expire-job') return expireJob(ledger, job, key, command);
  if (job.phase !== 'running') return [{ type: 'dropped', command, reason: `the job is ${job.phase}` }];
  switch (command.type) {
    case 'cut-stage':
      return [applyCut(job, key, command)];
    case 'commit-task':
      return commit(ledger, job, key, command);
    case 'retire-task':
    case 'fail-attempt':
    case 'count-checkpoint':
    case 'drop-checkpoint': {
      const task = findTask(job, command.task);
      const fault = findOutcomeFault(job, task);
      if (task === undefined || fault !== undefined)
        return [{ type: 'dropped', command, reason: fault ?? 'no such task' }];
      if (command.type === 'retire-task') return [retireTask(job, key, task, command)];
      if (command.type === 'count-checkpoint') return [countCheckpoint(task, key, command)];
      if (command.type === 'drop-checkpoint') return [dropCheckpoint(task, key, command)];
      // Reported twice, an attempt has still failed once.
      if (task.failures.some((failure) => failure.attempt === command.attempt)) {
        return [{ type: 'dropped', command, reason: 'the failure is counted already' }];
      }
      const { node, attempt, problem, log } = command;
      task.failures.push({ node, attempt, problem, ...keptLog(job, log, true) });
      delete task.checkpoint; // the next attempt shall not begin where this one went wrong
      return [{ type: 'attempt-failed', key, task: command.task, attempt: command.attempt }];
    }
    case 'begin-schedule':
    case 'start-occurrence':
      return applyToSchedule(ledger, job, key, command, (id, occurrence) => {
        const { schedule: _, ...plan } = job.plan;
        const { account, specHash } = job;
        createJob(ledger, { account, job: id, specHash, plan, atMs: command.atMs }, occurrence);
        return { type: 'job-accepted', key: jobKeyOf(account, id) };
      });
    case 'miss-deadline':
      if (job.missedDeadline || job.plan.deadline === undefined)
        return [{ type: 'dropped', command, reason: 'it was missed before, or there is none' }];
      job.missedDeadline = true;
      return [{ type: 'deadline-missed', key }];
    case 'promise-job':
      // What counts is what was said first.
      if (job.promise !== undefined) return [{ type: 'dropped', command, reason: 'it was promised before' }];
      job.promise = command.promise;
      return [{ type: 'job-promised', key }];
    case 'end-job':
      job.problem = command.problem;
      return end(ledger, job, key, command.phase, command.atMs);
  }
}

function accept(ledger: Ledger, key: string, command: JobCommand & { type: 'accept-job' }): LedgerEvent[] {
  if (ledger.jobs.has(key) || ledger.tombstones.has(key))
    return [{ type: 'dropped', command, reason: 'the id is taken' }];
  const job = createJob(ledger, command);
  for (const each of job.schedule === undefined ? command.cuts : []) {
    const stage = job.stages.get(each.stage);
    if (stage !== undefined && findCutFault(stage, each) === undefined) cutStage(job, stage, each);
  }
  return [{ type: 'job-accepted', key }];
}

type Accepted = Pick<JobCommand & { type: 'accept-job' }, 'account' | 'job' | 'specHash' | 'plan' | 'atMs'>;

function createJob(ledger: Ledger, accepted: Accepted, occurrence?: LedgerJob['occurrence']): LedgerJob {
  const job = ledgerJobOf(accepted, occurrence);
  ledger.jobs.set(jobKeyOf(job.account, job.job), job);
  return job;
}

/** A job as it is when it has just been accepted. */
export function ledgerJobOf(
  { account, job, specHash, plan, atMs }: Accepted,
  occurrence?: LedgerJob['occurrence'],
): LedgerJob {
  const stages = new Map<string, LedgerStage>();
  for (const { stage } of plan.stages) stages.set(stage, { stage, cut: false, done: false, tasks: [], openParts: 0 });
  return {
    account,
    job,
    specHash,
    plan,
    acceptedAtMs: atMs,
    phase: 'running',
    stages,
    ...(plan.schedule === undefined ? {} : { schedule: { started: 0, skipped: 0 } }),
    ...(occurrence === undefined ? {} : { occurrence }),
  };
}

function commit(
  ledger: Ledger,
  job: LedgerJob,
  key: string,
  command: JobCommand & { type: 'commit-task' },
): LedgerEvent[] {
  const task = findTask(job, command.task);
  const fault = findOutcomeFault(job, task);
  if (task === undefined || fault !== undefined) return [{ type: 'dropped', command, reason: fault ?? 'no such task' }];
  const { node, attempt, usage, log } = command;
  task.committed = { node, attempt, usage, ...keptLog(job, log, false) };
  task.output = command.output;
  delete task.checkpoint;
  learn(ledger, job, task, command);
  const stage = job.stages.get(task.stage)!;
  if (!task.merges) stage.openParts -= 1;
  stage.done = isDone(stage);
  const events: LedgerEvent[] = [
    {
      type: 'task-committed',
      key,
      stage: stage.stage,
      task: command.task,
      attempt: command.attempt,
      stageDone: stage.done,
    },
  ];
  if (stage.done && [...job.stages.values()].every((each) => each.done)) {
    events.push(...end(ledger, job, key, 'done', command.atMs));
  }
  return events;
}

/** What it took says something of the next task of its code; a merge is work of a kind of its own. */
function learn(ledger: Ledger, job: LedgerJob, task: LedgerTask, command: JobCommand & { type: 'commit-task' }): void {
  const { code, merge, profile } = stagePlanOf(job, task.stage);
  const category = task.merges ? 'merge' : profile;
  // One that went on from the state of another attempt has not done all of the work.
  const isWhole = task.checkpointedBy === undefined || task.checkpointedBy === command.attempt;
  learnTask(ledger.profiles, {
    code: task.merges ? merge! : code,
    account: job.account,
    stage: task.stage,
    usage: command.usage,
    ...(category === undefined ? {} : { category }),
    ...(command.speed === undefined || !isWhole ? {} : { speed: command.speed }),
  });
  ledger.learnedTasks += 1;
}

/** Why no outcome of the task can count: the first result has won, or it merges parts that are not there yet. */
function findOutcomeFault(job: LedgerJob, task: LedgerTask | undefined): string | undefined {
  if (task === undefined) return 'no such task';
  if (task.committed !== undefined) return 'the task is done';
  if (task.replacedBy !== undefined) return 'its records are in other tasks now';
  return task.merges && job.stages.get(task.stage)!.openParts > 0 ? 'its parts are not done' : undefined;
}

function end(
  ledger: Ledger,
  job: LedgerJob,
  key: string,
  phase: 'done' | 'failed' | 'cancelled',
  atMs: number,
): LedgerEvent[] {
  job.phase = phase;
  job.endedAtMs = atMs;
  const dueMs = deadlineOf(job);
  if (phase !== 'cancelled' && dueMs !== undefined && atMs > dueMs) job.missedDeadline = true;
  dropWhatIsBetween(job);
  return [{ type: 'job-ended', key }, ...retireJob(ledger, job, key)];
}

/** By when the job should have ended, milliseconds since 1970 by the clock of whoever accepted it. */
export function deadlineOf({ plan, acceptedAtMs }: LedgerJob): number | undefined {
  const { deadline } = plan;
  if (deadline === undefined) return undefined;
  return 'atMs' in deadline ? deadline.atMs : acceptedAtMs + deadline.withinMs;
}

/** How sure it wants to be of its deadline, 0 to 1; undefined: it has none. */
export function wishedConfidence({ plan: { deadline } }: LedgerJob): number | undefined {
  return deadline && (deadline.confidence ?? limits.confidenceDefault);
}

function dropWhatIsBetween(job: LedgerJob): void {
  for (const { stage, sink } of job.plan.stages) {
    const tasks = job.stages.get(stage)!.tasks;
    for (const task of tasks) {
      delete task.checkpoint;
      if (!sink || job.phase !== 'done' || task !== tasks.at(-1)) delete task.output;
    }
  }
}
