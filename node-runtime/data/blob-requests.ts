import {
  asMeshError,
  type BlobAnswer,
  type BlobAsk,
  base64UrlOf,
  blobAnswer,
  decode,
  type ErrorCode,
  encode,
  errorCodes,
  MeshError,
  type Problem,
  type Topics,
  type Transport,
} from '../contract/index.ts';
import { randomOctets } from './host.ts';

export interface BlobRequestsOptions {
  /** The connection there is now, if any. */
  readonly transport: () => Transport | undefined;
  readonly topics: Topics;
  /** This client's name in `blobs/<holder>/<requester>/...`; one client per connection and name. */
  readonly requester: string;
  /** A request is sent again when its holder has said nothing for this long (5000; then twice as long, ...). */
  readonly requestTimeoutMs?: number;
  /** And given up when its holder has said nothing for this long, or there was no connection for this long (30000). */
  readonly silenceMs?: number;
  readonly onProblem?: (problem: MeshError) => void;
}

export type BlobAskBody = BlobAsk extends infer T ? (T extends unknown ? Omit<T, 'v' | 'id'> : never) : never;
type Operation = BlobAnswer['op'];

interface Session {
  readonly transport: Transport;
  ready: Promise<void>;
  stopListening: () => void;
  ended: boolean;
}

interface Pending {
  readonly id: string;
  readonly holder: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly expected: Operation;
  readonly resolve: (answer: BlobAnswer) => void;
  readonly reject: (error: MeshError) => void;
  /** When the wait for a sign of life began. */
  sinceMs: number;
  sentMs: number;
  sends: number;
  session: Session | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
}

const pollMs = 100;

/** Requests and answers over connections that come and go. Every request is idempotent and is sent until answered. */
export class BlobRequests {
  private readonly options: BlobRequestsOptions;
  private readonly requestTimeoutMs: number;
  private readonly silenceMs: number;
  private readonly sessions = new WeakMap<Transport, Session>();
  private readonly openSessions = new Set<Session>();
  private readonly pending = new Map<string, Pending>();
  private readonly heardMs = new Map<string, number>();
  private readonly idPrefix = base64UrlOf(randomOctets(6));
  private count = 0;
  private closed = false;

  constructor(options: BlobRequestsOptions) {
    this.options = options;
    this.requestTimeoutMs = options.requestTimeoutMs ?? 5_000;
    this.silenceMs = options.silenceMs ?? 30_000;
  }

  /** Whether there is a connection now. */
  get connected(): boolean {
    return this.session() !== undefined;
  }

