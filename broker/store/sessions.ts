import type { BrokerLimits } from '../limits.ts';
import { FilterTrie, filterProblem } from '../topic-rules.ts';
import type { Database } from './database.ts';

const sessionPrefix = 's:';
const queuePrefix = 'q:';
const sequenceDigits = 16;

export interface QueuedMessage {
  readonly sequence: number;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 1;
  /** Set once the message has been sent to the client under this identifier. */
  readonly messageId: number | undefined;
}

interface Queued {
  readonly sequence: number;
  readonly sizeBytes: number;
  messageId: number | undefined;
  /** The broker's number of the message, by which a delivery under way refers to it. */
  source: number | undefined;
}

interface Session {
  readonly clientId: string;
  account: string;
  connected: boolean;
  /** When it was last connected: ms since 1970 by this machine's clock. */
  seenMs: number;
  readonly filters: Map<string, number>;
  /** Oldest first. */
  readonly queue: Map<number, Queued>;
  readonly byMessageId: Map<number, Queued>;
  readonly bySource: Map<number, Queued>;
  queuedBytes: number;
}

/** Why something of a session was dropped: the limit's name. */
export type DropListener = (limit: keyof BrokerLimits, clientId: string) => void;

/**
 * Persistent sessions: what they subscribed to, and the QoS 1 messages that they have not acknowledged. Subscriptions and
 * the queue's outline live in memory, messages on disk. Everything is bounded; the oldest goes first.
 */
export class SessionStore {
  readonly #database: Database;
  readonly #limits: BrokerLimits;
  readonly #onDrop: DropListener;
  readonly #sessions = new Map<string, Session>();
  readonly #filters = new FilterTrie<Session>();
  #lastSequence = 0;
  #messages = 0;
  #bytes = 0;

  constructor(database: Database, limits: BrokerLimits, onDrop: DropListener) {
    this.#database = database;
    this.#limits = limits;
    this.#onDrop = onDrop;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get queuedMessages(): number {
    return this.#messages;
  }

  async load(): Promise<void> {
    for await (const [key, value] of this.#database.scan(sessionPrefix)) {
      const clientId = decodeURIComponent(key.slice(sessionPrefix.length));
      const { account, seenMs, filters } = JSON.parse(value.toString()) as SessionRecord;
      const session = this.#add(clientId, account);
      session.seenMs = Math.min(seenMs, Date.now());
      for (const [filter, qos] of filters) this.#setFilter(session, filter, qos);
    }
    for await (const [key, value] of this.#database.scan(queuePrefix)) {
      const [, client, digits] = key.split(':') as [string, string, string];
      const sequence = Number(digits);
      this.#lastSequence = Math.max(this.#lastSequence, sequence);
      const session = this.#sessions.get(decodeURIComponent(client));
      if (session === undefined) void this.#database.write(key, undefined);
      else this.#append(session, sequence, value.length);
    }
  }

  owner(clientId: string): string | undefined {
    return this.#sessions.get(clientId)?.account;
  }

