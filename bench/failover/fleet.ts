import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  bodyOf,
  brokerUrl,
  decode,
  inboxEnvelope,
  parseConnection,
  Topics,
  type Transport,
} from '@foremesh/node-runtime/contract';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { connectMqtt } from '@foremesh/node-runtime/shell';
import { freePort } from '../spine/mesh.ts';
import { LineProcess } from '../spine/processes.ts';

const launcher = join(import.meta.dirname, '../../node-runtime/bin/foremesh.mjs');
const names = ['ada', 'bob', 'cyd', 'dan', 'eve'];
const voters = 3;
/** Longer than any failover: whoever waits for so long waits for ever. */
const waitMostMs = 120_000;

/** A dispatch of some leader, seen on the wire. */
interface Dispatch {
  readonly term: number;
  readonly atMs: number;
}

/** A connection that listens to everything that is said. */
export class Watch {
  readonly topics: Topics;
  readonly #transport: Transport;
  readonly #results = new Map<string, Set<string>>();
  #dispatch: Dispatch = { term: 0, atMs: 0 };
  #onDispatch: ((dispatch: Dispatch) => void) | undefined;

  constructor(topics: Topics, transport: Transport) {
    this.topics = topics;
    this.#transport = transport;
    transport.listen((topic, payload) => this.#hear(topic, payload));
  }

  async open(): Promise<void> {
    const { prefix } = this.topics;
    await this.#transport.subscribe([`${prefix}nodes/+/inbox`, `${prefix}jobs/+/+/result`], 1);
  }

  #hear(topic: string, payload: Uint8Array): void {
    const parsed = this.topics.parse(topic);
    if (parsed?.kind === 'result' && payload.length > 0) {
      const seen = this.#results.get(parsed.job) ?? new Set();
      this.#results.set(parsed.job, seen.add(Buffer.from(payload).toString()));
    } else if (parsed?.kind === 'inbox') {
      const { term, messages } = decode(inboxEnvelope, bodyOf(payload));
      if (term <= this.#dispatch.term || !messages.some(({ type }) => type === 'assign')) return;
      this.#dispatch = { term, atMs: performance.now() };
      this.#onDispatch?.(this.#dispatch);
    }
  }

  /** How many different results of a job were published. */
  resultsOf(job: string): number {
    return this.#results.get(job)?.size ?? 0;
  }

  /** The first assignment of a later term than any before. */
  nextTermDispatch(): Promise<Dispatch> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('nobody assigns anything any more')), waitMostMs);
      this.#onDispatch = (dispatch) => {
        clearTimeout(late);
        this.#onDispatch = undefined;
        resolve(dispatch);
      };
    });
  }

  close(): Promise<void> {
    return this.#transport.close();
  }
}

/** A broker and five nodes, three of which vote, as real processes. */
export class FleetUnderFire {
  readonly client: MeshClient;
  readonly watch: Watch;
  readonly #broker: LineProcess;
  readonly #nodes = new Map<string, LineProcess>();
  readonly #directory: string;
  readonly #connection: string;

  private constructor(directory: string, connection: string, broker: LineProcess, client: MeshClient, watch: Watch) {
    this.#directory = directory;
    this.#connection = connection;
    this.#broker = broker;
    this.client = client;
    this.watch = watch;
  }

  static async start(directory: string, profile: string): Promise<FleetUnderFire> {
    const port = String(await freePort());
    const home = join(directory, 'ada');
    const founding = run('init', 'init', '--home', home, '--name', 'ada', '--port', port, '--profile', profile);
    const connection = String((await founding.next()).connection);
    const broker = await ready(run('broker', 'broker', '--home', home, '--port', port, '--no-websocket', ...quiet));
    const parsed = parseConnection(connection);
    const { account: username, password, mesh } = parsed;
    const transport = await connectMqtt({ url: brokerUrl(parsed), clientId: 'watch', username, password });
    const watch = new Watch(new Topics(mesh), transport);
    await watch.open();
    const client = await connectMesh(connection, { clientName: 'bench' });
    const fleet = new FleetUnderFire(directory, connection, broker, client, watch);
    for (const name of names) await fleet.restart(name);
    await client.setVoters({ count: voters, settleMs: 500, replaceAfterMs: 3_600_000 });
    return fleet;
  }

  async restart(name: string): Promise<void> {
    const join_ = name === 'ada' ? [] : ['--join', this.#connection, '--name', name];
    const home = join(this.#directory, name);
    const words = ['node', '--home', home, ...join_, '--slots', '1', ...quiet];
    this.#nodes.set(name, await ready(run(name, ...words)));
  }

  /** Resolves when all voters vote and answer, and all nodes are there. */
  async whole(): Promise<void> {
    await this.#until('all voters answer', async () => {
      const rows = (await this.client.voters()).voters;
      const there = rows.filter(({ role, awayMs }) => (role === 'leader' || role === 'voter') && awayMs === undefined);
      return rows.length === voters && there.length === voters && rows.every(({ behind }) => behind < 1_000);
    });
    await this.#until('all nodes are there', async () => {
      const { rows } = await this.client.nodes();
      return rows.filter(({ status }) => status.online).length === names.length;
    });
  }

  async #until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const endMs = performance.now() + waitMostMs;
    while (!(await condition())) {
      if (performance.now() > endMs) throw new Error(`waited in vain until ${what}`);
      await sleep(50);
    }
  }

  /** SIGKILL; resolves with the time until another leader has assigned a task. */
  async killLeader(): Promise<{ readonly node: string; readonly dispatchMs: number }> {
    const { node } = (await this.client.voters()).voters.find(({ role }) => role === 'leader')!;
    const leader = this.#nodes.get(node)!;
    const next = this.watch.nextTermDispatch();
    const killedMs = performance.now();
    process.kill(leader.pid, 'SIGKILL');
    const { atMs } = await next;
    await leader.end();
    return { node, dispatchMs: atMs - killedMs };
  }

  async end(): Promise<void> {
    await this.client.close();
    await this.watch.close();
    for (const node of this.#nodes.values()) await node.end();
    await this.#broker.end();
  }
}

const quiet = ['--log-level', 'error'];

function run(name: string, ...words: string[]): LineProcess {
  return new LineProcess(name, process.execPath, [launcher, ...words, '--json']);
}

async function ready(started: LineProcess): Promise<LineProcess> {
  while ((await started.next()).ready !== true);
  return started;
}
