import type { IClientOptions, MqttClient } from 'mqtt';
import {
  asMeshError,
  MeshError,
  type MessageListener,
  type PublishOptions,
  type Transport,
} from '../contract/index.ts';

// One MQTT connection once there is a client object, in Node as in a page: it imports nothing but types.

export interface SessionOptions {
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  readonly keepaliveSeconds?: number;
  readonly connectTimeoutMs?: number;
  readonly will?: {
    readonly topic: string;
    readonly payload: Uint8Array;
    readonly qos: 0 | 1;
    readonly retain: boolean;
  };
}

export const connectTimeoutMs = 10_000;

/** A clean session, no reconnecting and no queue for what is published while away. */
export function sessionOptions(options: SessionOptions): IClientOptions {
  return {
    clientId: options.clientId,
    clean: true,
    reconnectPeriod: 0,
    queueQoSZero: false,
    resubscribe: false,
    protocolVersion: 4,
    keepalive: options.keepaliveSeconds ?? 15,
    connectTimeout: options.connectTimeoutMs ?? connectTimeoutMs,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.will === undefined ? {} : { will: { ...options.will, payload: asBuffer(options.will.payload) } }),
  };
}

/** Waits for the broker's word. Rejects with `MESH_UNREACHABLE` or `MESH_NOT_AUTHORIZED`. */
export async function handshake(client: MqttClient, url: string): Promise<MqttTransport> {
  // Without it a QoS 1 round trip waits 40 ms for a delayed acknowledgement.
  const socket = client.stream as { setNoDelay?: (on: boolean) => void };
  socket.setNoDelay?.(true);
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error | undefined) => {
      // Only ours: mqtt.js clears its connect timer on its own `close`, and would keep the process alive until it fires.
      client.removeListener('error', fail);
      client.removeListener('close', closedEarly);
      client.on('error', () => undefined); // a late error of a connection already given up
      client.end(true);
      reject(explain(error, url));
    };
    const closedEarly = () => fail(undefined);
    client.once('connect', () => {
      // Only ours: mqtt.js listens to its own `close` too.
      client.removeListener('error', fail);
      client.removeListener('close', closedEarly);
      resolve();
    });
    client.once('error', fail);
    client.once('close', closedEarly);
  });
  return new MqttTransport(client);
}

/** The same bytes. mqtt.js says that it wants a `Buffer`; where there is none, in a page, it takes any bytes. */
function asBuffer(bytes: Uint8Array): Buffer {
  if (typeof Buffer === 'undefined') return bytes as Buffer;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function explain(error: Error | undefined, url: string): MeshError {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (code === 4 || code === 5 || code === 134 || code === 135) {
    return new MeshError('MESH_NOT_AUTHORIZED', `${url} refused the account, its password, or the certificate`, {
      mend: 'check the connection string that `foremesh init` printed; of a node that has joined, `foremesh join` says why',
    });
  }
  const reason = error === undefined ? 'the connection was closed before it was accepted' : reasonOf(error);
  return new MeshError('MESH_UNREACHABLE', `cannot reach ${url}: ${reason}`, {
    mend: 'is the broker running there (`foremesh broker`) and the port open?',
    cause: error,
  });
}

function reasonOf(error: Error): string {
  // Happy-eyeballs connects report one error per address and an empty message of their own.
  const inner = (error as { errors?: Error[] }).errors;
  return error.message !== '' ? error.message : (inner?.map((each) => each.message).join(', ') ?? error.name);
}

/** How long an orderly end may take: a broker that does not answer must not keep a node from stopping. */
const closeMs = 2_000;

type Settle<T> = (error?: Error | null, value?: T) => void;

/** Of the fixed header of a message, and its packet id. */
const headerBytes = 5;

export class MqttTransport implements Transport {
  readonly #client: MqttClient;
  readonly #listeners = new Set<MessageListener>();
  /** Rejects what waits for the broker: mqtt.js forgets some of it when the connection goes. */
  readonly #unanswered = new Set<(error: MeshError) => void>();
  readonly closed: Promise<Error | undefined>;
  #lost: Error | undefined;
  #ended = false;
  /** Sent and received: MQTT packets, without what carries them, and without the smallest. */
  trafficBytes = 0;

  constructor(client: MqttClient) {
    this.#client = client;
    client.on('error', (error) => {
      this.#lost = error;
    });
    client.on('packetreceive', ({ length = 0 }) => {
      this.trafficBytes += headerBytes + length;
    });
    client.on('message', (topic, payload, packet) => {
      for (const listener of this.#listeners) listener(topic, payload, packet.retain);
    });
    this.closed = new Promise((resolve) => {
      client.once('close', () => {
        const reason = this.#ended ? undefined : (this.#lost ?? new Error('the connection was closed'));
        this.#ended = true;
        client.end(true);
        for (const reject of this.#unanswered) reject(gone());
        resolve(reason);
      });
    });
  }

  publish(topic: string, payload: Uint8Array, options: PublishOptions): Promise<void> {
    this.trafficBytes += headerBytes + topic.length + payload.length;
    return this.#ask((settle) => {
      this.#client.publish(topic, asBuffer(payload), { qos: options.qos, retain: options.retain ?? false }, (error) =>
        settle(error),
      );
    });
  }

  async subscribe(filters: readonly string[], qos: 0 | 1): Promise<void> {
    const granted = await this.#ask<readonly unknown[]>((settle) => {
      // A refusal comes as an error with the broker's answer beside it.
      this.#client.subscribe([...filters], { qos }, (error, _, packet) =>
        settle(packet === undefined ? error : null, packet?.granted),
      );
    });
    const refused = granted.findIndex((code) => (code as number) > 2);
    if (refused >= 0)
      throw new MeshError('MESH_NOT_AUTHORIZED', 'the broker refused the subscription', {
        where: filters[refused]!,
        mend: 'the account may not read that: `foremesh accounts list` at the hub shows what each may do',
      });
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    if (!this.#ended) await this.#ask((settle) => this.#client.unsubscribe([...filters], (error) => settle(error)));
  }

  #ask<T = void>(start: (settle: Settle<T>) => void): Promise<T> {
    if (this.#ended) return Promise.reject(gone());
    return new Promise((resolve, reject) => {
      this.#unanswered.add(reject);
      start((error, value) => {
        this.#unanswered.delete(reject);
        if (error) reject(asMeshError(error, 'MESH_UNREACHABLE'));
        else resolve(value as T);
      });
    });
  }

  listen(listener: MessageListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true;
      this.#client.end();
    }
    const timer = setTimeout(() => this.#client.stream.destroy(), closeMs);
    await this.closed;
    clearTimeout(timer);
  }
}

function gone(): MeshError {
  return new MeshError('MESH_UNREACHABLE', 'the connection is closed');
}