  filters(clientId: string): [filter: string, qos: number][] {
    return [...(this.#sessions.get(clientId)?.filters ?? [])];
  }

  subscribe(clientId: string, account: string, filters: Iterable<[filter: string, qos: number]>): void {
    let session = this.#sessions.get(clientId);
    let changed = false;
    for (const [filter, qos] of filters) {
      // Aedes hands over what was refused too.
      if (filterProblem(filter) !== undefined || session?.filters.get(filter) === qos) continue;
      if (session === undefined) {
        this.#makeRoom();
        session = this.#add(clientId, account);
        session.connected = true;
      }
      if (!session.filters.has(filter) && session.filters.size >= this.#limits.subscriptionsPerClient) continue;
      this.#setFilter(session, filter, qos);
      changed = true;
    }
    if (changed) this.#save(session!);
  }

  unsubscribe(clientId: string, filters: Iterable<string>): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    for (const filter of filters) {
      session.filters.delete(filter);
      this.#filters.delete(filter, session);
    }
    if (session.filters.size === 0 && session.queue.size === 0) this.drop(clientId);
    else this.#save(session);
  }

  setConnected(clientId: string, connected: boolean): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    session.connected = connected;
    if (connected) return;
    session.seenMs = Date.now();
    for (const queued of session.queue.values()) queued.source = undefined;
    session.bySource.clear();
    this.#save(session);
  }

  drop(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    for (const filter of session.filters.keys()) this.#filters.delete(filter, session);
    for (const queued of session.queue.values()) this.#remove(session, queued);
    this.#sessions.delete(clientId);
    void this.#database.write(sessionKey(clientId), undefined);
  }

  /** Forgets the sessions of those who are gone: another who gets the name later is another. */
  dropOf(isGone: (owner: string) => boolean): void {
    for (const { clientId, account } of [...this.#sessions.values()]) if (isGone(account)) this.drop(clientId);
  }

  /** Forgets sessions that stayed away too long. */
  expire(): void {
    const oldestMs = Date.now() - this.#limits.sessionExpiryMs;
    for (const session of [...this.#sessions.values()]) {
      if (session.connected || session.seenMs > oldestMs) continue;
      this.#onDrop('sessionExpiryMs', session.clientId);
      this.drop(session.clientId);
    }
  }

  /**
   * Queues a QoS 1 message for every session that wants it. `note` gives it the broker's number afterwards. Returns
   * undefined when no session wants it.
   */
  enqueue(
    topic: string,
    payload: Uint8Array,
  ): { written: Promise<unknown>; note: (source: number) => void } | undefined {
    const entries: [Session, Queued][] = [];
    const written: Promise<void>[] = [];
    let value: Buffer | undefined;
    for (const [session, qos] of this.#filters.match(topic)) {
      if (qos === 0) continue;
      value ??= encodeQueued(topic, payload);
      if (!this.#fits(session, value.length)) continue;
      this.#lastSequence += 1;
      const queued = this.#append(session, this.#lastSequence, value.length);
      entries.push([session, queued]);
      written.push(this.#database.write(queueKey(session.clientId, queued.sequence), value));
    }
    if (entries.length === 0) return undefined;
    const note = (source: number) => {
      for (const [session, queued] of entries) {
        if (!session.connected || !session.queue.has(queued.sequence)) continue;
        queued.source = source;
        session.bySource.set(source, queued);
      }
    };
    return { written: Promise.all(written), note };
  }

  /** The client was sent the message: by `sequence` (from the queue) or by the broker's number (as it came). */
  sent(clientId: string, by: { sequence: number } | { source: number }, messageId: number): void {
    const session = this.#sessions.get(clientId);
    const queued = 'sequence' in by ? session?.queue.get(by.sequence) : session?.bySource.get(by.source);
    if (session === undefined || queued === undefined) return;
    if (queued.messageId !== undefined) session.byMessageId.delete(queued.messageId);
    queued.messageId = messageId;
    session.byMessageId.set(messageId, queued);
  }

  acknowledge(clientId: string, messageId: number): void {
    const session = this.#sessions.get(clientId);
    const queued = session?.byMessageId.get(messageId);
    if (session !== undefined && queued !== undefined) this.#remove(session, queued);
  }

  /** What waits for the client, oldest first; what it acknowledges or what is dropped meanwhile is left out. */
  async *queue(clientId: string): AsyncGenerator<QueuedMessage> {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    for (const { sequence } of [...session.queue.values()]) {
      const value = await this.#database.read(queueKey(clientId, sequence));
      const queued = session.queue.get(sequence);
      if (value === undefined || queued === undefined) continue;
      const topicBytes = value.readUInt16BE(0);
      yield {
        sequence,
        topic: value.toString('utf8', 2, 2 + topicBytes),
        payload: value.subarray(2 + topicBytes),
        qos: 1,
        messageId: queued.messageId,
      };
    }
  }

  /** Makes room by dropping the oldest; false when the message can have none. */
  #fits(session: Session, sizeBytes: number): boolean {
    const limits = this.#limits;
    if (sizeBytes > limits.queuedBytesPerSession) {
      this.#onDrop('queuedBytesPerSession', session.clientId);
      return false;
    }
    for (;;) {
      let passed: keyof BrokerLimits | undefined;
      if (session.queue.size + 1 > limits.queuedMessagesPerSession) passed = 'queuedMessagesPerSession';
      else if (session.queuedBytes + sizeBytes > limits.queuedBytesPerSession) passed = 'queuedBytesPerSession';
      else if (this.#messages + 1 > limits.queuedMessages) passed = 'queuedMessages';
      else if (this.#bytes + sizeBytes > limits.queuedBytes) passed = 'queuedBytes';
      if (passed === undefined) return true;
      this.#onDrop(passed, session.clientId);
      const [oldest] = session.queue.values();
      if (oldest === undefined) return false;
      this.#remove(session, oldest);
    }
  }

  #makeRoom(): void {
    if (this.#sessions.size < this.#limits.sessions) return;
    let longest: Session | undefined;
    for (const session of this.#sessions.values()) {
      if (!session.connected && (longest === undefined || session.seenMs < longest.seenMs)) longest = session;
    }
    if (longest === undefined) return;
    this.#onDrop('sessions', longest.clientId);
    this.drop(longest.clientId);
  }

  #add(clientId: string, account: string): Session {
    const session: Session = {
      clientId,
      account,
      connected: false,
      seenMs: Date.now(),
      filters: new Map(),
      queue: new Map(),
      byMessageId: new Map(),
      bySource: new Map(),
      queuedBytes: 0,
    };
    this.#sessions.set(clientId, session);
    return session;
  }

  #setFilter(session: Session, filter: string, qos: number): void {
    session.filters.set(filter, qos);
    this.#filters.set(filter, session, qos);
  }

  #append(session: Session, sequence: number, sizeBytes: number): Queued {
    const queued: Queued = { sequence, sizeBytes, messageId: undefined, source: undefined };
    session.queue.set(sequence, queued);
    session.queuedBytes += sizeBytes;
    this.#messages += 1;
    this.#bytes += sizeBytes;
    return queued;
  }

  #remove(session: Session, queued: Queued): void {
    if (!session.queue.delete(queued.sequence)) return;
    if (queued.messageId !== undefined) session.byMessageId.delete(queued.messageId);
    if (queued.source !== undefined) session.bySource.delete(queued.source);
    session.queuedBytes -= queued.sizeBytes;
    this.#messages -= 1;
    this.#bytes -= queued.sizeBytes;
    void this.#database.write(queueKey(session.clientId, queued.sequence), undefined);
  }

  #save({ clientId, account, seenMs, filters }: Session): void {
    const record: SessionRecord = { account, seenMs, filters: [...filters] };
    void this.#database.write(sessionKey(clientId), Buffer.from(JSON.stringify(record)));
  }
}

interface SessionRecord {
  account: string;
  seenMs: number;
  filters: [filter: string, qos: number][];
}

function sessionKey(clientId: string): string {
  return sessionPrefix + encodeURIComponent(clientId);
}

function queueKey(clientId: string, sequence: number): string {
  return `${queuePrefix}${encodeURIComponent(clientId)}:${String(sequence).padStart(sequenceDigits, '0')}`;
}

function encodeQueued(topic: string, payload: Uint8Array): Buffer {
  const name = Buffer.from(topic);
  const value = Buffer.allocUnsafe(2 + name.length + payload.length);
  value.writeUInt16BE(name.length, 0);
  value.set(name, 2);
  value.set(payload, 2 + name.length);
  return value;
}
