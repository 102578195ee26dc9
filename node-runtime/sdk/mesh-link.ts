import { asMeshError, type Connection, MeshError, type Transport } from '../contract/index.ts';
import { pause } from './pause.ts';
import { ChangeSignal } from './signal.ts';
import { backoffDelayMs, type Timing } from './timing.ts';

/** How one connection is made: beside what the connection string says. */
export interface ConnectOptions {
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
  readonly connectTimeoutMs: number;
  /** In place of the broker that the connection string names: `ws://host:8083/mqtt` and the like. */
  readonly url?: string;
}

export type Connect = (connection: Connection, options: ConnectOptions) => Promise<Transport>;

export interface MeshLinkOptions {
  readonly connection: Connection;
  readonly clientId: string;
  readonly timing: Timing;
  readonly random: () => number;
  readonly onProblem: (problem: MeshError) => void;
  readonly url?: string;
  readonly connect: Connect;
}

export type TopicListener = (payload: Uint8Array, topic: string) => void;

export interface Watch {
  /** Resolves once the broker has granted the subscriptions on some connection. Rejects when it refuses. */
  readonly ready: Promise<void>;
  stop(): void;
}

/** Filters in one SUBSCRIBE packet: far below the packet limit of any broker. */
const filtersPerSubscribe = 64;
const closeMostMs = 2_000;
const unsubscribeMs = 250;

/**
 * A connection that comes back: each time a fresh transport, on which everything that is watched is subscribed again
 * before anybody hears of it. Nothing is queued while away: who publishes repeats until answered.
 */
export class MeshLink {
  readonly clientId: string;
  readonly #options: MeshLinkOptions;
  readonly #watched = new Map<string, Set<TopicListener>>();
  readonly #connectListeners = new Set<() => void>();
  /** What the broker does not grant on the connection there is now. */
  #refused: ReadonlyMap<string, MeshError> = new Map();
  readonly #changed = new ChangeSignal();
  readonly #closing = new AbortController();
  /** Subscribed, and no longer watched. */
  readonly #idle = new Set<string>();
  #tidying: ReturnType<typeof setTimeout> | undefined;
  #transport: Transport | undefined;
  #keeping: Promise<void> = Promise.resolve();

  private constructor(options: MeshLinkOptions) {
    this.clientId = options.clientId;
    this.#options = options;
  }

  /** Connects once: a wrong address or password is an error now, not silence. Later losses are repaired. */
  static async open(options: MeshLinkOptions): Promise<MeshLink> {
    const link = new MeshLink(options);
    await link.#connect();
    link.#keeping = link.#keep();
    return link;
  }

