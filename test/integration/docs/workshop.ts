import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../../support/until.ts';
import type { Block } from './blocks.ts';
import { assertJson, matchesText } from './compare.ts';
import { assertMessage } from './messages.ts';

const root = join(import.meta.dirname, '../../..');
const launcher = join(root, 'node-runtime/bin/foremesh.mjs');
const serviceMs = 30_000;

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

interface Service {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  stdout: string;
  stderr: string;
}

/** A folder in which the examples of one document are carried out, one after the other, as a reader would. */
export class Workshop {
  readonly #folder: string;
  readonly #placeholders: Readonly<Record<string, string>>;
  #prelude = '';
  #last: Output | Service | undefined;
  readonly #services = new Map<string, Service>();
  readonly #typescript: string[] = [];

  private constructor(folder: string, placeholders: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#placeholders = placeholders;
  }

  /** `home`: that of a broker that runs, which the reader has as `~/.foremesh`. */
  static async open(placeholders: Readonly<Record<string, string>>, home?: string): Promise<Workshop> {
    const folder = await mkdtemp(join(tmpdir(), 'foremesh-docs-'));
    await mkdir(join(folder, 'here'));
    if (home !== undefined) await symlink(home, join(folder, 'here/.foremesh'));
    // As in a clone of the project.
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    await symlink(join(root, 'node-runtime'), join(folder, 'node-runtime'));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n');
    await mkdir(join(folder, '.bin'));
    const command = join(folder, '.bin/foremesh');
    await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${launcher}' "$@"\n`);
    await chmod(command, 0o755);
    return new Workshop(folder, placeholders);
  }

  /** Does what one block says, and fails when what comes of it is not what the document shows. */
  async carryOut(block: Block): Promise<void> {
    const { language, marks, text } = block;
    if (marks.has('message')) assertMessage(marks.get('message')!, text);
    for (const name of marks.get('stops')?.split(',') ?? []) await this.#stop(name);
    if (marks.has('file')) await this.#write(marks.get('file')!, text);
    else if (marks.has('stdout') || marks.has('stderr')) await this.#compare(block);
    else if (marks.has('message')) return;
    else if (marks.has('run')) this.#last = await this.#run(block);
    else if (marks.has('service')) this.#last = this.#serve(block);
    else if (marks.has('prelude')) this.#prelude += text;
    else if (marks.has('placeholders')) this.#checkPlaceholders(text);
    else if (marks.has('unit')) await this.#checkUnit(text);
    else assert.ok(language === 'text' && marks.has('figure'), 'an example that nobody runs');
  }

  /** Compiles, without output, all the TypeScript that the document shows. */
  async checkTypes(): Promise<void> {
    if (this.#typescript.length === 0) return;
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'es2023',
      module: 'nodenext',
      verbatimModuleSyntax: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      types: ['node'],
    };
    const files = this.#typescript;
    await writeFile(join(this.#folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const compiling = promisify(execFile)(process.execPath, [compiler, '-p', this.#folder]);
    await compiling.catch((error: Output) => assert.fail(error.stdout));
  }

  async close(): Promise<void> {
    for (const name of [...this.#services.keys()].reverse()) await this.#stop(name);
    await rm(this.#folder, { recursive: true });
  }

  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    if (name.endsWith('.ts') && !this.#typescript.includes(name)) this.#typescript.push(name);
  }

  /** A block with `on=NAME` runs on another machine: a home, and programs installed by npm, of its own. */
  #spawn({ text, marks }: Block, detached: boolean): ChildProcess {
    const machine = join(this.#folder, marks.get('on') ?? 'here');
    const programs = marks.has('on') ? [join(machine, 'npm/bin')] : [join(this.#folder, '.bin')];
    const script = `set -eo pipefail\nmkdir -p ~\n${marks.has('on') ? '' : this.#prelude}${text}`;
    return spawn('bash', ['-c', script], {
      cwd: this.#folder,
      detached,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...this.#placeholders,
        PATH: [...programs, dirname(process.execPath), process.env.PATH].join(delimiter),
        HOME: machine,
        npm_config_prefix: join(machine, 'npm'),
        npm_config_cache: join(machine, 'npm-cache'),
        // What the examples install is on disk: nothing may be asked for elsewhere.
        npm_config_offline: 'true',
        npm_config_audit: 'false',
        npm_config_fund: 'false',
        npm_config_update_notifier: 'false',
      },
    });
  }

  #follow(child: ChildProcess): Service {
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const service: Service = { child, ended, stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]!.setEncoding('utf8').on('data', (text: string) => {
        service[name] += text;
      });
    }
    return service;
  }

  async #run(block: Block): Promise<Output> {
    const running = this.#follow(this.#spawn(block, false));
    await running.ended;
    const { child, stdout, stderr } = running;
    assert.equal(child.exitCode, Number(block.marks.get('exit') ?? 0), `exit code; it said:\n${stdout}${stderr}`);
    return { stdout, stderr };
  }

  /** Starts what goes on until the end of the document, or until a block that `stops` it. */
  #serve(block: Block): Service {
    const service = this.#follow(this.#spawn(block, true));
    this.#services.set(block.marks.get('service')!, service);
    return service;
  }

  async #stop(name: string): Promise<void> {
    const { child, ended } = this.#services.get(name)!;
    this.#services.delete(name);
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGTERM');
    await ended;
  }

  async #compare({ language, marks, text }: Block): Promise<void> {
    const last = this.#last;
    assert.ok(last, 'nothing ran before');
    const stream = marks.has('stdout') ? 'stdout' : 'stderr';
    if (language === 'json') return assertJson(text, last[stream]);
    if ('child' in last) {
      const over = () => matchesText(text, last[stream]) || last.child.exitCode !== null;
      await until(`a service says what is shown; it said:\n${last.stdout}${last.stderr}`, over, serviceMs).catch(
        () => undefined,
      );
    }
    if (!matchesText(text, last[stream])) assert.equal(last[stream], text);
  }

  #checkPlaceholders(text: string): void {
    const names = [...text.matchAll(/^(?:export )?([A-Z_]+)=/gm)].map(([, name]) => name!);
    const unknown = names.filter((name) => !(name in this.#placeholders));
    assert.deepEqual({ unknown, some: names.length > 0 }, { unknown: [], some: true });
  }

  /** A unit of systemd: its commands are commands of ours with options that they have. */
  async #checkUnit(text: string): Promise<void> {
    const commands = [...text.matchAll(/^ExecStart=\S*\/foremesh (\w+)(.*)$/gm)];
    assert.ok(commands.length > 0, 'no ExecStart with foremesh');
    for (const [, command, words] of commands) {
      const { stdout } = await promisify(execFile)(process.execPath, [launcher, command!, '--help']);
      for (const [option] of words!.matchAll(/--[a-z-]+/g))
        assert.ok(stdout.includes(option), `${command} has no ${option}`);
    }
  }
}
