import {
  decode,
  type JobLogs,
  type JobPhase,
  type JobResult,
  type JobState,
  jobLogs,
  MeshError,
  type ResultOutput,
  type Topics,
} from '../contract/index.ts';
import type { JobFollower } from './job-follower.ts';
import type { MeshLink } from './mesh-link.ts';
import { errorOfProblem } from './problems.ts';
import { ChangeSignal } from './signal.ts';

/** Log messages that wait for a slow reader; older ones are dropped. */
const logsKept = 1_000;

/** How far a job is. */
export interface JobProgress {
  readonly phase: JobPhase;
  /** 0 to 1: the mean of its stages. 1 exactly when it is done. */
  readonly fraction: number;
  /** What the leader expects to be left; absent while it does not know. */
  readonly remainingMs?: number;
  readonly stages: readonly {
    readonly stage: string;
    readonly fraction: number;
    readonly tasks: number;
    readonly done: number;
  }[];
}

/** One job, from this client's side. The job does not need it: it goes on when the handle is closed. */
export class JobHandle {
  readonly account: string;
  readonly job: string;
  readonly #follower: JobFollower;
  readonly #link: MeshLink;
  readonly #topics: Topics;
  readonly #read: (output: ResultOutput) => Promise<unknown>;

  constructor(
    account: string,
    job: string,
    follower: JobFollower,
    link: MeshLink,
    topics: Topics,
    read: (output: ResultOutput) => Promise<unknown>,
  ) {
    this.account = account;
    this.job = job;
    this.#follower = follower;
    this.#link = link;
    this.#topics = topics;
    this.#read = read;
  }

  /** The latest state that came, if any has. */
  get state(): JobState | undefined {
    return this.#follower.state;
  }

  /** The first state. Throws what the mesh refused the job with. */
  accepted(): Promise<JobState> {
    return this.#follower.accepted();
  }

  /**
   * The states from now on, the latest first; a slow reader skips those between. Ends with the state of the end; throws
   * what the mesh refused the job with.
   */
  states(): AsyncIterable<JobState> {
    return { [Symbol.asyncIterator]: () => this.#follower.states() };
  }

  /** As `states`, for a bar on a page: how far it is now, and whenever that changes. */
  async *progress(): AsyncGenerator<JobProgress, void, undefined> {
    for await (const state of this.states()) yield progressOf(state);
  }

  /**
   * What the job gave, by output, blobs fetched: JSON values, strings, bytes. Throws what it failed with,
   * `MESH_JOB_CANCELLED`, and what `result` throws.
   */
  async values(): Promise<Readonly<Record<string, unknown>>> {
    const { phase, problem, outputs = {} } = await this.result();
    if (phase === 'cancelled' || problem !== undefined) {
      throw errorOfProblem(problem ?? { code: '', message: `job ${this.job} was cancelled` }, 'MESH_JOB_CANCELLED');
    }
    const read = Object.entries(outputs).map(async ([name, output]) => [name, await this.#read(output)] as const);
    return Object.fromEntries(await Promise.all(read));
  }

  /** The value of a job that has one output. Throws as `values`, and `MESH_USAGE` when it has several. */
  async value(): Promise<unknown> {
    const all = Object.entries(await this.values());
    const [first] = all;
    if (first !== undefined && all.length === 1) return first[1];
    throw new MeshError('MESH_USAGE', `job ${this.job} has ${all.length} outputs, not one`, {
      mend: 'read them by name: `(await handle.values()).NAME`',
    });
  }

  /** How it ended: `done`, `failed` (with `problem`) or `cancelled`. Throws what the mesh refused the job with. */
  result(): Promise<JobResult> {
    return this.#follower.result();
  }

  /** Resolves with the state of the end: the job may have been done before the cancellation came. */
  cancel(reason = 'cancelled by the client'): Promise<JobState> {
    return this.#follower.cancel(reason);
  }

  /** What the tasks log, from now until the end. Live: what was logged before or while away is not repeated, `MeshClient.logs` has it. */
  async *logs(): AsyncGenerator<JobLogs, void, undefined> {
    const queue: JobLogs[] = [];
    const changed = new ChangeSignal();
    let over = false;
    const watch = this.#link.watch([this.#topics.jobLogs(this.account, this.job)], (payload) => {
      try {
        queue.push(decode(jobLogs, payload));
      } catch {
        return; // a malformed log message is no reason to stop the others
      }
      if (queue.length > logsKept) queue.shift();
      changed.fire();
    });
    this.#follower.settled().then(() => {
      over = true;
      changed.fire();
    });
    try {
      while (true) {
        const next = queue.shift();
        if (next !== undefined) yield next;
        else if (over) return;
        else await changed.next();
      }
    } finally {
      watch.stop();
    }
  }

  /** Stops following: what waits here ends with an error. The job goes on. */
  close(): void {
    this.#follower.close();
  }
}

function progressOf(state: JobState): JobProgress {
  const { phase, remainingMs } = state;
  const stages = state.stages.map(({ stage, progress, tasks, done }) => ({ stage, fraction: progress, tasks, done }));
  const mean = stages.length === 0 ? 0 : stages.reduce((sum, { fraction }) => sum + fraction, 0) / stages.length;
  // Stages can all be complete a moment before the job is.
  const fraction = phase === 'done' ? 1 : Math.min(mean, 1 - Number.EPSILON);
  return { phase, fraction, ...(remainingMs === undefined ? {} : { remainingMs }), stages };
}
