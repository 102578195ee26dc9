import { join } from 'node:path';
import { createAccount, type RunningBroker, startBroker } from '@foremesh/broker';
import {
  type Connection,
  decode,
  encode,
  type JobResult,
  type JobSpecInput,
  type JobState,
  jobResult,
  jobState,
  type MeshEvent,
  meshEvent,
  Topics,
  type Transport,
} from '@foremesh/node-runtime/contract';
import { foundMesh, type NodeOptions, openHome, type RunningNode, startNode } from '@foremesh/node-runtime/shell';
import { pino } from 'pino';
import { later, makeTransport, scratch, until } from './support.ts';

const silent = pino({ level: process.env.TEST_LOG ?? 'silent' });

/** A mesh in this process: a broker, its founder `ada`, and a client that sees everything. */
export class Mesh {
  readonly directory: string;
  readonly broker: RunningBroker;
  readonly connection: Connection;
  readonly topics: Topics;
  readonly client: Transport;
  readonly events: MeshEvent[] = [];
  readonly states = new Map<string, JobState[]>();
  readonly results = new Map<string, JobResult>();
  ada!: RunningNode;

  private constructor(directory: string, broker: RunningBroker, connection: Connection, client: Transport) {
    this.directory = directory;
    this.broker = broker;
    this.connection = connection;
    this.client = client;
    this.topics = new Topics(connection.mesh);
    client.listen((topic, payload) => this.#hear(topic, payload));
  }

  static async start(options: Partial<NodeOptions> = {}): Promise<Mesh> {
    const directory = await scratch();
    const home = openHome(join(directory, 'ada'), {});
    const founded = await foundMesh({
      home,
      node: 'ada',
      createAccount: async (at, name) => (await createAccount(at, name)).password,
    });
    const broker = await startBroker({
      home: home.directory,
      listen: { host: '127.0.0.1', port: 0 },
      webSocket: false,
    });
    later(() => broker.close());
    const connection = { ...founded, port: broker.tcpPort };
    const { account: username, password } = connection;
    const client = await makeTransport(broker.urls[0]!, { username, password });
    const mesh = new Mesh(directory, broker, connection, client);
    const { prefix } = mesh.topics;
    await client.subscribe([`${prefix}events`, `${prefix}jobs/+/+/state`, `${prefix}jobs/+/+/result`], 1);
    mesh.ada = await mesh.node('ada', options);
    return mesh;
  }

  /** Starts a node and waits until it is online; it stops with the test. */
  async node(name: string, options: Partial<NodeOptions> = {}): Promise<RunningNode> {
    const home = openHome(join(this.directory, name), {});
    const node = await startNode({ home, connection: this.connection, name, slots: 1, log: silent, ...options });
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= node.stop();
      return stopped;
    };
    later(stop);
    await node.online;
    return { ...node, online: node.online, failed: node.failed, stop };
  }

  #hear(topic: string, payload: Uint8Array): void {
    const parsed = this.topics.parse(topic);
    if (payload.length === 0 || parsed === undefined) return;
    if (parsed.kind === 'events') this.events.push(decode(meshEvent, payload));
    if (parsed.kind === 'result') this.results.set(parsed.job, decode(jobResult, payload));
    if (parsed.kind === 'state') {
      const states = this.states.get(parsed.job) ?? [];
      states.push(decode(jobState, payload));
      this.states.set(parsed.job, states);
    }
  }

  async publish(topic: string, payload: Uint8Array | string): Promise<void> {
    await this.client.publish(topic, typeof payload === 'string' ? Buffer.from(payload) : payload, { qos: 1 });
  }

  async submit(job: string, spec: JobSpecInput | object): Promise<void> {
    await this.publish(this.topics.jobSpec(this.connection.account, job), encode(spec, 'json'));
  }

  async cancel(job: string): Promise<void> {
    await this.publish(this.topics.jobCancel(this.connection.account, job), encode({ reason: 'no more' }, 'json'));
  }

  state(job: string): JobState | undefined {
    return this.states.get(job)?.at(-1);
  }

  result(job: string): Promise<JobResult> {
    return until(`job ${job} has ended (${JSON.stringify(this.state(job))})`, () => this.results.get(job), 30_000);
  }

  /** Submits and waits for the outputs. */
  async run(job: string, spec: JobSpecInput): Promise<JobResult> {
    await this.submit(job, spec);
    return this.result(job);
  }
}

/** A stage of code in engine `js`; `body` is a function body with the task API as `task`. */
export function stageOf(body: string): { code: { inline: string } } {
  return { code: { inline: `export default async function (task) { ${body} }` } };
}

export function jobOf(body: string, more: object = {}): JobSpecInput {
  return { stages: { main: { ...stageOf(body), ...more } } } as JobSpecInput;
}
