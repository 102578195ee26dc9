import { randomBytes } from 'node:crypto';
import {
  encode,
  type InboxMessage,
  limits,
  MeshError,
  type OutboxMessage,
  problemOf,
  type QueryAnswer,
  type QueryAsk,
} from '../../contract/index.ts';

const relayed: readonly QueryAsk['query'][] = ['history', 'preferences', 'trust', 'reallocate'];
/** What only a node can answer. */
export type RelayedQuery = QueryAsk & { query: 'history' | 'preferences' | 'trust' | 'reallocate' };
export function isRelayed(ask: QueryAsk): ask is RelayedQuery {
  return relayed.includes(ask.query);
}
export type RelayedAnswer = OutboxMessage & {
  type: 'history' | 'preferences' | 'trusted' | 'reallocated' | 'request-failed';
};
/** What the node is asked, but for the number. */
type WithoutNumber<T> = T extends unknown ? Omit<T, 'request'> : never;
type RelayedRequest = WithoutNumber<
  InboxMessage & { type: 'history-request' | 'preferences-request' | 'trust-request' | 'reallocate' }
>;

export interface NodeRelayOptions {
  /** Whether the node is connected; undefined when there is none. */
  readonly isOnline: (node: string) => boolean | undefined;
  /** Where a task of the account runs now, and as which attempt. */
  readonly whereRuns: (account: string, job: string, task: string) => { node: string; attempt: string } | undefined;
  readonly send: (node: string, message: InboxMessage) => void;
  readonly answer: (account: string, client: string, payload: Uint8Array) => void;
  /** `relayWaitMs` unless a test is in a hurry. */
  readonly waitMs?: number;
}

interface Pending {
  readonly account: string;
  readonly client: string;
  readonly ask: RelayedQuery;
  readonly node: string;
  readonly message: RelayedRequest;
  readonly request: number;
  readonly deadline: NodeJS.Timeout;
}

/**
 * Questions that only a node can answer: the leader asks the node and passes the answer on. It remembers who waits, and no
 * more of any answer than passes through.
 */
export class NodeRelay {
  readonly #options: NodeRelayOptions;
  readonly #pending = new Map<number, Pending>();
  /** An answer to what an earlier leader asked must not be taken for one to us. */
  #request = randomBytes(6).readUIntBE(0, 6);

  constructor(options: NodeRelayOptions) {
    this.#options = options;
  }

  ask(account: string, client: string, ask: RelayedQuery): void {
    const known = [...this.#pending.values()].find(
      (each) => each.account === account && each.client === client && each.ask.id === ask.id,
    );
    if (known !== undefined) {
      this.#send(known); // asked again: perhaps the node has not heard it
      return;
    }
    try {
      const { node, message } = this.#requestOf(account, ask);
      const isOnline = this.#options.isOnline(node);
      if (isOnline === undefined) throw unknown(node);
      if (!isOnline) throw away(node, 'is not connected');
      if (this.#pending.size >= limits.relayedQueries) throw tooMany();
      this.#relay({ account, client, ask, node, message });
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#refuse(account, client, ask, error);
    }
  }

  #requestOf(account: string, ask: RelayedQuery): { node: string; message: RelayedRequest } {
    switch (ask.query) {
      case 'history': {
        const { v: _, id: __, query: ___, node, ...which } = ask;
        return { node, message: { type: 'history-request', ...which } };
      }
      case 'preferences':
        return { node: ask.node, message: { type: 'preferences-request', change: ask.change } };
      case 'trust':
        return { node: ask.node, message: { type: 'trust-request', change: ask.change } };
      case 'reallocate': {
        const { v: _, id: __, query: ___, job, task, ...allocation } = ask;
        const runs = this.#options.whereRuns(account, job, task);
        if (runs === undefined) throw notRunning(job, task);
        return { node: runs.node, message: { type: 'reallocate', attempt: runs.attempt, ...allocation } };
      }
    }
  }

