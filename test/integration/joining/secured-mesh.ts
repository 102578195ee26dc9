import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { skip } from '../../support/skip.ts';
import { freePort } from '../mesh/fleet.ts';
import { type Ended, ForemeshProcess } from '../mesh/processes.ts';
import { Network } from './network.ts';

/** For a suite, which is skipped where no network can be made: both are there before its first test, and gone after its last. */
export function meshAcrossNetwork(brokerOptions: readonly string[] = []): { network: Network; mesh: SecuredMesh } {
  const network = new Network();
  const mesh = new SecuredMesh(network.here, brokerOptions);
  let isOpen = false;
  before(async function () {
    const problem = await network.open();
    if (problem !== undefined) skip(this, problem);
    isOpen = true;
    await mesh.found();
  });
  after(async () => {
    if (!isOpen) return;
    await mesh.stop();
    await network.close();
  });
  return { network, mesh };
}

/** A mesh of real processes whose hub others reach over TLS. */
export class SecuredMesh {
  directory!: string;
  port!: number;
  readonly #host: string;
  #brokerOptions: readonly string[];
  readonly #processes: ForemeshProcess[] = [];
  broker!: ForemeshProcess;
  hub!: ForemeshProcess;

  /** A mesh for `host`, whose broker gets these options too. */
  constructor(host: string, brokerOptions: readonly string[]) {
    this.#host = host;
    this.#brokerOptions = brokerOptions;
  }

  /** Founds it: then its broker and its founder run. */
  async found(): Promise<void> {
    this.directory = await mkdtemp(join(tmpdir(), 'foremesh-joining-'));
    this.port = await freePort();
    const at = ['--host', this.#host, '--port', String(this.port)];
    await this.succeed('init', '--home', this.home('hub'), '--name', 'hub', ...at);
    await this.#startBroker();
    this.hub = await this.start('node', '--home', this.home('hub'), '--slots', '0', '--json', '--log-level', 'warn');
  }

  async #startBroker(): Promise<void> {
    const plain = ['--port', '0', '--websocket-port', '0', ...this.#brokerOptions];
    this.broker = await this.start('broker', '--home', this.home('hub'), ...plain, '--json', '--log-level', 'warn');
  }

  /** With other options, if they are given. */
  async restartBroker(options = this.#brokerOptions): Promise<void> {
    if (this.broker.child.exitCode === null) await this.broker.kill('SIGKILL');
    this.#brokerOptions = options;
    await this.#startBroker();
  }

  home(name: string): string {
    return join(this.directory, name);
  }

  /** Starts what goes on, and waits until it is ready. */
  async start(...words: string[]): Promise<ForemeshProcess> {
    return this.startAt(undefined, ...words);
  }

  async startAt(network: Network | undefined, ...words: string[]): Promise<ForemeshProcess> {
    const started = new ForemeshProcess(words, {}, network?.prefix);
    this.#processes.push(started);
    await started.ready();
    return started;
  }

  /** Runs a command to its end, here or where `prefix` says. */
  run(words: readonly string[], prefix: readonly string[] = [], environment = {}): Promise<Ended> {
    return new ForemeshProcess(words, environment, prefix).exited;
  }

  async succeed(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(words);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async invite(...options: string[]): Promise<string> {
    const stdout = await this.succeed('invite', '--home', this.home('hub'), '--json', ...options);
    return (JSON.parse(stdout) as { invitation: string }).invitation;
  }

  /** A job of one task that says which node ran it; returns the node's name. */
  async runJob(): Promise<string> {
    const file = join(this.directory, 'job.yaml');
    const code = 'export default async () => 6 * 7;';
    await writeFile(file, `stages:\n  only:\n    code:\n      inline: ${JSON.stringify(code)}\n`);
    const stdout = await this.succeed('submit', file, '--home', this.home('hub'), '--json');
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const { job } = lines.find(({ event }) => event === 'submitted') as { job: string };
    const details = JSON.parse(await this.succeed('job', job, '--home', this.home('hub'), '--json'));
    assert.equal(details.state.phase, 'done');
    return details.tasks[0].node as string;
  }

  async stop(): Promise<void> {
    for (const each of this.#processes.reverse()) if (each.child.exitCode === null) await each.kill('SIGTERM');
    await rm(this.directory, { recursive: true });
  }
}
