import { MeshError, type MessageListener, type PublishOptions, type Transport } from '@foremesh/node-runtime/contract';
import type { AedesPublishPacket } from 'aedes';
import type { Incidents } from './log.ts';
import type { PatientBroker } from './patient-broker.ts';
import type { BrokerPersistence } from './store/persistence.ts';
import { filterProblem, topicProblem } from './topic-rules.ts';

/**
 * A `Transport` inside the broker's own process: what the broker serves itself (blobs) needs no socket and no account.
 * Messages arrive in the order in which the broker took them; payloads may be kept but not changed.
 */
export class InternalTransport implements Transport {
  readonly closed: Promise<Error | undefined>;
  readonly #broker: PatientBroker;
  readonly #persistence: BrokerPersistence;
  readonly #incidents: Incidents;
  readonly #listeners = new Set<MessageListener>();
  readonly #filters = new Set<string>();
  #line: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #resolveClosed!: (error: Error | undefined) => void;

  constructor(broker: PatientBroker, persistence: BrokerPersistence, incidents: Incidents) {
    this.#incidents = incidents;
    this.#broker = broker;
    this.#persistence = persistence;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  publish(topic: string, payload: Uint8Array, { qos, retain = false }: PublishOptions): Promise<void> {
    const problem = topicProblem(topic);
    if (problem !== undefined) return Promise.reject(new MeshError('MESH_TOPIC_INVALID', problem, { where: topic }));
    // A copy of its own: the persistence knows an admitted message by its payload.
    const packet = { cmd: 'publish' as const, topic, payload: Buffer.from(payload), qos, retain, dup: false };
    return new Promise((resolve, reject) => {
      const begin = () => {
        this.#checkOpen();
        this.#broker.publish(packet, (error?: Error | null) => (error ? reject(error) : resolve()));
      };
      const stored = this.#isClosed ? undefined : this.#persistence.admit(packet);
      this.#line = this.#line
        .then(() => stored)
        .then(begin)
        .catch(reject);
    });
  }

  async subscribe(filters: readonly string[], _qos: 0 | 1): Promise<void> {
    this.#checkOpen();
    for (const filter of filters) {
      const problem = filterProblem(filter);
      if (problem !== undefined) throw new MeshError('MESH_TOPIC_INVALID', problem, { where: filter });
      if (this.#filters.has(filter)) continue;
      this.#filters.add(filter);
      await new Promise<void>((resolve) => this.#broker.subscribe(filter, this.#deliver, resolve));
      for await (const message of this.#persistence.retained.matching(filter)) {
        this.#tell(message.topic, message.payload, true);
      }
    }
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    for (const filter of filters) {
      if (!this.#filters.delete(filter)) continue;
      await new Promise<void>((resolve) => this.#broker.unsubscribe(filter, this.#deliver, resolve));
    }
  }

  listen(listener: MessageListener): () => void {
    // A wrapper of its own, so that the same function may listen twice.
    const own: MessageListener = (topic, payload, retained) => listener(topic, payload, retained);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return this.closed.then(() => undefined);
    this.#isClosed = true;
    await this.unsubscribe([...this.#filters]);
    this.#listeners.clear();
    this.#resolveClosed(undefined);
  }

  readonly #deliver = (packet: AedesPublishPacket, delivered: () => void): void => {
    // A filter that begins with a wildcard would match what the broker tells of itself ($SYS).
    if (!packet.topic.startsWith('$')) this.#tell(packet.topic, packet.payload as Buffer, false);
    delivered();
  };

  #tell(topic: string, payload: Uint8Array, retained: boolean): void {
    for (const listener of this.#listeners) {
      try {
        listener(topic, payload, retained);
      } catch (error) {
        this.#incidents.report(
          'listener',
          { topic, error: String(error) },
          'a listener inside the broker threw',
          'error',
        );
      }
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new MeshError('MESH_UNREACHABLE', 'this transport is closed');
  }
}
