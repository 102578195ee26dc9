import assert from 'node:assert/strict';
import { limits, type MessageListener, type Transport } from '@foremesh/node-runtime/contract';

/** Chances from 0 to 1 that a message is lost, doubled, or overtaken by later ones. */
export interface Faults {
  readonly lose: number;
  readonly double: number;
  readonly delay: number;
  /** From 0 to 1, exclusive. */
  readonly random: () => number;
}

export interface MemoryTransport extends Transport {
  /** The connection breaks: what is under way is lost. */
  break(): void;
}

/** A broker in memory, for tests of what lies above a transport: no retained messages, no sessions. */
export class MemoryNetwork {
  private readonly connections = new Set<Connection>();
  /** What travels: [topic, payload]. */
  readonly travelled: [string, Uint8Array][] = [];
  faults: Faults | undefined;

  connect(): MemoryTransport {
    const connection = new Connection(this);
    this.connections.add(connection);
    return connection;
  }

  route(topic: string, payload: Uint8Array): void {
    assert.ok(payload.length <= limits.payloadBytes, `${payload.length} bytes on ${topic}`);
    this.travelled.push([topic, payload]);
    const { lose = 0, double = 0, delay = 0, random = () => 1 } = this.faults ?? {};
    if (random() < lose) return;
    for (let copy = random() < double ? 2 : 1; copy > 0; copy--) {
      // A delayed message waits for some turns of the event loop, so that others overtake it.
      let turns = random() < delay ? 1 + Math.floor(random() * 20) : 1;
      const turn = () => {
        if (--turns > 0) setImmediate(turn);
        else for (const connection of this.connections) connection.deliver(topic, payload.slice());
      };
      setImmediate(turn);
    }
  }

  leave(connection: Connection): void {
    this.connections.delete(connection);
  }
}

class Connection implements MemoryTransport {
  readonly closed: Promise<Error | undefined>;
  private readonly network: MemoryNetwork;
  private readonly filters = new Set<string>();
  private readonly listeners = new Set<MessageListener>();
  private end: (reason: Error | undefined) => void = () => undefined;
  private ended = false;

  constructor(network: MemoryNetwork) {
    this.network = network;
    this.closed = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  async publish(topic: string, payload: Uint8Array): Promise<void> {
    this.checkOpen();
    this.network.route(topic, payload);
  }

  async subscribe(filters: readonly string[]): Promise<void> {
    this.checkOpen();
    for (const filter of filters) this.filters.add(filter);
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    for (const filter of filters) this.filters.delete(filter);
  }

  listen(listener: MessageListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.stop(undefined);
  }

  break(): void {
    this.stop(new Error('the connection broke'));
  }

  deliver(topic: string, payload: Uint8Array): void {
    if (this.ended || ![...this.filters].some((filter) => fits(filter, topic))) return;
    for (const listener of this.listeners) listener(topic, payload, false);
  }

  private stop(reason: Error | undefined): void {
    this.ended = true;
    this.network.leave(this);
    this.end(reason);
  }

  private checkOpen(): void {
    if (this.ended) throw new Error('the connection is closed');
  }
}

function fits(filter: string, topic: string): boolean {
  const levels = topic.split('/');
  const wanted = filter.split('/');
  return wanted.length === levels.length && wanted.every((level, i) => level === '+' || level === levels[i]);
}
