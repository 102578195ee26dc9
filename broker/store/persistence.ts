import { Readable } from 'node:stream';
import { MeshError } from '@foremesh/node-runtime/contract';
import type { BrokerLimits } from '../limits.ts';
import type { Incidents } from '../log.ts';
import { Database, type DatabaseOptions, storeDamaged } from './database.ts';
import { type RetainedMessage, RetainedStore } from './retained.ts';
import { SessionStore } from './sessions.ts';
import { type Will, WillStore } from './wills.ts';

/** What Aedes hands over of a client and of a packet. */
/** Whose a client is, and what it may read. */
export interface ClientDirectory {
  readonly ownerOf: (clientId: string) => string | undefined;
  readonly mayRead: (clientId: string, filter: string) => boolean;
}

interface ClientLike {
  readonly id: string;
}
interface PacketLike {
  readonly cmd?: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  readonly brokerId?: string;
  readonly brokerCounter?: number;
  readonly messageId?: number | undefined;
}
interface SubscriptionLike {
  readonly topic: string;
  readonly qos: number;
}

/** The stream that gives nothing: Aedes asks no more of one than this. */
const nothing: Pick<Readable, 'pipe'> = { pipe: (destination) => destination };
/** Stands as broker id on messages that come from the queue; their counter is the queue's sequence number. */
const fromQueue = 'queue';
const metaKey = 'meta';

/**
 * What Aedes keeps: retained messages, persistent sessions, wills. It stands where `aedes-persistence-level` would,
 * because that one (9.2.0, tried here) stored the older of two retained values in 23 of 200 quick pairs, reads all retained
 * messages for each subscription (112 ms at 10,000), forgets a session's filter when a narrower one is added, queues for QoS 0
 * subscriptions, and bounds nothing.
 *
 * Two steps per publish: `admit` stores the message before it is acknowledged; Aedes' own calls then find it stored and
 * resolve at once, so that messages keep the order in which they were admitted.
 */
export class BrokerPersistence {
  readonly retained: RetainedStore;
  readonly sessions: SessionStore;
  readonly #database: Database;
  readonly #wills: WillStore;
  readonly #incidents: Incidents;
  readonly #limits: BrokerLimits;
  /** Unique per start, ascending: queued messages and wills of earlier starts are told apart by it. */
  readonly brokerId: string;
  /** Payload of an admitted message -> what tells its queue entries the number that Aedes gave it. */
  readonly #admitted = new WeakMap<Uint8Array, ((source: number) => void) | undefined>();
  /** QoS 2 identifiers of each publisher that await their release. In memory: exactly once is not promised. */
  readonly #exactlyOnce = new Map<string, Set<number>>();
  #clients: ClientDirectory = { ownerOf: () => undefined, mayRead: () => false };

  private constructor(database: Database, boot: number, limits: BrokerLimits, incidents: Incidents) {
    this.#database = database;
    this.#limits = limits;
    this.#incidents = incidents;
    this.brokerId = `b${boot}`;
    this.retained = new RetainedStore(database, limits);
    this.sessions = new SessionStore(database, limits, (limit, clientId) => {
      incidents.report(limit, { clientId, allowed: limits[limit] }, `a session's oldest was dropped: ${limit}`);
    });
    this.#wills = new WillStore(database);
  }

  /** Throws as `Database.open`. */
  static async open(
    options: Omit<DatabaseOptions, 'onWriteFailed'>,
    limits: BrokerLimits,
    incidents: Incidents,
  ): Promise<BrokerPersistence> {
    const database = await Database.open({
      ...options,
      onWriteFailed: (error) =>
        incidents.report('storeWrite', { error: error.message }, 'the store cannot write', 'error'),
    });
    try {
      const meta = await database.read(metaKey);
      const { v, boot } =
        meta === undefined ? { v: 1, boot: 0 } : (JSON.parse(meta.toString()) as { v: number; boot: number });
      if (v !== 1) {
        throw new MeshError('MESH_STORAGE_FAILED', `the store has version ${v}, this release reads 1`, {
          where: options.location,
          mend: 'install the newer release, or move the directory away',
        });
      }
      await database.write(metaKey, Buffer.from(JSON.stringify({ v: 1, boot: boot + 1 })));
      const persistence = new BrokerPersistence(database, boot + 1, limits, incidents);
      await persistence.retained.load();
      await persistence.sessions.load();
      await persistence.#wills.load();
      persistence.sessions.expire();
      return persistence;
    } catch (error) {
      await database.close();
      throw error instanceof MeshError ? error : storeDamaged(options.location, error);
    }
  }

  /** Needed before the first client comes. */
  identify(clients: ClientDirectory): void {
    this.#clients = clients;
  }

  /**
   * Stores what must outlive this process before the publisher hears that we have it. Returns undefined when nothing
   * must, else a promise that rejects with `MESH_STORAGE_FAILED`.
   */
  admit(packet: { topic: string; payload: Buffer; qos: number; retain: boolean }): Promise<unknown> | undefined {
    const retained = packet.retain ? this.#retain(packet) : undefined;
    const queued = packet.qos > 0 ? this.sessions.enqueue(packet.topic, packet.payload) : undefined;
    this.#admitted.set(packet.payload, queued?.note);
    if (retained === undefined && queued === undefined) return undefined;
    return Promise.all([retained, queued?.written]);
  }

  /** Resolves when all that was written is on disk. */
  flush(): Promise<void> {
    return this.#database.flush();
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  #retain({ topic, payload, qos }: { topic: string; payload: Buffer; qos: number }): Promise<void> | undefined {
    const stored = this.retained.store(topic, payload, qos);
    if (typeof stored !== 'string') return stored;
    const allowed = this.#limits[stored];
    this.#incidents.report(stored, { topic, allowed }, `a message was delivered but not retained: ${stored}`);
    return undefined;
  }

