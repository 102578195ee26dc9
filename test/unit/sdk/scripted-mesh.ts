import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Connection,
  decodeUnchecked,
  encode,
  type JobResult,
  type JobSpec,
  type JobState,
  jobSpec,
  type QueryAnswer,
  type QueryAsk,
  Topics,
  type Transport,
} from '@foremesh/node-runtime/contract';
import { BlobHolder, BlobStore, specHashOf } from '@foremesh/node-runtime/data';
import { connectMqtt } from '@foremesh/node-runtime/shell';
import { Aedes } from 'aedes';

export interface SpecSeen {
  readonly job: string;
  readonly spec: JobSpec;
  readonly specHash: string;
  readonly times: number;
}

type QueryBody = QueryAnswer extends infer T ? (T extends unknown ? Omit<T, 'v' | 'id'> : never) : never;

export const account = 'owner';

/**
 * A bare Aedes on loopback and a leader that does what the test says. The broker can be stopped and started again; it
 * keeps nothing, which is the worst case.
 */
export class ScriptedMesh {
  readonly topics = new Topics('testmesh');
  /** How often each job's spec came, and what it was. */
  readonly specs = new Map<string, SpecSeen>();
  readonly cancels: { readonly job: string; readonly reason: string }[] = [];
  readonly asks: QueryAsk[] = [];
  connections = 0;
  onSpec: (seen: SpecSeen) => void = () => undefined;
  onCancel: (job: string, reason: string) => void = () => undefined;
  /** Undefined: no answer. */
  answer: (ask: QueryAsk) => QueryBody | undefined = () => undefined;

  #broker: Aedes | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #holder:
    | { readonly folder: string; readonly store: BlobStore; readonly blobs: BlobHolder; readonly transport: Transport }
    | undefined;

  static async start(): Promise<ScriptedMesh> {
    const mesh = new ScriptedMesh();
    await mesh.startBroker();
    return mesh;
  }

