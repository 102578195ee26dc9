import { randomBytes } from 'node:crypto';
import {
  encode,
  type InboxMessage,
  limits,
  MeshError,
  type OutboxMessage,
  type QueryAnswer,
  type QueryAsk,
} from '../../contract/index.ts';
import { problemOf } from './leader-voice.ts';

type HistoryQuery = QueryAsk & { query: 'history' };
export type HistoryMessage = OutboxMessage & { type: 'history' | 'history-failed' };

export interface HistoryRelayOptions {
  /** Whether the node is connected; undefined when there is none. */
  readonly isOnline: (node: string) => boolean | undefined;
  readonly send: (node: string, message: InboxMessage) => void;
  readonly answer: (account: string, client: string, payload: Uint8Array) => void;
  /** `historyWaitMs` unless a test is in a hurry. */
  readonly waitMs?: number;
}

interface Pending {
  readonly account: string;
  readonly client: string;
  readonly ask: HistoryQuery;
  readonly request: number;
  readonly deadline: NodeJS.Timeout;
}

/**
 * Questions for the history of a node: the leader asks the node and passes the answer on. It remembers who waits, and no
 * more of any answer than passes through.
 */
export class HistoryRelay {
  readonly #options: HistoryRelayOptions;
  readonly #pending = new Map<number, Pending>();
  /** An answer to what an earlier leader asked must not be taken for one to us. */
  #request = randomBytes(6).readUIntBE(0, 6);

  constructor(options: HistoryRelayOptions) {
    this.#options = options;
  }

  ask(account: string, client: string, ask: HistoryQuery): void {
    const refuse = (error: MeshError) => this.#answer(account, client, ask, error);
    const isOnline = this.#options.isOnline(ask.node);
    const known = [...this.#pending.values()].find(
      (each) => each.account === account && each.client === client && each.ask.id === ask.id,
    );
    if (known !== undefined)
      this.#send(known); // asked again: perhaps the node has not heard it
    else if (isOnline === undefined) refuse(unknown(ask.node));
    else if (!isOnline) refuse(away(ask.node, 'is not connected'));
    else if (this.#pending.size >= limits.historyQueries) refuse(tooMany());
    else this.#relay(account, client, ask, refuse);
  }

  #relay(account: string, client: string, ask: HistoryQuery, refuse: (error: MeshError) => void): void {
    this.#request += 1;
    const request = this.#request;
    const { waitMs = limits.historyWaitMs } = this.#options;
    const deadline = setTimeout(() => {
      this.#pending.delete(request);
      refuse(away(ask.node, `did not answer within ${waitMs / 1_000} s`));
    }, waitMs);
    const pending = { account, client, ask, request, deadline };
    this.#pending.set(request, pending);
    this.#send(pending);
  }

  #send({ ask, request }: Pending): void {
    const { node, resolution, sinceMs, from, metrics } = ask;
    this.#options.send(node, {
      type: 'history-request',
      request,
      resolution,
      ...(sinceMs === undefined ? {} : { sinceMs }),
      ...(from === undefined ? {} : { from }),
      ...(metrics === undefined ? {} : { metrics }),
    });
  }

  /** What a node says in answer; what nobody waits for any more is dropped. */
  hear(node: string, message: HistoryMessage): void {
    const pending = this.#pending.get(message.request);
    if (pending === undefined || pending.ask.node !== node) return;
    this.#pending.delete(message.request);
    clearTimeout(pending.deadline);
    const { account, client, ask } = pending;
    const head = { v: 1 as const, id: ask.id };
    try {
      if (message.type === 'history') this.#say(account, client, { ...head, query: 'history', page: message.page });
      else this.#say(account, client, { ...head, query: 'error', problem: { ...message.problem, where: node } });
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#answer(account, client, ask, error); // larger as JSON than a payload: no node of ours says such a thing
    }
  }

  #answer(account: string, client: string, { id }: HistoryQuery, error: MeshError): void {
    this.#say(account, client, { v: 1, id, query: 'error', problem: problemOf(error) });
  }

  #say(account: string, client: string, answer: QueryAnswer): void {
    this.#options.answer(account, client, encode(answer, 'json'));
  }

  /** Another leads: who waits asks it. */
  close(): void {
    for (const { deadline } of this.#pending.values()) clearTimeout(deadline);
    this.#pending.clear();
  }
}

/** What a node said, taken apart: its history is for who asked, all else for the planner. */
export function splitHistory(messages: readonly OutboxMessage[]): {
  readonly history: readonly HistoryMessage[];
  readonly rest: readonly OutboxMessage[];
} {
  const isHistory = (message: OutboxMessage): message is HistoryMessage =>
    message.type === 'history' || message.type === 'history-failed';
  const history = messages.filter(isHistory);
  return { history, rest: history.length === 0 ? messages : messages.filter((message) => !isHistory(message)) };
}

function unknown(node: string): MeshError {
  return new MeshError('MESH_NODE_UNKNOWN', `the leader knows no node "${node}"`, {
    mend: '`foremesh nodes` lists them',
  });
}

function away(node: string, how: string): MeshError {
  return new MeshError('MESH_NODE_AWAY', `${node} ${how}`, {
    mend: 'its history is on its own disk: ask again when `foremesh nodes` shows it online',
  });
}

function tooMany(): MeshError {
  return new MeshError('MESH_LIMIT_EXCEEDED', `historyQueries is ${limits.historyQueries}, as many wait already`, {
    mend: 'ask again in some seconds',
  });
}
