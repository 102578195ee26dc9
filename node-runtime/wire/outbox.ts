import { encode, limits, MeshError } from '../contract/index.ts';
import type { Timer, Timers } from './timers.ts';

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
  readonly timers: Timers;
  readonly term: () => number;
  /** Publishes one payload (QoS 1). What does not arrive is settled by inventory, on both sides. */
  readonly publish: (payload: Uint8Array) => void;
  /** A message that fits no envelope. */
  readonly onProblem: (error: unknown) => void;
  /** What follows an envelope sooner than this waits for the rest of it, so that a burst becomes few envelopes. */
  readonly gatherMs?: number;
  /** How long a message may wait for another to go with. */
  readonly patienceMs?: (message: Message) => number;
  /** Leaves out, or puts together, what goes at once. */
  readonly tidy?: (messages: readonly Message[]) => readonly Message[];
}

/** Gathers messages into as few envelopes as the limits allow, in order; what comes alone after a pause goes at once. */
export class Outbox<Message> {
  readonly #options: OutboxOptions<Message>;
  #waiting: Message[] = [];
  #dueMs = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #sentMs = Number.NEGATIVE_INFINITY;
  #seq = 0;
  #closed = false;

  constructor(options: OutboxOptions<Message>) {
    this.#options = options;
  }

  push(message: Message): void {
    if (this.#closed) return;
    const { timers, gatherMs = 0, patienceMs } = this.#options;
    this.#waiting.push(message);
    const nowMs = timers.nowMs();
    const dueMs = Math.max(this.#sentMs + gatherMs, nowMs + (patienceMs?.(message) ?? 0));
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    this.#timer?.cancel();
    this.#timer = timers.after(Math.max(0, dueMs - nowMs), () => this.#flush());
  }

  /** What waits is not sent any more, and nothing after it. */
  close(): void {
    this.#timer?.cancel();
    this.#closed = true;
    this.#waiting = [];
  }

  #flush(): void {
    const messages = this.#options.tidy?.(this.#waiting) ?? this.#waiting;
    this.#waiting = [];
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#sentMs = this.#options.timers.nowMs();
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
    this.#options.publish(payload);
  }
}
