import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { readProcessStats } from '../../../node-runtime/engines/process-stats.ts';
import { until } from '../../support/until.ts';

const launcher = fileURLToPath(new URL('../../../node-runtime/bin/foremesh.mjs', import.meta.url));

/** How a process has ended, and all that it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A real `foremesh` process, from the bundle that ships. */
export class ForemeshProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<Ended>;
  stdout = '';
  stderr = '';

  /** `prefix`: a command that runs it, as `ip netns exec NAME` does, under the same process id. `program`: another copy of it. */
  constructor(
    words: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    prefix: readonly string[] = [],
    program = launcher,
  ) {
    const [file, ...args] = [...prefix, process.execPath, program, ...words];
    this.child = spawn(file!, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: '/nonexistent', NO_COLOR: '1', ...environment },
    });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve) =>
      this.child.once('close', (code, signal) => resolve({ code, signal, stdout: this.stdout, stderr: this.stderr })),
    );
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** The first line of stdout that is JSON with `ready`; fails with what it said when it ends first. */
  async ready(): Promise<Record<string, unknown>> {
    const lines = createInterface({ input: this.child.stdout! });
    const line = await Promise.race([
      new Promise<string>((resolve) => lines.on('line', (text) => text.includes('"ready":true') && resolve(text))),
      this.exited.then(({ code, signal }) => {
        throw new Error(`foremesh ended (${code ?? signal}) before it was ready:\n${this.stdout}${this.stderr}`);
      }),
    ]);
    lines.close();
    return JSON.parse(line) as Record<string, unknown>;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    this.child.kill(signal);
    await this.exited;
  }
}

/** Runs `foremesh` to its end. */
export function foremesh(...words: string[]): Promise<Ended> {
  return new ForemeshProcess(words).exited;
}

/** Process ids of this user whose parent is gone or is one of ours, by command line. */
export function processesMatching(text: string): number[] {
  const listing = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' });
  return listing
    .split('\n')
    .filter((line) => line.includes(text) && !line.includes('ps -eo'))
    .map((line) => Number.parseInt(line, 10));
}

/** The sandbox processes of a node: what it started itself. */
export function sandboxesOf(pid: number): { pid: number; nice: number }[] {
  const listing = execFileSync('ps', ['-eo', 'pid=,ppid=,nice=,args='], { encoding: 'utf8' });
  const rows = listing.split('\n').map((line) => /^\s*(\d+)\s+(\d+)\s+(-?\d+)\s+(.*)$/.exec(line));
  const children = rows.filter((row) => row !== null && Number(row[2]) === pid && row[4]!.includes('sandbox'));
  return children.map((row) => ({ pid: Number(row![1]), nice: Number(row![3]) }));
}

/** What processes use of the CPU over some seconds, in cores: those that begin meanwhile included, as far as they live. */
export async function coresOf(processIds: () => number[], forMs = 3_000): Promise<number> {
  const read = () => new Map(processIds().map((pid) => [pid, readProcessStats(pid)?.cpuMs ?? 0]));
  const [beganMs, before] = [performance.now(), read()];
  await until('the time to measure is over', () => performance.now() - beganMs >= forMs);
  const usedMs = [...read()].reduce((sum, [pid, cpuMs]) => sum + Math.max(0, cpuMs - (before.get(pid) ?? 0)), 0);
  return usedMs / (performance.now() - beganMs);
}
