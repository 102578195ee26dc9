import {
  asMeshError,
  decode,
  encode,
  type JobResult,
  type JobState,
  jobCancel,
  jobEndPhases,
  jobResult,
  jobState,
  MeshError,
  type Topics,
} from '../contract/index.ts';
import type { MeshLink, Watch } from './mesh-link.ts';
import { errorOfProblem, noAnswer } from './problems.ts';
import type { Queries } from './queries.ts';
import { ChangeSignal } from './signal.ts';
import type { Timing } from './timing.ts';

export interface FollowOptions {
  readonly link: MeshLink;
  readonly topics: Topics;
  readonly queries: Queries;
  readonly timing: Timing;
  readonly account: string;
  readonly job: string;
  /** What is published until the mesh has answered; without it the job is one that exists already. */
  readonly submission?: { readonly payload: Uint8Array; readonly specHash: string; readonly retain: boolean };
  /** Give up when nobody has accepted the job for this long; never unless said. */
  readonly acceptWithinMs?: number;
}

/**
 * What is known of one job, kept true through lost connections: the retained state and result come with every new
 * subscription, and what they do not say is asked for. Ends with the result, or with an error.
 */
export class JobFollower {
  readonly #options: FollowOptions;
  readonly #changed = new ChangeSignal();
  readonly #watch: Watch;
  readonly #stopListening: () => void;
  #specHash: string | undefined;
  #state: JobState | undefined;
  #result: JobResult | undefined;
  #failure: MeshError | undefined;
  #cancelReason: string | undefined;
  #heardMs = performance.now();
  #spokeMs = Number.NEGATIVE_INFINITY;
  #endedMs = 0;
  #asking = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(options: FollowOptions) {
    this.#options = options;
    const { link, topics, account, job, submission, acceptWithinMs } = options;
    this.#specHash = submission?.specHash;
    const stateTopic = topics.jobState(account, job);
    this.#watch = link.watch([stateTopic, topics.jobResult(account, job)], (payload, topic) =>
      topic === stateTopic ? this.#takeState(payload) : this.#takeResult(payload),
    );
    this.#stopListening = link.onReconnect(() => this.#speak());
    // No need to wait for the grant first: an answer that is faster than the subscription is retained. (A refusal is not;
    // then the next repetition gets it.)
    if (submission !== undefined && link.transport !== undefined) this.#speak();
    this.#watch.ready.then(
      () => this.#state === undefined && this.#spokeMs === Number.NEGATIVE_INFINITY && this.#speak(),
      (error: unknown) => this.#fail(asMeshError(error, 'MESH_UNREACHABLE')),
    );
    if (acceptWithinMs !== undefined && Number.isFinite(acceptWithinMs)) {
      this.#deadline = setTimeout(() => this.#giveUpWaiting(), acceptWithinMs);
    }
  }

  get state(): JobState | undefined {
    return this.#state;
  }

  /** The first state of the job. */
  async accepted(): Promise<JobState> {
    return this.#until(() => this.#state);
  }

  async result(): Promise<JobResult> {
    return this.#until(() => this.#result);
  }

  /** Each state that is news; what happened while the reader was busy is skipped. Ends after the state of the end. */
  async *states(): AsyncGenerator<JobState, void, undefined> {
    let seen: JobState | undefined;
    while (seen === undefined || !isEnd(seen)) {
      seen = await this.#until(() => (this.#state === seen ? undefined : this.#state));
      yield seen;
    }
  }

  /** Resolves when the job has ended, by the cancellation or otherwise. */
  async cancel(reason: string): Promise<JobState> {
    this.#cancelReason = reason;
    this.#speak();
    return this.#until(() => (this.#state !== undefined && isEnd(this.#state) ? this.#state : undefined));
  }

  /** Resolves when it has ended, either way. */
  async settled(): Promise<void> {
    while (this.#failure === undefined && this.#result === undefined) await this.#changed.next();
  }

  /** Stops following; the job goes on. */
  close(): void {
    this.#fail(new MeshError('MESH_UNREACHABLE', 'the job is no longer followed'));
  }

  async #until<T>(find: () => T | undefined): Promise<T> {
    while (true) {
      const found = find();
      if (found !== undefined) return found;
      if (this.#failure !== undefined) throw this.#failure;
      await this.#changed.next();
    }
  }

  #takeState(payload: Uint8Array): void {
    if (payload.length === 0) return; // a retained state that is cleared: the job has expired
    try {
      this.#learn(decode(jobState, payload));
    } catch {
      // Malformed: as if it had not come; the state is asked for when it stays quiet.
    }
  }

  #takeResult(payload: Uint8Array): void {
    if (payload.length === 0) return;
    let result: JobResult;
    try {
      result = decode(jobResult, payload);
    } catch {
      return;
    }
    if (this.#specHash !== undefined && result.specHash !== this.#specHash) return;
    this.#specHash = result.specHash;
    this.#result = result;
    this.#heardMs = performance.now();
    this.#take();
  }

  #learn(state: JobState): void {
    if (this.#specHash !== undefined && state.specHash !== this.#specHash) return;
    this.#heardMs = performance.now();
    if (state.phase === 'refused') {
      // Somebody else's refusal of the same id has another hash; a job we only follow cannot be refused.
      if (this.#options.submission === undefined || this.#state !== undefined) return;
      const problem = state.problem ?? {
        code: 'MESH_SPEC_INVALID',
        message: 'the mesh refused the job and gave no reason',
      };
      this.#fail(errorOfProblem(problem, 'MESH_SPEC_INVALID'));
      return;
    }
    if (this.#state !== undefined && !isNewer(state, this.#state)) return;
    const first = this.#state === undefined;
    this.#specHash = state.specHash;
    this.#state = state;
    clearTimeout(this.#deadline);
    // The result is on its way: seeking it begins later, and not because the last word was long ago.
    if (isEnd(state)) this.#endedMs = this.#spokeMs = this.#heardMs;
    this.#take();
    if (first && this.#cancelReason !== undefined) this.#speak();
  }

  /** News came: what is due changes. */
  #take(): void {
    if (this.#complete) this.#stop();
    else this.#schedule();
    this.#changed.fire();
  }

  get #complete(): boolean {
    return this.#state !== undefined && isEnd(this.#state) && this.#result !== undefined;
  }

  /** Whether it is only watched: nothing is to be said while states keep coming. */
  get #calm(): boolean {
    return this.#state !== undefined && !isEnd(this.#state) && this.#cancelReason === undefined;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#failure !== undefined || this.#complete) return;
    const { quietMs, resubmitMs } = this.#options.timing;
    const dueMs = this.#calm ? Math.max(this.#heardMs, this.#spokeMs) + quietMs : this.#spokeMs + resubmitMs;
    this.#timer = setTimeout(() => this.#speak(), Math.max(0, dueMs - performance.now()));
  }

  /** Says what is due: the one place where this side speaks. */
  #speak(): void {
    if (this.#failure !== undefined || this.#complete) return;
    const { submission } = this.#options;
    this.#spokeMs = performance.now();
    if (this.#state === undefined && submission !== undefined) this.#publishSpec(submission);
    else if (this.#state !== undefined && isEnd(this.#state)) this.#seekResult();
    else if (this.#state !== undefined && this.#cancelReason !== undefined) this.#publishCancel(this.#cancelReason);
    else this.#ask();
    this.#schedule();
  }

  #publishSpec({ payload, retain }: { readonly payload: Uint8Array; readonly retain: boolean }): void {
    const { link, topics, account, job } = this.#options;
    // A publish that fails is repeated like one that nobody answered.
    link.publish(topics.jobSpec(account, job), payload, { retain }).catch(() => undefined);
  }

  #publishCancel(reason: string): void {
    const { link, topics, account, job } = this.#options;
    const payload = encode(jobCancel.parse({ v: 1, reason: reason.slice(0, 200) }), 'json');
    link.publish(topics.jobCancel(account, job), payload).catch(() => undefined);
  }

  /** The state says that the job has ended and the result did not come: its retained copy was lost, or comes late. */
  #seekResult(): void {
    const { timing, submission, job } = this.#options;
    // The same spec again makes the leader say once more how it ended.
    if (submission !== undefined) this.#publishSpec({ ...submission, retain: false });
    if (submission === undefined && performance.now() - this.#endedMs >= timing.queryTimeoutMs) {
      this.#fail(
        new MeshError(
          'MESH_JOB_UNKNOWN',
          `job ${job} is ${this.#state!.phase}, but its result is no longer in the mesh`,
        ),
      );
    }
  }

  #ask(): void {
    const { queries, job, submission } = this.#options;
    if (this.#asking) return;
    this.#asking = true;
    queries.ask({ query: 'job', job }).then(
      ({ state }) => {
        this.#asking = false;
        this.#learn(state);
      },
      (error: unknown) => {
        this.#asking = false;
        const problem = asMeshError(error, 'MESH_NO_LEADER');
        const unknown = problem.code === 'MESH_JOB_UNKNOWN' && this.#result === undefined;
        // No answer is no news while a state is known; without any, whoever only follows has nothing to wait for.
        if (unknown || (this.#state === undefined && submission === undefined)) this.#fail(problem);
      },
    );
  }

  #giveUpWaiting(): void {
    if (this.#state !== undefined) return;
    const { link, job } = this.#options;
    const { code, message, mend } = noAnswer(link.transport !== undefined, `job ${job} was not accepted`);
    this.#fail(new MeshError(code, `${message} (it may be accepted later)`, mend === undefined ? {} : { mend }));
  }

  #fail(error: MeshError): void {
    this.#failure ??= error;
    this.#stop();
    this.#changed.fire();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#deadline);
    this.#stopListening();
    this.#watch.stop();
  }
}

function isEnd(state: JobState): boolean {
  return jobEndPhases.includes(state.phase);
}

/** The highest (term, revision) is the latest, whatever arrived last. */
function isNewer(state: JobState, than: JobState): boolean {
  return state.term !== than.term ? state.term > than.term : state.revision > than.revision;
}