  /** The connection there is now, if any. */
  get transport(): Transport | undefined {
    return this.#transport;
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Called after every new connection but the first, with all subscriptions in place. Returns what removes the listener. */
  onReconnect(listener: () => void): () => void {
    this.#connectListeners.add(listener);
    return () => this.#connectListeners.delete(listener);
  }

  /** Subscribes to exact topics, QoS 1, now and on every later connection. A retained message comes once per connection. */
  watch(topics: readonly string[], listener: TopicListener): Watch {
    for (const topic of topics) {
      const listeners = this.#watched.get(topic) ?? new Set();
      this.#watched.set(topic, listeners.add(listener));
    }
    const ready = this.#subscribeOnce(topics);
    ready.catch(() => undefined);
    return { ready, stop: () => this.#unwatch(topics, listener) };
  }

  /** Publishes on the connection there is now. Rejects with `MESH_UNREACHABLE` when there is none, or it breaks. */
  async publish(topic: string, payload: Uint8Array, options: { readonly retain?: boolean } = {}): Promise<void> {
    if (this.#transport === undefined)
      throw new MeshError('MESH_UNREACHABLE', 'there is no connection to the broker now');
    await this.#transport.publish(topic, payload, { qos: 1, ...options });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#tidying);
    this.#changed.fire();
    if (this.#transport === undefined) return;
    // A broker that is frozen acknowledges nothing more; leaving does not wait for it for long.
    const closing = Promise.all([this.#transport.close(), this.#keeping]);
    const patience = new AbortController();
    await Promise.race([closing, pause(closeMostMs, patience.signal)]);
    patience.abort(); // its timer would keep the process alive
  }

  async #connect(): Promise<void> {
    const { connection, clientId, timing, url, connect } = this.#options;
    const transport = await connect(connection, {
      ...(url === undefined ? {} : { url }),
      clientId,
      username: connection.account,
      password: connection.password,
      connectTimeoutMs: timing.connectTimeoutMs,
    });
    transport.listen((topic, payload) => {
      for (const listener of [...(this.#watched.get(topic) ?? [])]) listener(payload, topic);
    });
    try {
      this.#refused = await subscribeGranted(transport, [...this.#watched.keys()]);
    } catch (error) {
      await transport.close();
      throw error;
    }
    this.#transport = transport;
    for (const refusal of this.#refused.values()) this.#options.onProblem(refusal);
    if (this.closed) await transport.close();
    this.#changed.fire();
  }

  async #keep(): Promise<void> {
    const { timing, random, onProblem } = this.#options;
    while (true) {
      const reason = await this.#transport!.closed;
      this.#transport = undefined;
      if (this.closed) return;
      onProblem(new MeshError('MESH_UNREACHABLE', `the connection was lost: ${reason?.message ?? 'it was closed'}`));
      for (let attempt = 0; this.#transport === undefined; attempt++) {
        await pause(backoffDelayMs(attempt, timing, random), this.#closing.signal);
        if (this.closed) return;
        try {
          await this.#connect();
        } catch (error) {
          onProblem(asMeshError(error, 'MESH_UNREACHABLE'));
        }
      }
      for (const listener of [...this.#connectListeners]) listener();
    }
  }

  async #subscribeOnce(topics: readonly string[]): Promise<void> {
    while (!this.closed) {
      const transport = this.#transport;
      if (transport === undefined) {
        await this.#changed.next();
        continue;
      }
      const refusal = topics.map((topic) => this.#refused.get(topic)).find((each) => each !== undefined);
      if (refusal !== undefined) throw refusal;
      try {
        return await subscribeAll(transport, topics);
      } catch (error) {
        // A refusal is final; a connection that broke meanwhile is followed by another.
        if (error instanceof MeshError && error.code === 'MESH_NOT_AUTHORIZED') throw error;
        await transport.close();
        if (this.#transport === transport) await this.#changed.next();
      }
    }
    throw new MeshError('MESH_UNREACHABLE', 'the client was closed');
  }

  #unwatch(topics: readonly string[], listener: TopicListener): void {
    for (const topic of topics) {
      const listeners = this.#watched.get(topic);
      listeners?.delete(listener);
      if (listeners?.size === 0 && this.#watched.delete(topic)) this.#idle.add(topic);
    }
    if (this.#idle.size > 0) {
      this.#tidying ??= setTimeout(() => this.#unsubscribeIdle(), unsubscribeMs);
      this.#tidying.unref?.(); // in Node it keeps no process alive
    }
  }

  /** Nobody waits for it: many at once, and not while the next job is being submitted. */
  #unsubscribeIdle(): void {
    this.#tidying = undefined;
    const topics = [...this.#idle].filter((topic) => !this.#watched.has(topic));
    this.#idle.clear();
    for (let from = 0; from < topics.length; from += filtersPerSubscribe) {
      this.#transport?.unsubscribe(topics.slice(from, from + filtersPerSubscribe)).catch(() => undefined);
    }
  }
}

async function subscribeAll(transport: Transport, topics: readonly string[]): Promise<void> {
  for (let from = 0; from < topics.length; from += filtersPerSubscribe) {
    await transport.subscribe(topics.slice(from, from + filtersPerSubscribe), 1);
  }
}

/** Subscribes to all that the broker grants; returns what it refuses. One right that was lost must not cost the others. */
async function subscribeGranted(transport: Transport, topics: readonly string[]): Promise<Map<string, MeshError>> {
  const refused = new Map<string, MeshError>();
  for (let left = topics; ; left = topics.filter((topic) => !refused.has(topic))) {
    try {
      await subscribeAll(transport, left);
      return refused;
    } catch (error) {
      const isRefusal = error instanceof MeshError && error.code === 'MESH_NOT_AUTHORIZED';
      if (!isRefusal || error.where === undefined || !left.includes(error.where)) throw error;
      refused.set(error.where, error);
    }
  }
}
