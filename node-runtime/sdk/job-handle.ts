import { decode, type JobLogs, type JobResult, type JobState, jobLogs, type Topics } from '../contract/index.ts';
import type { JobFollower } from './job-follower.ts';
import type { MeshLink } from './mesh-link.ts';
import { ChangeSignal } from './signal.ts';

/** Log messages that wait for a slow reader; older ones are dropped. */
const logsKept = 1_000;

/** One job, from this client's side. The job does not need it: it goes on when the handle is closed. */
export class JobHandle {
  readonly account: string;
  readonly job: string;
  readonly #follower: JobFollower;
  readonly #link: MeshLink;
  readonly #topics: Topics;

  constructor(account: string, job: string, follower: JobFollower, link: MeshLink, topics: Topics) {
    this.account = account;
    this.job = job;
    this.#follower = follower;
    this.#link = link;
    this.#topics = topics;
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

  /** How it ended: `done`, `failed` (with `problem`) or `cancelled`. Throws what the mesh refused the job with. */
  result(): Promise<JobResult> {
    return this.#follower.result();
  }

  /** Resolves with the state of the end: the job may have been done before the cancellation came. */
  cancel(reason = 'cancelled by the client'): Promise<JobState> {
    return this.#follower.cancel(reason);
  }

  /** What the tasks log, from now until the end. Live: what was logged before or while away is not repeated. */
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