  get connection(): Connection {
    return { host: '127.0.0.1', port: this.#port, mesh: 'testmesh', account, password: 'secret' };
  }

  /** On the port it had before. */
  async startBroker(): Promise<void> {
    const broker = await Aedes.createBroker();
    broker.authenticate = (_client, _user, password, done) => done(null, String(password) === 'secret');
    broker.on('clientReady', () => {
      this.connections += 1;
    });
    broker.on('publish', (packet, client) => {
      if (client !== null) this.#take(packet.topic, packet.payload as Buffer);
    });
    const server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket.on('close', () => this.#sockets.delete(socket)));
      broker.handle(socket);
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as { port: number }).port;
    this.#broker = broker;
    this.#server = server;
  }

  async stopBroker(): Promise<void> {
    const server = this.#server!;
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await new Promise<void>((resolve) => this.#broker!.close(resolve));
    this.#broker = undefined;
  }

  /** A holder of blobs, as the broker's box is one, and the hint that names it. */
  async startHolder(): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'foremesh-sdk-'));
    const store = await BlobStore.open(join(folder, 'blobs'));
    const blobs = new BlobHolder({ store, topics: this.topics, holder: 'box' });
    const { connection } = this;
    const transport = await connectMqtt({
      url: `mqtt://127.0.0.1:${connection.port}`,
      clientId: 'box',
      username: account,
      password: connection.password,
    });
    await blobs.attach(transport);
    this.#holder = { folder, store, blobs, transport };
    await this.announce('box');
  }

  async announce(...holders: string[]): Promise<void> {
    // What shows that it is true is for nodes: no client looks at it.
    const [key, signature] = ['A'.repeat(43), 'A'.repeat(86)];
    const proof = { mesh: key, term: 1, candidate: 'ada', votes: [{ voter: 'ada', signature }] };
    const hint = { v: 1, node: 'ada', bootId: 'b1', term: 1, seq: 1, holders, publicKey: key, proof, chain: [] };
    await this.publish(this.topics.leader(), hint, true);
  }

  async close(): Promise<void> {
    await this.#holder?.blobs.close();
    await this.#holder?.transport.close();
    await this.#holder?.store.close();
    if (this.#holder !== undefined) await rm(this.#holder.folder, { recursive: true });
    if (this.#broker !== undefined) await this.stopBroker();
  }

  publish(topic: string, message: unknown, retain = false): Promise<void> {
    return this.publishRaw(topic, encode(message, 'json'), retain);
  }

  publishRaw(topic: string, payload: Uint8Array, retain = false): Promise<void> {
    const packet = { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, retain, dup: false } as const;
    return new Promise((resolve, reject) => {
      this.#broker!.publish(packet, (error) => (error ? reject(error) : resolve()));
    });
  }

  publishState(state: JobState): Promise<void> {
    return this.publish(this.topics.jobState(account, state.job), state, state.phase !== 'refused');
  }

  publishResult(result: JobResult): Promise<void> {
    return this.publish(this.topics.jobResult(account, result.job), result, true);
  }

  /** Result, then state, as the leader does. */
  async publishEnd(job: string, specHash: string, more: Partial<JobResult> = {}): Promise<void> {
    const result = resultOf(job, specHash, more);
    await this.publishResult(result);
    await this.publishState(
      stateOf(job, specHash, { phase: result.phase, revision: Number.MAX_SAFE_INTEGER, ...problemOf(more) }),
    );
  }

  #take(topic: string, payload: Buffer): void {
    const parsed = this.topics.parse(topic);
    if (parsed?.kind === 'spec' && payload.length > 0) {
      const spec = jobSpec.parse(decodeUnchecked(payload));
      const times = (this.specs.get(parsed.job)?.times ?? 0) + 1;
      const seen = { job: parsed.job, spec, specHash: specHashOf(spec), times };
      this.specs.set(parsed.job, seen);
      this.onSpec(seen);
    } else if (parsed?.kind === 'cancel') {
      const { reason } = decodeUnchecked(payload) as { reason: string };
      this.cancels.push({ job: parsed.job, reason });
      this.onCancel(parsed.job, reason);
    } else if (parsed?.kind === 'queryAsk') {
      const ask = decodeUnchecked(payload) as QueryAsk;
      this.asks.push(ask);
      const body = this.answer(ask);
      if (body === undefined) return;
      void this.publish(this.topics.queryAnswer(parsed.account, parsed.client), { v: 1, id: ask.id, ...body });
    }
  }
}

function problemOf({ problem }: Partial<JobResult>): Pick<JobState, 'problem'> {
  return problem === undefined ? {} : { problem };
}

export function stateOf(job: string, specHash: string, more: Partial<JobState> = {}): JobState {
  return {
    v: 1,
    account,
    job,
    specHash,
    phase: 'accepted',
    priority: 5,
    stages: [{ stage: 'map', tasks: 4, waiting: 4, running: 0, done: 0, failed: 0, progress: 0 }],
    elapsedMs: 10,
    term: 1,
    revision: 1,
    ...more,
  };
}

export function resultOf(job: string, specHash: string, more: Partial<JobResult> = {}): JobResult {
  const phase = more.phase ?? 'done';
  return {
    v: 1,
    account,
    job,
    specHash,
    phase,
    ...(phase === 'done' ? { outputs: { map: { encoding: 'json', value: { sum: 6 } } } } : {}),
    elapsedMs: 1_234,
    tasksByNode: { ada: 3, bob: 1 },
    ...more,
  };
}

export const spec = { name: 'numbers', stages: { map: { code: { inline: 'export default () => 1' } } } };

/** Impatient: a test waits for nothing longer than it must. */
export const fast = {
  resubmitMs: 40,
  quietMs: 10_000,
  askAgainMs: 40,
  queryTimeoutMs: 10_000,
  backoffMs: 5,
  backoffMostMs: 40,
  connectTimeoutMs: 5_000,
};
