import {
  changesMesh,
  decode,
  encode,
  MeshError,
  type QueryAnswer,
  type QueryAsk,
  queryAnswer,
  type Topics,
} from '../contract/index.ts';
import type { MeshLink } from './mesh-link.ts';
import { errorOfProblem, noAnswer } from './problems.ts';
import type { Timing } from './timing.ts';

type WithoutHead<T> = T extends unknown ? Omit<T, 'v' | 'id'> : never;
export type QueryBody = WithoutHead<QueryAsk>;
export type AnswerTo<Q extends QueryAsk['query']> = Extract<QueryAnswer, { query: Q }>;

interface Pending {
  readonly query: QueryAsk['query'];
  readonly send: () => void;
  readonly resolve: (answer: QueryAnswer) => void;
  readonly reject: (error: MeshError) => void;
}

/** Questions to the leader and its answers. A question is asked again until answered: asking changes nothing. */
export class Queries {
  readonly #link: MeshLink;
  readonly #askTopic: string;
  readonly #changeTopic: string;
  readonly #answerTopic: string;
  readonly #timing: Timing;
  readonly #pending = new Map<string, Pending>();
  #watch: { readonly ready: Promise<void>; stop(): void } | undefined;
  #count = 0;

  constructor(link: MeshLink, topics: Topics, account: string, timing: Timing) {
    this.#link = link;
    this.#askTopic = topics.queryAsk(account, link.clientId);
    this.#changeTopic = topics.queryChange(account, link.clientId);
    this.#answerTopic = topics.queryAnswer(account, link.clientId);
    this.#timing = timing;
    link.onReconnect(() => {
      for (const pending of this.#pending.values()) pending.send();
    });
  }

  /** Throws `MESH_NO_LEADER` or `MESH_UNREACHABLE` when nobody answers in time, and what the leader, or the broker, says is wrong. */
  async ask<Q extends QueryAsk['query']>(body: Extract<QueryBody, { query: Q }>): Promise<AnswerTo<Q>> {
    this.#watch ??= this.#link.watch([this.#answerTopic], (payload) => this.#take(payload));
    await this.#watch.ready;
    this.#count += 1;
    const id = `q${this.#count}`;
    const payload = encode({ v: 1, id, ...body }, 'json');
    const topic = changesMesh(body.query) ? this.#changeTopic : this.#askTopic;
    const send = () => {
      // Nothing to do when it fails: the next repetition, or the next connection, sends it again.
      this.#link.publish(topic, payload).catch(() => undefined);
    };
    const repeat = setInterval(send, this.#timing.askAgainMs);
    let deadline: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise<AnswerTo<Q>>((resolve, reject) => {
        const settle = resolve as (answer: QueryAnswer) => void;
        this.#pending.set(id, { query: body.query, send, resolve: settle, reject });
        deadline = setTimeout(
          () => reject(noAnswer(this.#link.transport !== undefined, `asked for ${nameOfQuery(body)}`)),
          this.#timing.queryTimeoutMs,
        );
        send();
      });
    } finally {
      clearInterval(repeat);
      clearTimeout(deadline);
      this.#pending.delete(id);
    }
  }

  /** Ends every question with `MESH_UNREACHABLE`. */
  close(): void {
    this.#watch?.stop();
    for (const pending of this.#pending.values())
      pending.reject(new MeshError('MESH_UNREACHABLE', 'the client was closed'));
  }

  #take(payload: Uint8Array): void {
    let answer: QueryAnswer;
    try {
      answer = decode(queryAnswer, payload);
    } catch {
      return; // malformed: the question is asked again, and given up in time
    }
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    if (answer.query === 'error') pending.reject(errorOfProblem(answer.problem, 'MESH_MESSAGE_MALFORMED'));
    else if (answer.query === pending.query) pending.resolve(answer);
  }
}

function nameOfQuery(body: QueryBody): string {
  if (body.query === 'job') return `job ${body.job}`;
  if (body.query === 'logs') return `the logs of ${body.job}`;
  if (body.query === 'preferences') return `what ${body.node} gives`;
  if (body.query === 'trust') return `whom ${body.node} trusts`;
  if (body.query === 'reallocate') return `another share for ${body.task}`;
  if (body.query === 'history') return `the history of ${body.node}`;
  if (body.query === 'why') return `why ${body.name} waits`;
  if (body.query === 'remove-node') return `the removal of ${body.node}`;
  if (body.query === 'set-quota') return `the quota of ${body.account}`;
  if (body.query === 'plan') return 'a plan';
  return body.query === 'set-voters' ? 'other voters' : `the ${body.query}`;
}
