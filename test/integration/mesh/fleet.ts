import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, parseConnection } from '@foremesh/node-runtime/contract';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { ForemeshProcess, foremesh } from './processes.ts';

/** A mesh of real processes on this machine: a broker, a founder, as many more nodes as a test starts. */
export class Fleet {
  readonly directory: string;
  readonly connection: Connection;
  readonly connectionString: string;
  broker!: ForemeshProcess;
  readonly nodes = new Map<string, ForemeshProcess>();
  readonly #clients: MeshClient[] = [];
  readonly #ends: (() => Promise<void>)[] = [];

  private constructor(directory: string, connectionString: string) {
    this.directory = directory;
    this.connectionString = connectionString;
    this.connection = parseConnection(connectionString);
  }

  /** Founds a mesh; starts its broker and its founder `ada`. */
  static async start(...initOptions: string[]): Promise<Fleet> {
    const directory = await mkdtemp(join(tmpdir(), 'foremesh-fleet-'));
    const port = await freePort();
    const { code, stdout, stderr } = await foremesh(
      'init',
      '--home',
      join(directory, 'ada'),
      '--name',
      'ada',
      '--port',
      String(port),
      '--json',
      ...initOptions,
    );
    if (code !== 0) throw new Error(`init failed: ${stderr}`);
    const fleet = new Fleet(directory, (JSON.parse(stdout) as { connection: string }).connection);
    await fleet.startBroker();
    await fleet.startNode('ada');
    return fleet;
  }

  home(node: string): string {
    return join(this.directory, node);
  }

  async startBroker(...options: string[]): Promise<void> {
    const { port } = this.connection;
    const listen = ['--port', String(port), '--no-websocket'];
    this.broker = new ForemeshProcess([
      'broker',
      '--home',
      this.home('ada'),
      ...listen,
      '--json',
      '--log-level',
      'warn',
      ...options,
    ]);
    await this.broker.ready();
  }

  async startNode(name: string, ...options: string[]): Promise<ForemeshProcess> {
    const join_ = name === 'ada' ? [] : ['--join', this.connectionString, '--name', name];
    const node = new ForemeshProcess([
      'node',
      '--home',
      this.home(name),
      ...join_,
      '--slots',
      '1',
      '--json',
      '--log-level',
      'warn',
      ...options,
    ]);
    this.nodes.set(name, node);
    await node.ready();
    return node;
  }

  async client(connection = this.connectionString): Promise<MeshClient> {
    const client = await connectMesh(connection);
    this.#clients.push(client);
    return client;
  }

  /** Ends a node in order. */
  async stopNode(name: string): Promise<void> {
    const node = this.nodes.get(name)!;
    this.nodes.delete(name);
    await node.kill('SIGTERM');
  }

  /** To be done before the mesh is stopped. */
  later(end: () => Promise<void>): void {
    this.#ends.push(end);
  }

  async stop(): Promise<void> {
    for (const end of this.#ends) await end();
    for (const client of this.#clients) await client.close();
    await Promise.all([...this.nodes.values()].map((node) => node.kill('SIGTERM')));
    await this.broker.kill('SIGTERM');
    await rm(this.directory, { recursive: true });
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
