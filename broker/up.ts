import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isLoopback } from '@foremesh/node-runtime/contract';
import type { CommandModule } from './commands.ts';

const addressFlags = [
  ['host', '--host'],
  ['port', '--port'],
  ['tlsPort', '--tls-port'],
] as const;
const passedToNode = [
  ['share', '--share'],
  ['slots', '--slots'],
  ['labels', '--labels'],
  ['policy', '--policy'],
] as const;

/** A child that ends is started again after this; twice as long each time, until it has lived for `settledMs`. */
const restartMs = { least: 500, most: 30_000 };
const settledMs = 30_000;
/** From SIGTERM to SIGKILL when the children do not end by themselves. */
const endMs = 12_000;
/** Exit codes that another start would only repeat: wrong usage, refused credentials. */
const finalExitCodes = [2, 3];

const examples = `
Examples:
  $ foremesh up                                      a mesh of this machine alone
  $ foremesh up --host 192.168.1.10 --share 25%      others can join; a quarter of the machine works for the mesh
  $ foremesh up --policy reactive                    place tasks by what is free now, and by no forecast`;

/** `foremesh up`: broker and first node of a mesh on this machine, founded if need be, each in a process that is kept alive. */
export const up: CommandModule = {
  name: 'up',
  summary: 'run broker and first node on this machine; found the mesh if there is none',
  register(command, context) {
    command
      .option(
        '--host <address>',
        'address for the broker to listen on (what `init` was told; only this machine unless said)',
      )
      .option('--port <number>', 'its port for plain MQTT, on this machine alone (what `init` was told; 1883)')
      .option('--tls-port <number>', 'its port for TLS, where others reach it (what `init` was told; 8883)')
      .option('--insecure', 'plain MQTT for all who reach --host: they read and change what passes')
      .option('--websocket-port <number>', 'its WebSocket port', '8083')
      .option('--no-announce', 'say nothing by mDNS of where the broker is')
      .option('--name <id>', 'id of the node, when the mesh is founded')
      .option('--share <share>', 'of the cores for the mesh: 0.5 or 50%')
      .option('--slots <number>', 'tasks at once')
      .option('--labels <list>', 'what jobs can ask for, with commas')
      .option('--policy <policy>', 'what its node places tasks by while it leads: predictive (unless said) or reactive')
      .option('--unsandboxed', 'run trusted code of engine node without walls where the system has none')
      .option('--home <directory>', 'where everything is kept', context.home)
      .addHelpText('after', examples)
      .action((options) => runUp(options, String(options.home)));
  },
};

async function runUp(options: Record<string, unknown>, home: string): Promise<void> {
  const cli = [process.argv[1]!];
  const given = (among: readonly (readonly [name: string, flag: string])[]) =>
    among.flatMap(([name, flag]) => (options[name] === undefined ? [] : [flag, String(options[name])]));
  const insecure = options.insecure === true ? ['--insecure'] : [];
  if (!existsSync(join(home, 'mesh.json'))) {
    const isSecure = options.host !== undefined && !isLoopback(String(options.host)) && options.insecure !== true;
    const reached = given([
      ['host', '--host'],
      [isSecure ? 'tlsPort' : 'port', '--port'],
      ['name', '--name'],
    ]);
    await runToEnd([...cli, 'init', '--author-key', '--home', home, ...reached, ...insecure]);
  }
  const silent = options.announce === false ? ['--no-announce'] : [];
  const listen = [...given(addressFlags), ...insecure, ...silent, '--websocket-port', String(options.websocketPort)];
  const nodeOptions = [...given(passedToNode), ...(options.unsandboxed === true ? ['--unsandboxed'] : [])];
  const kept = [
    new KeptProcess([...cli, 'broker', '--home', home, ...listen]),
    new KeptProcess([...cli, 'node', '--home', home, ...nodeOptions]),
  ];
  const signal = new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve());
  });
  const broken = await Promise.race([signal, ...kept.map((each) => each.broken)]);
  // The node first: it says goodbye over the broker.
  for (const each of kept.reverse()) await each.end();
  if (typeof broken === 'number') process.exitCode = broken;
}

function runToEnd(words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, ...words], { stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else process.exit(code ?? 1); // the child has said why
    });
  });
}

/** One child process, started again whenever it ends without being asked to. */
class KeptProcess {
  readonly #words: readonly string[];
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ending = false;
  #failures = 0;
  #markBroken!: (exitCode: number) => void;
  /** Resolves with the exit code when another start would be useless. */
  readonly broken: Promise<number>;

  constructor(words: readonly string[]) {
    this.#words = words;
    this.broken = new Promise((resolve) => {
      this.#markBroken = resolve;
    });
    this.#start();
  }

  #start(): void {
    const startedMs = performance.now();
    // The channel carries no message: the child ends when it closes, so that a killed supervisor leaves nobody behind.
    const child = spawn(process.execPath, [...process.execArgv, ...this.#words], {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    child.once('exit', (code) => {
      this.#child = undefined;
      if (this.#ending) return;
      if (code !== null && finalExitCodes.includes(code)) return this.#markBroken(code);
      this.#failures = performance.now() - startedMs > settledMs ? 0 : this.#failures + 1;
      this.#timer = setTimeout(() => this.#start(), Math.min(restartMs.most, restartMs.least * 2 ** this.#failures));
    });
  }

  async end(): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const forced = setTimeout(() => child.kill('SIGKILL'), endMs);
    await ended;
    clearTimeout(forced);
  }
}
