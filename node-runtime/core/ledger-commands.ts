import type {
  Checkpoint,
  DataReference,
  ForecastResource,
  JobPromise,
  NodeKey,
  Output,
  Problem,
  QuotaChange,
  Usage,
  VotersLink,
} from '../contract/index.ts';
import type { JobPlan } from './job-plan.ts';

interface OfJob {
  readonly account: string;
  readonly job: string;
  /** The proposer's wall clock, milliseconds: shown to people, and compared with deadlines alone. */
  readonly atMs: number;
}

/** Which records a task reads; absent for a task that reads a whole input, outputs, parts or nothing. */
export interface RecordRange {
  readonly start: number;
  readonly end: number;
  readonly firstRecord: number;
  readonly records: number;
}

export interface Cut {
  readonly stage: string;
  /** What the ranges are of, or what the one task reads. */
  readonly source?: DataReference;
  /** Of a stage that is cut while it runs: how many records it has in all. Absent: these tasks are all of it. */
  readonly totalRecords?: number;
  readonly tasks: readonly CutTask[];
}

export interface CutTask {
  readonly task: string;
  readonly range?: RecordRange;
}

/** How many voters a person wants, and how patient the mesh is before it changes them. */
export interface VoterSettings {
  /** Absent: as many as the mesh can fill, 1, 3 or 5. */
  readonly count?: 1 | 3 | 5;
  /** How long a node must have been there before it becomes a voter, milliseconds. */
  readonly settleMs: number;
  /** How long a voter may stay away before another takes its place, milliseconds. */
  readonly replaceAfterMs: number;
}

/** What the log holds: only what cannot be asked again. */
export type LedgerCommand = JobCommand | MeshCommand;

/** About the mesh: who is in it, what accounts may have, and how long it is led. */
export type MeshCommand =
  /** The first key of an id is the node's for good: whoever comes under the same id with another is somebody else. */
  | (NodeKey & { readonly type: 'enroll-node'; readonly atMs: number })
  /** Takes the node out; its key does not come back. */
  | { readonly type: 'remove-node'; readonly node: string; readonly atMs: number }
  /** These voters are in force, and one of those before them says so: see `votersLink`. */
  | { readonly type: 'certify-voters'; readonly link: VotersLink }
  | { readonly type: 'set-voters'; readonly settings: VoterSettings; readonly atMs: number }
  | { readonly type: 'set-quota'; readonly account: string; readonly change: QuotaChange; readonly atMs: number }
  /** A leader has trained this model for all series of a kind, and its weights are durable. */
  | {
      readonly type: 'keep-model';
      readonly kind: ForecastResource;
      readonly model: string;
      readonly weights: DataReference;
      readonly trainedOn: { readonly series: number; readonly windows: number };
    }
  /** So long somebody has led since this was last said, or since the election, by the leader's monotonic clock. */
  | { readonly type: 'pass-time'; readonly passedMs: number };

export type JobCommand =
  /** With the cuts that need nothing but the spec: they cost no second wait for the disk. */
  | (OfJob & {
      readonly type: 'accept-job';
      readonly specHash: string;
      readonly plan: JobPlan;
      readonly cuts: readonly Cut[];
    })
  /** Names the tasks of a stage, or the next ones, before the first of them is assigned. */
  | (OfJob & Cut & { readonly type: 'cut-stage' })
  /** A task that is not done is split anew: its records go to these, and no result of it counts. */
  | (OfJob & { readonly type: 'retire-task'; readonly task: string; readonly into: readonly CutTask[] })
  | (OfJob & {
      readonly type: 'commit-task';
      readonly task: string;
      readonly attempt: string;
      readonly node: string;
      readonly output: Output;
      readonly usage: Usage;
      /** Of the node for the engine of the task's code, by its status: see `NodeStatus.speed`. */
      readonly speed?: number;
      readonly log?: DataReference;
    })
  /** An attempt failed by the task's own fault: counts against its retries on every later leader too. */
  | (OfJob & {
      readonly type: 'fail-attempt';
      readonly task: string;
      readonly attempt: string;
      readonly node: string;
      readonly problem: Problem;
      readonly log?: DataReference;
    })
  /** The state of an attempt is durable: the task can go on from it elsewhere. */
  | (OfJob & {
      readonly type: 'count-checkpoint';
      readonly task: string;
      readonly attempt: string;
      readonly checkpoint: Checkpoint;
    })
  /** A node was to go on from it, and could not have its state whole. */
  | (OfJob & { readonly type: 'drop-checkpoint'; readonly task: string; readonly blob: string })
  /** Occurrences later than this count. By a leader whose clock is right. */
  | (OfJob & { readonly type: 'begin-schedule'; readonly fromMs: number })
  /** It is time: an occurrence becomes a job, or (`skip` says why) is left out. */
  | (OfJob & { readonly type: 'start-occurrence'; readonly occurrenceMs: number; readonly skip?: string })
  /** Its time is over, and it has not ended. */
  | (OfJob & { readonly type: 'miss-deadline' })
  /** When it is done, so that one can see later whether it was. */
  | (OfJob & { readonly type: 'promise-job'; readonly promise: JobPromise })
  /** It has been kept long enough: only its tombstone stays. */
  | (OfJob & { readonly type: 'expire-job' })
  | (OfJob & { readonly type: 'end-job'; readonly phase: 'failed' | 'cancelled'; readonly problem: Problem });

/** What applying a command did: the same on every voter. */
export type LedgerEvent =
  | (NodeKey & { readonly type: 'node-enrolled' })
  | (NodeKey & { readonly type: 'node-removed' })
  | { readonly type: 'voters-certified'; readonly index: number }
  | { readonly type: 'job-accepted'; readonly key: string }
  | {
      readonly type: 'stage-cut';
      readonly key: string;
      readonly stage: string;
      /** Those that are new. */
      readonly tasks: readonly string[];
      readonly stageDone: boolean;
    }
  | {
      readonly type: 'task-retired';
      readonly key: string;
      readonly stage: string;
      readonly task: string;
      readonly into: readonly string[];
    }
  | {
      readonly type: 'task-committed';
      readonly key: string;
      readonly stage: string;
      readonly task: string;
      readonly attempt: string;
      readonly stageDone: boolean;
    }
  | { readonly type: 'attempt-failed'; readonly key: string; readonly task: string; readonly attempt: string }
  | {
      readonly type: 'checkpoint-counted';
      readonly key: string;
      readonly task: string;
      readonly attempt: string;
      readonly checkpoint: Checkpoint;
    }
  | { readonly type: 'checkpoint-dropped'; readonly key: string; readonly task: string; readonly blob: string }
  | { readonly type: 'job-ended'; readonly key: string }
  | { readonly type: 'deadline-missed'; readonly key: string }
  | { readonly type: 'job-promised'; readonly key: string }
  | { readonly type: 'schedule-begun'; readonly key: string }
  | {
      readonly type: 'occurrence-started';
      readonly key: string;
      readonly job: string;
      readonly occurrenceMs: number;
    }
  | {
      readonly type: 'occurrence-skipped';
      readonly key: string;
      readonly job: string;
      readonly occurrenceMs: number;
      readonly reason: string;
    }
  | { readonly type: 'voters-set' }
  | { readonly type: 'quota-set'; readonly account: string }
  | { readonly type: 'time-passed' }
  | { readonly type: 'model-kept'; readonly kind: ForecastResource }
  /** An old ended job made room: only its tombstone stays. */
  | { readonly type: 'job-forgotten'; readonly key: string }
  /** The command came too late or twice and changed nothing. */
  | { readonly type: 'dropped'; readonly command: LedgerCommand; readonly reason: string };
