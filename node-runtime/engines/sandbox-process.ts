import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { limits } from '../contract/index.ts';
import { type Allotment, AllotmentFile } from './allotment.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import { type FromSandbox, parseFromSandbox, type ToSandbox } from './protocol.ts';
import { type LaunchPlan, nodeFlags, type SandboxEntry } from './sandbox-launch.ts';

const frameBytesMost = limits.outputBytesMost + 8 * 1024 ** 2;
const startMsMost = 60_000;
const closeMsMost = 1_000;
const stderrBytesKept = 2_000;

export interface ProcessEvents {
  message(message: FromSandbox, body: Uint8Array): void;
  /** The process is gone; nothing follows. */
  exited(description: string): void;
}

/** One sandbox process: starts it, talks to it, ends it. Decides nothing. */
export class SandboxProcess {
  readonly pid: number | undefined;
  private readonly child: ChildProcess;
  private readonly socket: Socket;
  private readonly events: ProcessEvents;
  private readonly startTimer: NodeJS.Timeout;
  private outgoing: Uint8Array[] = [];
  private stderr = '';
  private gone = false;
  private problem: string | undefined;
  private readonly allotment: AllotmentFile | undefined;
  private allotted: Allotment | undefined;

  constructor(plan: LaunchPlan, entry: SandboxEntry, nice: number, events: ProcessEvents) {
    this.events = events;
    const identity = plan.dropsPrivileges ? 'drop' : 'keep';
    const command = [
      ...plan.wrapper,
      process.execPath,
      ...nodeFlags(),
      ...entry.nodeArguments,
      entry.path,
      String(nice),
      identity,
    ];
    this.allotment = makeAllotment();
    this.child = spawn(command[0]!, command.slice(1), {
      env: {},
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', this.allotment?.forChild ?? 'ignore'],
      windowsHide: true,
    });
    this.allotment?.closeForChild();
    this.pid = this.child.pid;
    this.socket = this.child.stdio[3] as Socket;
    const heard: [FromSandbox, Uint8Array][] = [];
    const reader = new FrameReader(frameBytesMost, ({ head, body }) => {
      const message = parseFromSandbox(head);
      if (message === undefined) throw new TypeError('a message that is none of ours');
      heard.push([message, body]);
    });
    this.socket.on('data', (chunk: Buffer) => {
      if (this.problem !== undefined) return;
      try {
        reader.push(chunk);
      } catch (error) {
        this.problem = `it spoke out of turn: ${(error as Error).message}`;
        this.kill();
      }
      for (const [message, body] of heard.splice(0)) {
        if (message.type === 'ready') clearTimeout(this.startTimer);
        if (!this.gone) this.events.message(message, body);
      }
    });
    this.socket.on('error', () => undefined);
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-stderrBytesKept);
    });
    this.child.on('error', (error) => this.exit(error.message));
    this.child.on('close', (code, signal) => this.exit(signal ?? `exit code ${code}`));
    this.startTimer = setTimeout(() => {
      this.problem = `it was not ready within ${startMsMost} ms`;
      this.kill();
    }, startMsMost);
  }

  /** Gathered until `flush`. */
  send(message: ToSandbox, parts: readonly Uint8Array[] = []): void {
    this.outgoing.push(...encodeFrame(message, parts));
  }

  flush(): void {
    if (this.outgoing.length === 0 || this.gone) return;
    const parts = this.outgoing;
    this.outgoing = [];
    this.socket.cork();
    for (const part of parts) this.socket.write(part);
    this.socket.uncork();
  }

  /** Whether it can be given less than a core. */
  get isPaced(): boolean {
    return this.allotment !== undefined;
  }

  /** It takes no notice while it has nothing to do. */
  allot(allotment: Allotment): void {
    const { cpuShare, runId, memoryBytes } = allotment;
    const { allotted } = this;
    const isSame = cpuShare === allotted?.cpuShare && runId === allotted.runId && memoryBytes === allotted.memoryBytes;
    if (this.gone || isSame) return;
    this.allotted = allotment;
    this.allotment?.write(allotment);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  /** Lets it end by itself, for a moment. */
  close(): void {
    this.socket.end();
    const timer = setTimeout(() => this.kill(), closeMsMost);
    this.child.once('exit', () => clearTimeout(timer));
  }

  private exit(how: string): void {
    if (this.gone) return;
    this.gone = true;
    this.allotment?.close();
    clearTimeout(this.startTimer);
    this.socket.destroy();
    const said = this.stderr.trim();
    this.events.exited([this.problem ?? how, ...(said === '' ? [] : [said])].join(': '));
  }
}

/** Undefined where no file can be made: then the process is not slowed down, but for its low priority. */
function makeAllotment(): AllotmentFile | undefined {
  try {
    return new AllotmentFile();
  } catch {
    return undefined;
  }
}
