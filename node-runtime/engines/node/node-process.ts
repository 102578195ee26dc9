import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits } from '../../contract/limits.ts';
import { type EngineRequest, slotsOf } from '../engine.ts';
import { encodeFrame, FrameReader } from '../frames.ts';
import { type FromSandbox, parseFromSandbox, shapeOf, type ToSandbox } from '../protocol.ts';
import type { SandboxEntry } from '../sandbox-launch.ts';
import { TaskLog } from '../task-log.ts';
import { type Containment, errorsOf, launchOf } from './node-launch.ts';
import { childrenOf, processesWith, readTree, signalAll, type TreeReading } from './process-tree.ts';

const frameSlackBytes = 1024 ** 2;
const lineBytesMost = 4 * limits.logLineCharacters;

export interface NodeProcessEvents {
  message(message: FromSandbox, body: Uint8Array): void;
  log(lines: string[]): void;
  /** It says more than it may, or what makes no sense: it is being killed. */
  misbehaved(what: 'output' | 'words', text: string): void;
  /** It and all that it had started are gone; nothing follows. */
  exited(how: string): void;
}

/** The processes of one attempt: starts them, talks to them, measures them, holds them, ends them. Decides nothing. */
export class NodeProcess {
  readonly #child: ChildProcess;
  readonly #events: NodeProcessEvents;
  readonly #containment: Containment;
  readonly #log = new TaskLog();
  readonly #mark = `FOREMESH_ATTEMPT=${randomBytes(12).toString('hex')}`;
  readonly #folder: string | undefined;
  readonly #request: EngineRequest;
  #tree: TreeReading = { processIds: [], cpuMs: 0, livingCpuMs: 0, residentBytes: 0 };
  #cpuMs = 0;
  #held: readonly number[] = [];
  #saidBytes = 0;
  #stderr = '';

  constructor(containment: Containment, entry: SandboxEntry, request: EngineRequest, events: NodeProcessEvents) {
    this.#events = events;
    this.#containment = containment;
    this.#request = request;
    const { memoryBytes, outputBytes } = request.limits;
    const { command, arguments: words } = launchOf(containment, entry, {
      memoryBytes,
      network: request.network === true,
    });
    this.#folder = containment.kind === 'none' ? mkdtempSync(join(tmpdir(), 'foremesh-task-')) : undefined;
    this.#child = spawn(command, words, {
      env: { PATH: '/usr/bin:/bin', HOME: this.#folder ?? '/tmp', ...markOf(this.#mark) },
      cwd: this.#folder ?? '/',
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const socket = this.#child.stdio[3] as Socket;
    (this.#child.stdio[4] as Socket).on('error', () => undefined);
    socket.on('error', () => undefined);
    const reader = new FrameReader(outputBytes + frameSlackBytes, ({ head, body }) => {
      const message = parseFromSandbox(head);
      if (message === undefined) throw new TypeError('it said what is no message of ours');
      if (message.type !== 'done') this.#count(body.length + 64);
      events.message(message, body);
    });
    let isBroken = false;
    socket.on('data', (chunk: Buffer) => {
      if (isBroken) return;
      try {
        reader.push(chunk);
      } catch (error) {
        isBroken = true;
        const what = error instanceof RangeError ? 'output' : 'words';
        events.misbehaved(what, (error as Error).message);
      }
    });
    const errors = errorsOf(this.#child);
    for (const stream of [this.#child.stdout!, errors]) this.#readLines(stream);
    for (const stream of [this.#child.stderr!, errors]) stream.on('data', (chunk) => this.#hearErrors(String(chunk)));
    this.#child.on('error', (error) => this.#exit(error.message));
    this.#child.on('close', (code, signal) => this.#exit(signal ?? `exit code ${code}`));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }
  /** The last that it, or what started it, said on standard error. */
  get lastWords(): string {
    return this.#stderr.trim();
  }
  /** As last measured, since its start, all its processes together. */
  get cpuMs(): number {
    return this.#cpuMs;
  }
  get tree(): TreeReading {
    return this.#tree;
  }

  give(id: number): void {
    const { engine, codeHash, code, input, parameters, limits: taskLimits } = this.#request;
    const slots = slotsOf(input);
    const head: ToSandbox = {
      type: 'run',
      id,
      key: codeHash,
      identity: codeHash,
      engine,
      shape: shapeOf(input),
      parameters,
      limits: taskLimits,
      codeBytes: code.length,
      slotBytes: slots.map((slot) => slot.length),
    };
    const socket = this.#child.stdio[3] as Socket;
    for (const part of encodeFrame(head, [code, ...slots])) socket.write(part);
  }

  measure(): TreeReading {
    const { pid } = this;
    const read = pid === undefined ? undefined : readTree(pid);
    if (read !== undefined) {
      this.#tree = read;
      this.#cpuMs = Math.max(this.#cpuMs, read.cpuMs);
    }
    return this.#tree;
  }

  /** Stops every process of the task, but not those that see to its end. */
  hold(): void {
    this.#held = this.#guests();
    signalAll(this.#held, 'SIGSTOP');
  }

  goOn(): void {
    signalAll(this.#held, 'SIGCONT');
    this.#held = [];
  }

  /** Its code and whatever that has started. */
  #guests(): number[] {
    const { pid } = this;
    if (pid === undefined) return [];
    // `unshare`, the first process of the namespace, and its first child, which waits for our end.
    const first = this.#containment.kind === 'namespaces' ? childrenOf(pid)[0] : pid;
    if (first === undefined) return [];
    return childrenOf(first)
      .slice(1)
      .flatMap((child) => readTree(child)?.processIds ?? []);
  }

  /** At once, with all that it has started. `exited` follows. */
  kill(): void {
    this.measure();
    const { pid } = this;
    if (pid === undefined) return;
    // The first process of a namespace takes all others with it.
    const inside = this.#containment.kind === 'namespaces' ? childrenOf(pid) : this.#guests();
    signalAll([...inside, pid], 'SIGKILL');
    if (this.#containment.kind === 'none') this.#killGroup(pid);
  }

  #killGroup(pid: number): void {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // it is gone
    }
    signalAll(processesWith(this.#mark), 'SIGKILL');
  }

  #readLines(stream: NodeJS.ReadableStream): void {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      this.#count(chunk.length);
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!.slice(0, lineBytesMost);
      for (const line of lines) this.#log.add(line);
      this.#tellLines(false);
    });
    stream.on('end', () => {
      if (rest !== '') this.#log.add(rest);
      rest = '';
    });
    stream.on('error', () => undefined);
  }

  #hearErrors(chunk: string): void {
    this.#stderr = (this.#stderr + chunk).slice(-2_000);
  }

  #tellLines(ended: boolean): void {
    const lines = this.#log.take(ended);
    if (lines.length > 0) this.#events.log(lines);
  }

  #count(bytes: number): void {
    const before = this.#saidBytes;
    this.#saidBytes += bytes;
    if (before <= limits.taskSaidBytes && this.#saidBytes > limits.taskSaidBytes)
      this.#events.misbehaved('words', `taskSaidBytes is ${limits.taskSaidBytes}`);
  }

  #isGone = false;
  #exit(how: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    (this.#child.stdio[4] as Socket | undefined)?.destroy();
    if (this.#containment.kind === 'none') signalAll(processesWith(this.#mark), 'SIGKILL');
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
    this.#tellLines(true);
    this.#events.exited(how);
  }
}

function markOf(mark: string): Record<string, string> {
  const [name, value] = mark.split('=') as [string, string];
  return { [name]: value };
}