  #relay(asked: Omit<Pending, 'request' | 'deadline'>): void {
    const { account, client, ask, node } = asked;
    this.#request += 1;
    const request = this.#request;
    const { waitMs = limits.relayWaitMs } = this.#options;
    const deadline = setTimeout(() => {
      this.#pending.delete(request);
      this.#refuse(account, client, ask, away(node, `did not answer within ${waitMs / 1_000} s`));
    }, waitMs);
    const pending = { ...asked, request, deadline };
    this.#pending.set(request, pending);
    this.#send(pending);
  }

  #send({ node, message, request }: Pending): void {
    this.#options.send(node, { ...message, request });
  }

  /** What a node says in answer. False: nobody who asked through the leader waits for it. */
  hear(node: string, message: RelayedAnswer): boolean {
    const pending = this.#pending.get(message.request);
    if (pending === undefined || pending.node !== node) return false;
    this.#pending.delete(message.request);
    clearTimeout(pending.deadline);
    const { account, client, ask } = pending;
    try {
      const answer = answerOf(ask, message, node);
      if (answer !== undefined) this.#say(account, client, answer);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#refuse(account, client, ask, error); // larger as JSON than a payload: no node of ours says such a thing
    }
    return true;
  }

  #refuse(account: string, client: string, { id }: RelayedQuery, error: MeshError): void {
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

/** Undefined when it answers something else. */
function answerOf(ask: RelayedQuery, message: RelayedAnswer, node: string): QueryAnswer | undefined {
  const head = { v: 1 as const, id: ask.id };
  if (message.type === 'request-failed')
    return { ...head, query: 'error', problem: { ...message.problem, where: node } };
  if (message.type === 'history' && ask.query === 'history') return { ...head, query: 'history', page: message.page };
  if (message.type === 'preferences' && ask.query === 'preferences')
    return { ...head, query: 'preferences', preferences: message.preferences };
  if (message.type === 'trusted' && ask.query === 'trust') return { ...head, query: 'trust', keys: message.keys };
  if (message.type !== 'reallocated' || ask.query !== 'reallocate') return undefined;
  const { cpuShare, memoryBytes, slots } = message;
  return { ...head, query: 'reallocate', cpuShare, memoryBytes, slots };
}

const relayedTypes: readonly OutboxMessage['type'][] = [
  'history',
  'preferences',
  'trusted',
  'reallocated',
  'request-failed',
];

/** What a node said, taken apart: its answers are for who asked, all else for the planner. */
export function splitAnswers(messages: readonly OutboxMessage[]): {
  readonly answers: readonly RelayedAnswer[];
  readonly rest: readonly OutboxMessage[];
} {
  const isAnswer = (message: OutboxMessage): message is RelayedAnswer => relayedTypes.includes(message.type);
  const answers = messages.filter(isAnswer);
  return { answers, rest: answers.length === 0 ? messages : messages.filter((message) => !isAnswer(message)) };
}

function unknown(node: string): MeshError {
  return new MeshError('MESH_NODE_UNKNOWN', `the leader knows no node "${node}"`, {
    mend: '`foremesh nodes` lists them',
  });
}

function notRunning(job: string, task: string): MeshError {
  return new MeshError('MESH_TASK_NOT_RUNNING', `task "${task}" of job "${job}" runs nowhere now`, {
    mend: `\`foremesh job ${job}\` shows what its tasks do`,
  });
}

function away(node: string, how: string): MeshError {
  return new MeshError('MESH_NODE_AWAY', `${node} ${how}`, {
    mend: 'only the node itself can answer: ask again when `foremesh nodes` shows it online',
  });
}

function tooMany(): MeshError {
  return new MeshError('MESH_LIMIT_EXCEEDED', `relayedQueries is ${limits.relayedQueries}, as many wait already`, {
    mend: 'ask again in some seconds',
  });
}
