import { encode, limits } from '@foremesh/node-runtime/contract';
import type { Lifetime } from '../engine/machine.ts';

export interface VirtualOutboxOptions<Message> {
  readonly life: Lifetime;
  readonly bootId: string;
  readonly term: () => number;
  readonly publish: (payload: Uint8Array) => void;
  readonly gatherMs: number;
  readonly patienceMs: (message: Message) => number;
  readonly tidy: (messages: readonly Message[]) => readonly Message[];
}

/** Gathers messages into envelopes when `shell/outbox.ts` would. */
export class VirtualOutbox<Message> {
  readonly #options: VirtualOutboxOptions<Message>;
  #waiting: Message[] = [];
  #dueMs = Number.POSITIVE_INFINITY;
  #sentMs = Number.NEGATIVE_INFINITY;
  #seq = 0;

  constructor(options: VirtualOutboxOptions<Message>) {
    this.#options = options;
  }

  push(message: Message): void {
    const { life, gatherMs, patienceMs } = this.#options;
    this.#waiting.push(message);
    const { nowMs } = life.machine.clock;
    const dueMs = Math.max(this.#sentMs + gatherMs, nowMs + patienceMs(message));
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    life.after(Math.max(0, dueMs - nowMs), () => {
      if (this.#dueMs === dueMs) this.#flush();
    });
  }

  /** What waits is not said any more. */
  close(): void {
    this.#waiting = [];
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  #flush(): void {
    const { life, bootId, term, publish, tidy } = this.#options;
    const messages = tidy(this.#waiting);
    this.#waiting = [];
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#sentMs = life.machine.clock.nowMs;
    for (let at = 0; at < messages.length; at += limits.messagesPerEnvelope) {
      this.#seq += 1;
      const some = messages.slice(at, at + limits.messagesPerEnvelope);
      publish(encode({ v: 1, from: life.machine.id, bootId, seq: this.#seq, term: term(), messages: some }, 'cbor'));
    }
  }
}
