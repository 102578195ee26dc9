import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { LineProcess } from './processes.ts';

/** What a task does: nothing. */
const noOp = 'export default () => 0;';
const launcher = join(import.meta.dirname, '../../node-runtime/bin/foremesh.mjs');

export interface MeshOptions {
  readonly directory: string;
  /** The command `foremesh` as a device installs it. */
  readonly deviceCommand: string;
  /** Flags of Node for the three processes, to profile them: `--cpu-prof`. */
  readonly nodeFlags?: readonly string[];
  /** An address of this machine that others could reach: then everything goes over TLS. */
  readonly host?: string;
  /** Of broker and nodes, beside the usual. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A broker, a founder and a second node as they ship, one slot each, and a client in this process. */
export class MeshUnderTest {
  readonly broker: LineProcess;
  readonly founder: LineProcess;
  readonly follower: LineProcess;
  readonly client: MeshClient;

  private constructor(broker: LineProcess, founder: LineProcess, follower: LineProcess, client: MeshClient) {
    this.broker = broker;
    this.founder = founder;
    this.follower = follower;
    this.client = client;
  }

  static async start({
    directory,
    deviceCommand,
    nodeFlags = [],
    environment,
    host,
  }: MeshOptions): Promise<MeshUnderTest> {
    if (!existsSync(launcher)) throw new Error(`there is no ${launcher}`);
    const home = (name: string) => join(directory, name);
    const run = (name: string, command: string, ...words: string[]) =>
      new LineProcess(name, process.execPath, [...nodeFlags, command, ...words, '--json'], environment);
    const port = String(await freePort());
    const place = host === undefined ? ['--port', port] : ['--host', host, '--port', port];
    const listening = host === undefined ? place : ['--host', host, '--tls-port', port, '--port', '0'];
    const founding = run('init', launcher, 'init', '--home', home('ada'), '--name', 'ada', ...place);
    const connection = String((await founding.next()).connection);
    const started: LineProcess[] = [];
    try {
      const ready = async (process: LineProcess) => {
        started.push(process);
        while ((await process.next()).ready !== true);
        return process;
      };
      const quiet = ['--log-level', 'warn'];
      const broker = await ready(
        run('broker', launcher, 'broker', '--home', home('ada'), ...listening, '--no-websocket', ...quiet),
      );
      const node = ['--slots', '1', ...quiet];
      const founder = await ready(run('founder', deviceCommand, 'node', '--home', home('ada'), ...node));
      const join_ = ['--join', connection, '--name', 'bob'];
      const follower = await ready(run('follower', deviceCommand, 'node', '--home', home('bob'), ...join_, ...node));
      const client = await connectMesh(connection, { clientName: 'bench' });
      return new MeshUnderTest(broker, founder, follower, client);
    } catch (error) {
      for (const process of started.reverse()) await process.end();
      throw error;
    }
  }

  /** Runs one job of so many no-op tasks; returns milliseconds from submit to result. */
  async throughput(tasks: number): Promise<number> {
    const startMs = performance.now();
    const inline = 'x\n'.repeat(tasks);
    const job = this.client.submit({
      stages: { map: { code: { inline: noOp }, input: { inline }, split: { by: 'lines', chunks: tasks } } },
    });
    const { phase, problem, outputs } = await job.result();
    if (phase !== 'done') throw new Error(`the job is ${phase}: ${problem?.message}`);
    const values = await this.client.read(outputs!.map!);
    const elapsedMs = performance.now() - startMs;
    if (!Array.isArray(values) || values.length !== tasks) throw new Error('the result is not one value per task');
    return elapsedMs;
  }

  /** Milliseconds from submit to result of jobs of one task, one after the other. */
  async latencies(jobs: number): Promise<number[]> {
    const elapsed: number[] = [];
    for (let count = 0; count < jobs; count += 1) {
      const startMs = performance.now();
      const { phase } = await this.client.submit({ stages: { only: { code: { inline: noOp } } } }).result();
      elapsed.push(performance.now() - startMs);
      if (phase !== 'done') throw new Error(`the job is ${phase}`);
    }
    return elapsed;
  }

  async end(): Promise<void> {
    await this.client.close();
    for (const process of [this.follower, this.founder, this.broker]) await process.end();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