  /**
   * Resolves with the expected answer. Throws what the holder answered, or `MESH_UNREACHABLE` when it or the broker was
   * silent for `silenceMs`.
   */
  ask<O extends Operation>(holder: string, body: BlobAskBody, expected: O): Promise<Extract<BlobAnswer, { op: O }>> {
    if (this.closed) return Promise.reject(closedError());
    const id = `${this.idPrefix}-${(this.count++).toString(36)}`;
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        id,
        holder,
        topic: this.options.topics.blobAsk(holder, this.options.requester),
        payload: encode({ v: 1, id, ...body }, 'cbor'),
        expected,
        resolve: resolve as (answer: BlobAnswer) => void,
        reject,
        sinceMs: performance.now(),
        sentMs: 0,
        sends: 0,
        session: undefined,
        timer: undefined,
      };
      this.pending.set(id, pending);
      void this.send(pending);
    });
  }

  /** There is a new connection: what waits for one is sent at once instead of within 100 ms. */
  reconnected(): void {
    for (const pending of this.pending.values()) if (pending.session === undefined) void this.send(pending);
  }

  /** Rejects what is under way with `MESH_UNREACHABLE`. The connections stay open. */
  async close(): Promise<void> {
    this.closed = true;
    for (const pending of this.pending.values()) this.settle(pending, closedError());
    const open = [...this.openSessions];
    for (const session of open) this.endSession(session);
    await Promise.all(open.map(({ transport }) => transport.unsubscribe([this.filter()]).catch(() => undefined)));
  }

  private filter(): string {
    return this.options.topics.blobAnswer('+', this.options.requester);
  }

  private session(): Session | undefined {
    const transport = this.options.transport();
    if (transport === undefined || this.closed) return undefined;
    const known = this.sessions.get(transport);
    if (known !== undefined) return known.ended ? undefined : known;
    const session: Session = {
      transport,
      ready: Promise.resolve(),
      stopListening: transport.listen((topic, payload) => this.receive(topic, payload)),
      ended: false,
    };
    this.sessions.set(transport, session);
    this.openSessions.add(session);
    session.ready = transport.subscribe([this.filter()], 1);
    session.ready.catch(() => this.endSession(session));
    void transport.closed.then(() => this.endSession(session));
    return session;
  }

  private endSession(session: Session): void {
    if (session.ended) return;
    session.ended = true;
    session.stopListening();
    this.openSessions.delete(session);
    // What was under way is lost with its connection, by design of `Transport`.
    for (const pending of this.pending.values()) if (pending.session === session) void this.send(pending);
  }

  private async send(pending: Pending): Promise<void> {
    clearTimeout(pending.timer);
    const session = this.session();
    pending.session = session;
    if (session === undefined) {
      this.wake(pending, pollMs);
      return;
    }
    pending.sends++;
    pending.sentMs = performance.now();
    const turn = pending.sends;
    this.wake(pending, this.requestTimeoutMs);
    const current = () => this.pending.has(pending.id) && pending.sends === turn && pending.session === session;
    try {
      await session.ready;
      if (!current()) return;
      await session.transport.publish(pending.topic, pending.payload, { qos: 1 });
      // On a slow line the way up alone may take long; the holder's silence begins here.
      if (current() && turn === 1) pending.sinceMs = pending.sentMs = performance.now();
    } catch (error) {
      const problem = asMeshError(error, 'MESH_UNREACHABLE');
      if (problem.code !== 'MESH_UNREACHABLE') this.settle(pending, problem);
      else if (current()) {
        pending.session = undefined;
        this.wake(pending, pollMs);
      }
    }
  }

  private wake(pending: Pending, afterMs: number): void {
    clearTimeout(pending.timer);
    if (this.pending.has(pending.id)) pending.timer = setTimeout(() => this.due(pending), Math.max(1, afterMs));
  }

  private due(pending: Pending): void {
    const nowMs = performance.now();
    const heardMs = this.heardMs.get(pending.holder) ?? 0;
    const givenUpMs = Math.max(pending.sinceMs, heardMs) + this.silenceMs;
    if (nowMs >= givenUpMs) {
      const who = pending.session === undefined ? 'there was no connection' : `${pending.holder} said nothing`;
      const mend = 'the transfer goes on where it was when it is tried again';
      this.settle(pending, new MeshError('MESH_UNREACHABLE', `${who} for ${this.silenceMs} ms`, { mend }));
      return;
    }
    if (pending.session === undefined) {
      void this.send(pending);
      return;
    }
    // While its holder talks, a request is in its queue; on a slow line a repetition would make things worse.
    const patienceMs = this.requestTimeoutMs * 2 ** Math.min(pending.sends - 1, 3);
    const againMs = Math.max(pending.sentMs, heardMs) + patienceMs;
    if (nowMs >= againMs) void this.send(pending);
    else this.wake(pending, Math.min(againMs, givenUpMs) - nowMs);
  }

  private receive(topic: string, payload: Uint8Array): void {
    const parsed = this.options.topics.parse(topic);
    if (parsed?.kind !== 'blobAnswer' || parsed.requester !== this.options.requester) return;
    let answer: BlobAnswer;
    try {
      answer = decode(blobAnswer, payload);
    } catch (error) {
      this.options.onProblem?.(asMeshError(error, 'MESH_MESSAGE_MALFORMED'));
      return;
    }
    this.heardMs.set(parsed.holder, performance.now());
    const pending = this.pending.get(answer.id);
    // A repeated request may be answered twice.
    if (pending === undefined || pending.holder !== parsed.holder || answer.op === 'busy') return;
    if (answer.op === 'error') this.settle(pending, errorOf(answer.problem));
    else if (answer.op !== pending.expected) {
      const found = `expected the answer ${pending.expected}, found ${answer.op}`;
      this.settle(pending, new MeshError('MESH_MESSAGE_MALFORMED', found));
    } else this.settle(pending, answer);
  }

  private settle(pending: Pending, outcome: BlobAnswer | MeshError): void {
    clearTimeout(pending.timer);
    if (!this.pending.delete(pending.id)) return;
    if (outcome instanceof MeshError) pending.reject(outcome);
    else pending.resolve(outcome);
  }
}

function closedError(): MeshError {
  return new MeshError('MESH_UNREACHABLE', 'the blob client is closed');
}

function errorOf(problem: Problem): MeshError {
  const code = problem.code in errorCodes ? (problem.code as ErrorCode) : 'MESH_STORAGE_FAILED';
  return new MeshError(code, problem.message, problem.mend === undefined ? {} : { mend: problem.mend });
}
