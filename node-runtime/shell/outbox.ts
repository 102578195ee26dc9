import { encode, limits, MeshError } from '../contract/index.ts';

interface Envelope<Message> {
  readonly v: 1;
  readonly from: string;
  readonly bootId: string;
  readonly seq: number;
  readonly term: number;
  readonly messages: readonly Message[];
}

export interface OutboxOptions {
  readonly from: string;
  readonly bootId: string;
  readonly term: () => number;
  /** Publishes one payload (QoS 1). A rejection means that the connection is gone: both sides settle by inventory. */
  readonly publish: (payload: Uint8Array) => Promise<void>;
  readonly onProblem: (error: unknown) => void;
}

/** Gathers the messages of one turn of the event loop into as few envelopes as the limits allow, in order. */
export class Outbox<Message> {
  readonly #options: OutboxOptions;
  #waiting: Message[] = [];
  #scheduled = false;
  #seq = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  push(message: Message): void {
    this.#waiting.push(message);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const messages = this.#waiting;
      this.#waiting = [];
      for (let at = 0; at < messages.length; at += limits.messagesPerEnvelope) {
        this.#send(messages.slice(at, at + limits.messagesPerEnvelope));
      }
    });
  }

  #send(messages: readonly Message[]): void {
    const { from, bootId, term } = this.#options;
    const envelope: Envelope<Message> = { v: 1, from, bootId, seq: this.#seq + 1, term: term(), messages };
    let payload: Uint8Array;
    try {
      payload = encode(envelope, 'cbor');
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
