import { encode, limits, MeshError } from '../contract/index.ts';

interface Envelope<Message> {
  readonly v: 1;
  readonly from: string;
  readonly bootId: string;
  readonly seq: number;
  readonly term: number;
  readonly messages: readonly Message[];
}

export interface OutboxOptions<Message> {
  readonly from: string;
  readonly bootId: string;
  readonly term: () => number;
  /** Publishes one payload (QoS 1). A rejection means that the connection is gone: both sides settle by inventory. */
  readonly publish: (payload: Uint8Array) => Promise<void>;
  readonly onProblem: (error: unknown) => void;
  /** What follows an envelope sooner than this waits for the rest of it, so that a burst becomes few envelopes. */
  readonly gatherMs?: number;
  /** How long a message may wait for another to go with. */
  readonly patienceMs?: (message: Message) => number;
  /** Milliseconds, monotonic; the process's clock unless said. */
  readonly nowMs?: () => number;
  /** Leaves out, or puts together, what goes at once. */
  readonly tidy?: (messages: readonly Message[]) => readonly Message[];
}

/** Gathers messages into as few envelopes as the limits allow, in order; what comes alone after a pause goes at once. */
export class Outbox<Message> {
  readonly #options: OutboxOptions<Message>;
  #waiting: Message[] = [];
  #dueMs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #sentMs = Number.NEGATIVE_INFINITY;
  #seq = 0;
  #closed = false;

  constructor(options: OutboxOptions<Message>) {
    this.#options = options;
  }

  push(message: Message): void {
    if (this.#closed) return;
    const { gatherMs = 0, patienceMs } = this.#options;
    this.#waiting.push(message);
    const nowMs = this.#nowMs();
    const dueMs = Math.max(this.#sentMs + gatherMs, nowMs + (patienceMs?.(message) ?? 0));
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    clearTimeout(this.#timer);
    if (dueMs > nowMs) this.#timer = setTimeout(() => this.#flush(), dueMs - nowMs);
    else queueMicrotask(() => this.#flush());
  }

  /** What waits is not sent any more, and nothing after it. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closed = true;
    this.#waiting = [];
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? performance.now();
  }

  #flush(): void {
    const messages = this.#options.tidy?.(this.#waiting) ?? this.#waiting;
    this.#waiting = [];
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#sentMs = this.#nowMs();
    for (let at = 0; at < messages.length; at += limits.messagesPerEnvelope) {
      this.#send(messages.slice(at, at + limits.messagesPerEnvelope));
    }
  }

  #send(messages: readonly Message[]): void {
    const { from, bootId, term } = this.#options;
    const envelope: Envelope<Message> = { v: 1, from, bootId, seq: this.#seq + 1, term: term(), messages };
    let payload: Uint8Array;
    try {
      payload = encode(envelope, 'cbor', limits.sealBytes); // what publishes it may seal it
    } catch (error) {
      if (!(error instanceof MeshError && error.code === 'MESH_LIMIT_EXCEEDED') || messages.length === 1) {
        this.#options.onProblem(error);
        return;
      }
      const half = messages.length >> 1;
      this.#send(messages.slice(0, half));
      this.#send(messages.slice(half));
      return;
    }
    this.#seq += 1;
    this.#options.publish(payload).catch(this.#options.onProblem);
  }
}