  // From here on: what Aedes calls. It insists on an async `setup`.

  async setup(): Promise<void> {}

  async storeRetained(packet: PacketLike): Promise<void> {
    if (!this.#admitted.has(packet.payload)) void this.#retain(packet);
  }

  createRetainedStreamCombi(filters: readonly string[]): Pick<Readable, 'pipe'> {
    // Most subscriptions find nothing, and a stream costs more than all else of them.
    if (!filters.some((filter) => this.retained.has(filter))) return nothing;
    return Readable.from(this.#retainedPackets(filters), { highWaterMark: 2 });
  }

  // Aedes does not listen for errors of this stream: one would end the process.
  async *#retainedPackets(
    filters: readonly string[],
  ): AsyncGenerator<RetainedMessage & { cmd: 'publish'; retain: true }> {
    try {
      for (const filter of filters) {
        for await (const message of this.retained.matching(filter)) yield { cmd: 'publish', retain: true, ...message };
      }
    } catch (error) {
      this.#incidents.report('storeRead', { error: String(error) }, 'retained messages cannot be read', 'error');
    }
  }

  async addSubscriptions({ id }: ClientLike, subscriptions: readonly SubscriptionLike[]): Promise<void> {
    const { ownerOf, mayRead } = this.#clients;
    // Aedes hands over what was refused too.
    const granted = subscriptions.filter(({ topic }) => mayRead(id, topic));
    const filters = granted.map(({ topic, qos }): [string, number] => [topic, Math.min(qos, 1)]);
    this.sessions.subscribe(id, ownerOf(id) ?? '', filters);
  }

  async removeSubscriptions({ id }: ClientLike, filters: readonly string[]): Promise<void> {
    this.sessions.unsubscribe(id, filters);
  }

  async subscriptionsByClient({ id }: ClientLike): Promise<SubscriptionLike[]> {
    this.sessions.setConnected(id, true);
    return this.sessions.filters(id).map(([topic, qos]) => ({ topic, qos }));
  }

  async cleanSubscriptions({ id }: ClientLike): Promise<void> {
    this.sessions.drop(id);
  }

  /** Who wants a message is found in `outgoingEnqueueCombi`. */
  async subscriptionsByTopic(): Promise<[]> {
    return [];
  }

  async outgoingEnqueueCombi(_subscriptions: [], packet: PacketLike): Promise<void> {
    const admitted = this.#admitted.has(packet.payload);
    const note = admitted ? this.#admitted.get(packet.payload) : this.#enqueue(packet);
    if (packet.brokerCounter !== undefined) note?.(packet.brokerCounter);
  }

  #enqueue({ topic, payload }: PacketLike): ((source: number) => void) | undefined {
    const queued = this.sessions.enqueue(topic, payload);
    queued?.written.catch(() => undefined);
    return queued?.note;
  }

  async outgoingUpdate({ id }: ClientLike, packet: PacketLike): Promise<void> {
    const { brokerId, brokerCounter, messageId } = packet;
    // A PUBREL has no counter; we send no QoS 2, so there is nothing to note.
    if (brokerCounter === undefined || messageId === undefined) return;
    const by = brokerId === fromQueue ? { sequence: brokerCounter } : { source: brokerCounter };
    this.sessions.sent(id, by, messageId);
  }

  async outgoingClearMessageId({ id }: ClientLike, { messageId }: PacketLike): Promise<undefined> {
    if (messageId !== undefined) this.sessions.acknowledge(id, messageId);
    return undefined;
  }

  outgoingStream({ id }: ClientLike): Readable {
    return Readable.from(this.#queuedPackets(id), { highWaterMark: 2 });
  }

  async *#queuedPackets(clientId: string): AsyncGenerator<PacketLike & { dup: boolean }> {
    for await (const { sequence, topic, payload, qos, messageId } of this.sessions.queue(clientId)) {
      yield {
        cmd: 'publish',
        brokerId: fromQueue,
        brokerCounter: sequence,
        topic,
        payload,
        qos,
        retain: false,
        // Sent before over an earlier connection, and not acknowledged.
        dup: messageId !== undefined,
        messageId,
      };
    }
  }

  async incomingStorePacket({ id }: ClientLike, { messageId }: PacketLike): Promise<void> {
    let identifiers = this.#exactlyOnce.get(id);
    if (identifiers === undefined) {
      identifiers = new Set();
      this.#exactlyOnce.set(id, identifiers);
    }
    if (messageId !== undefined) identifiers.add(messageId);
  }

  /** Rejects when the publisher has no such handshake open, which Aedes takes for "new". */
  async incomingGetPacket({ id }: ClientLike, { messageId }: PacketLike): Promise<object> {
    if (messageId === undefined || !this.#exactlyOnce.get(id)?.has(messageId)) throw new Error('no such packet');
    return { messageId };
  }

  async incomingDelPacket({ id }: ClientLike, { messageId }: PacketLike): Promise<void> {
    const identifiers = this.#exactlyOnce.get(id);
    if (messageId !== undefined) identifiers?.delete(messageId);
    if (identifiers?.size === 0) this.#exactlyOnce.delete(id);
  }

  async cleanIncoming({ id }: ClientLike): Promise<void> {
    this.#exactlyOnce.delete(id);
  }

  async putWill({ id }: ClientLike, will: Will): Promise<void> {
    await this.#wills.put(id, this.brokerId, will);
  }

  async delWill({ id }: ClientLike): Promise<void> {
    this.#wills.delete(id);
  }

  streamWill(): Readable {
    return Readable.from(this.#wills.orphans(this.brokerId));
  }
}
