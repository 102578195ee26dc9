import type { BrokerLimits } from '../limits.ts';
import { filterMatches } from '../topic-rules.ts';
import type { Database } from './database.ts';

const prefix = 'r:';

export interface RetainedMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
}

/**
 * The last retained message of each topic: payloads on disk, names and sizes in memory, so that a subscription to one
 * topic reads one value (aedes-persistence-level reads and decodes all there are).
 */
export class RetainedStore {
  readonly #database: Database;
  readonly #limits: BrokerLimits;
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor(database: Database, limits: BrokerLimits) {
    this.#database = database;
    this.#limits = limits;
  }

  get size(): number {
    return this.#sizes.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async load(): Promise<void> {
    for await (const [key, value] of this.#database.scan(prefix)) {
      this.#sizes.set(key.slice(prefix.length), value.length);
      this.#bytes += value.length;
    }
  }

  /**
   * Keeps the message, or forgets the topic when the payload is empty. Returns the name of the limit that forbids it, or
   * a promise that resolves when it is stored.
   */
  store(topic: string, payload: Uint8Array, qos: number): Promise<void> | 'retainedMessages' | 'retainedBytes' {
    const before = this.#sizes.get(topic);
    if (payload.length === 0) {
      if (before === undefined) return Promise.resolve();
      this.#sizes.delete(topic);
      this.#bytes -= before;
      return this.#database.write(prefix + topic, undefined);
    }
    const size = payload.length + 1;
    if (before === undefined && this.#sizes.size >= this.#limits.retainedMessages) return 'retainedMessages';
    if (this.#bytes - (before ?? 0) + size > this.#limits.retainedBytes) return 'retainedBytes';
    this.#sizes.set(topic, size);
    this.#bytes += size - (before ?? 0);
    // The copy also frees the (larger) socket buffer that the payload is a view of.
    const value = Buffer.allocUnsafe(size);
    value[0] = qos > 0 ? 1 : 0;
    value.set(payload, 1);
    return this.#database.write(prefix + topic, value);
  }

  /** Whether any retained message matches. */
  has(filter: string): boolean {
    return this.#topics(filter).length > 0;
  }

  /** The retained messages that match, as they are when each is read. */
  async *matching(filter: string): AsyncGenerator<RetainedMessage> {
    for (const topic of this.#topics(filter)) {
      const value = await this.#database.read(prefix + topic);
      if (value !== undefined) yield { topic, payload: value.subarray(1), qos: value[0] === 1 ? 1 : 0 };
    }
  }

  #topics(filter: string): string[] {
    const wildcard = filter.search(/[+#]/);
    if (wildcard === -1) return this.#sizes.has(filter) ? [filter] : [];
    // `a/#` matches `a` too, so the slash before a wildcard is not part of what every match begins with.
    const begin = filter.slice(0, Math.max(0, wildcard - 1));
    const found: string[] = [];
    for (const topic of this.#sizes.keys()) {
      if (topic.startsWith(begin) && filterMatches(filter, topic)) found.push(topic);
    }
    return found;
  }
}
