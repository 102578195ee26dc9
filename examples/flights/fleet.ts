import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../node-runtime/bin/foremesh.mjs', import.meta.url));

/** A broker and a few nodes on this machine, each a process of its own, in a folder that is gone afterwards. */
export class DemoFleet {
  readonly #directory: string;
  readonly #processes = new Map<string, ChildProcess>();
  connection = '';

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async found(founder: string): Promise<DemoFleet> {
    const fleet = new DemoFleet(await mkdtemp(join(tmpdir(), 'foremesh-demo-')));
    const port = String(await freePort());
    const home = join(fleet.#directory, founder);
    const told = execFileSync(process.execPath, [
      launcher,
      'init',
      '--home',
      home,
      '--name',
      founder,
      '--port',
      port,
      '--json',
    ]);
    fleet.connection = (JSON.parse(told.toString()) as { connection: string }).connection;
    await fleet.#start('broker', ['broker', '--home', home, '--port', port, '--no-websocket']);
    return fleet;
  }

  async startNode(name: string, joins: boolean): Promise<void> {
    const joining = joins ? ['--join', this.connection, '--name', name] : [];
    await this.#start(name, [
      'node',
      '--home',
      join(this.#directory, name),
      ...joining,
      '--slots',
      '1',
      '--share',
      '33%',
    ]);
  }

  async #start(name: string, words: readonly string[]): Promise<void> {
    const child = spawn(process.execPath, [launcher, ...words, '--json', '--log-level', 'error'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#processes.set(name, child);
    const lines = createInterface({ input: child.stdout });
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => line.includes('"ready":true') && resolve());
      child.once('exit', (code) => reject(new Error(`${name} ended (${code}) before it was ready`)));
    });
    lines.close();
    child.stdout.resume();
  }

  /** The kill that cannot be caught: the process gets no chance to say goodbye. */
  async killHard(name: string): Promise<void> {
    await this.#end(name, 'SIGKILL');
  }

  /** Ends every process and removes the folder; returns the process ids of ours that are still there (none). */
  async stop(): Promise<number[]> {
    for (const name of [...this.#processes.keys()].reverse()) await this.#end(name, 'SIGTERM');
    const listing = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' });
    const left = listing.split('\n').filter((line) => line.includes(this.#directory));
    await rm(this.#directory, { recursive: true, force: true });
    return left.map((line) => Number.parseInt(line, 10));
  }

  async #end(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.#processes.get(name);
    this.#processes.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    await ended;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
