import { type Allocation, type ErrorCode, limits, type Usage } from '../../contract/index.ts';
import { type EngineListener, type EngineOutcome, type EngineRequest, noUsage, slotsOf } from '../engine.ts';
import type { FromSandbox } from '../protocol.ts';
import type { SandboxEntry } from '../sandbox-launch.ts';
import type { PoolLoad } from '../sandbox-pool.ts';
import { type Containment, defaultNodeEntry, probeContainment } from './node-launch.ts';
import { NodeProcess } from './node-process.ts';
import type { TreeReading } from './process-tree.ts';

export interface NodePoolOptions {
  /** Tasks at once, now: asked whenever one could begin. */
  readonly freeSlots: () => number;
  readonly queue: number;
  /** A slot has been taken. */
  readonly onBegun?: () => void;
  /** The owner of the machine has said that tasks may run without namespaces where there are none. */
  readonly unsandboxed?: boolean;
  readonly entry?: SandboxEntry;
  /** What it is instead of what the system allows. */
  readonly containment?: Containment;
}

interface Run {
  readonly request: EngineRequest;
  process: NodeProcess | undefined;
  /** When its process was started; when its code began. */
  bornMs: number;
  startedMs: number | undefined;
  idleBytes: number;
  peakBytes: number;
  result: EngineOutcome | undefined;
  allocation: Allocation;
  logLines: number;
  judgedMs: number;
  judgedCpuMs: number;
  /** CPU time that it has used beyond its share, and wall time that it was held for it. */
  debtMs: number;
  heldMs: number;
  heldSinceMs: number | undefined;
}

const watchMs = 50;
const startMsMost = 60_000;
const holdMsMost = 1_000;
const debtMsFree = 20;
const cpuShareLeast = 0.01;
const memorySlackBytes = 64 * 1024 ** 2;
const graceShare = 0.05;

/** Runs tasks of engine `node`: each attempt in a process of its own, with walls around it, watched from outside. */
export class NodePool {
  readonly #options: NodePoolOptions;
  readonly #entry: SandboxEntry;
  readonly #listener: EngineListener;
  readonly #runs = new Map<string, Run>();
  #waiting: Run[] = [];
  #containment: Containment | undefined;
  #endedCpuMs = 0;
  #nextId = 1;
  #watch: NodeJS.Timeout | undefined;
  #cores = Number.POSITIVE_INFINITY;
  #isClosed = false;
  #isPumping = false;
  #whenEmpty: (() => void) | undefined;

  constructor(options: NodePoolOptions, listener: EngineListener) {
    this.#options = options;
    this.#entry = options.entry ?? defaultNodeEntry();
    this.#listener = listener;
    this.#containment = options.containment;
  }

  /** How its tasks would be kept apart here. */
  async describe(): Promise<Containment> {
    this.#containment ??= await probeContainment();
    if (this.#containment.kind === 'refused' && this.#options.unsandboxed === true)
      this.#containment = { kind: 'none' };
    return this.#containment;
  }

  get running(): number {
    return [...this.#runs.values()].filter((run) => run.process !== undefined).length;
  }

  run(request: EngineRequest): void {
    const run: Run = {
      request,
      process: undefined,
      bornMs: 0,
      startedMs: undefined,
      idleBytes: 0,
      peakBytes: 0,
      result: undefined,
      allocation: {},
      logLines: 0,
      judgedMs: 0,
      judgedCpuMs: 0,
      debtMs: 0,
      heldMs: 0,
      heldSinceMs: undefined,
    };
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      queueMicrotask(() => this.#listener.ended(request.attempt, refusal));
      return;
    }
    this.#runs.set(request.attempt, run);
    this.#waiting.push(run);
    this.pump();
  }

  #refusal(): EngineOutcome | undefined {
    if (this.#isClosed) return failure('node', 'MESH_TASK_CANCELLED', 'the engine is closed', noUsage);
    if (this.#waiting.length < this.#options.queue + Math.max(0, this.#options.freeSlots())) return undefined;
    return failure('node', 'MESH_NODE_FULL', `${this.#waiting.length} wait: there is no room`, noUsage);
  }

  cancel(attempt: string, reason: string): void {
    const run = this.#runs.get(attempt);
    if (run !== undefined) {
      this.#finish(run, failure('node', 'MESH_TASK_CANCELLED', `the attempt was cancelled: ${reason}`, usageOf(run)));
    }
  }

  reallocate(attempt: string, allocation: Allocation): void {
    const run = this.#runs.get(attempt);
    if (run !== undefined) run.allocation = { ...run.allocation, ...allocation };
  }

  /** What all its tasks may use of the CPU together from now on, in cores. */
  limitCpu(cores: number): void {
    this.#cores = cores;
  }

  load(): PoolLoad {
    let livingCpuMs = 0;
    let cpuMs = 0;
    const processIds: number[] = [];
    for (const { process } of this.#runs.values()) {
      if (process === undefined) continue;
      const tree = process.measure();
      processIds.push(...tree.processIds);
      livingCpuMs += tree.livingCpuMs;
      cpuMs += process.cpuMs;
    }
    // Of those that live somebody else reads what they use; what their children used that have ended is in nobody's reading.
    const endedCpuMs = this.#endedCpuMs + Math.max(0, cpuMs - livingCpuMs);
    const { running } = this;
    return { processIds, endedCpuMs, running, waiting: this.#runs.size - running };
  }

  /** What an attempt that runs has used so far, its children included; undefined of one that does not. */
  measured(attempt: string): Usage | undefined {
    const run = this.#runs.get(attempt);
    if (run?.process === undefined) return undefined;
    run.process.measure();
    return usageOf(run);
  }

  /** Starts what waits, as far as there is room. */
  pump(): void {
    if (this.#isPumping || this.#waiting.length === 0 || this.#isClosed) return;
    this.#isPumping = true;
    void this.describe().then((containment) => {
      this.#isPumping = false;
      while (this.#waiting.length > 0 && this.#options.freeSlots() > 0)
        this.#start(this.#waiting.shift()!, containment);
    });
  }

  #start(run: Run, containment: Containment): void {
    const { attempt } = run.request;
    if (containment.kind === 'refused') {
      const text = `tasks of engine node cannot be kept apart here: ${containment.reason}; its owner can allow them with \`foremesh node --unsandboxed\``;
      this.#runs.delete(attempt);
      this.#listener.ended(attempt, failure('node', 'MESH_CODE_UNCONTAINED', text, noUsage));
      return;
    }
    run.bornMs = performance.now();
    try {
      run.process = new NodeProcess(containment, this.#entry, run.request, {
        message: (message, body) => this.#hear(run, message, body),
        log: (lines) => this.#tellLines(run, lines),
        misbehaved: (what, text) =>
          this.#finish(
            run,
            failure('task', what === 'output' ? 'MESH_TASK_OUTPUT' : 'MESH_TASK_THREW', text, usageOf(run)),
          ),
        exited: (how) => this.#exited(run, how),
      });
    } catch (error) {
      this.#runs.delete(attempt);
      this.#listener.ended(attempt, failure('node', 'MESH_SANDBOX_DIED', (error as Error).message, noUsage));
      return;
    }
    this.#options.onBegun?.();
    this.#watch ??= setInterval(() => this.#look(), watchMs);
  }

  #hear(run: Run, message: FromSandbox, body: Uint8Array): void {
    if (run.result !== undefined) return;
    switch (message.type) {
      case 'ready':
        if (run.idleBytes !== 0) return;
        run.idleBytes = Math.max(1, run.process!.measure().residentBytes);
        run.judgedCpuMs = run.process!.cpuMs;
        run.process!.give(this.#nextId++);
        return;
      case 'started':
        if (run.startedMs !== undefined) return;
        run.startedMs = performance.now();
        run.judgedMs = run.startedMs;
        this.#listener.started(run.request.attempt);
        return;
      case 'progress':
        this.#listener.progress(run.request.attempt, message.fraction);
        return;
      case 'done': {
        if (run.startedMs === undefined) return;
        const output = { encoding: message.encoding, bytes: body.slice() };
        measure(run, run.process!); // a short one has not been looked at yet
        this.#finish(run, { type: 'done', output, usage: { ...usageOf(run), outputBytes: body.length } });
        return;
      }
      case 'failed': {
        const known = ['MESH_TASK_CODE_INVALID', 'MESH_TASK_OUTPUT'].includes(message.code);
        this.#finish(run, failure('task', known ? message.code : 'MESH_TASK_THREW', message.message, usageOf(run)));
      }
    }
  }

  #tellLines(run: Run, lines: string[]): void {
    const some = lines.slice(0, limits.logLinesPerTask - run.logLines);
    run.logLines += some.length;
    if (some.length > 0 && run.startedMs !== undefined) this.#listener.log(run.request.attempt, some);
  }

  /** What becomes of it is settled; it is told once nothing of it lives any more. */
  #finish(run: Run, outcome: EngineOutcome): void {
    run.result ??= outcome;
    if (run.process !== undefined) {
      run.process.kill();
      return;
    }
    this.#waiting = this.#waiting.filter((each) => each !== run);
    this.#runs.delete(run.request.attempt);
    this.#listener.ended(run.request.attempt, run.result);
  }

  #exited(run: Run, how: string): void {
    this.#runs.delete(run.request.attempt);
    this.#endedCpuMs += run.process?.cpuMs ?? 0;
    const outcome = run.result ?? outcomeOfDeath(run, how);
    this.#listener.ended(run.request.attempt, outcome);
    if (this.running === 0) {
      clearInterval(this.#watch);
      this.#watch = undefined;
    }
    if (this.#isClosed && this.#runs.size === 0) this.#whenEmpty?.();
    this.pump();
  }

  #look(): void {
    const nowMs = performance.now();
    for (const run of this.#runs.values()) {
      if (run.process === undefined || run.result !== undefined) continue;
      const { residentBytes, processIds } = measure(run, run.process);
      const found = this.#judge(run, nowMs, residentBytes, processIds.length);
      if (found !== undefined) this.#finish(run, found);
      else if (run.startedMs !== undefined) this.#pace(run, nowMs);
    }
  }

  #judge(run: Run, nowMs: number, residentBytes: number, processes: number): EngineOutcome | undefined {
    const { startedMs, request } = run;
    const { cpuMs, wallMs, outputBytes } = request.limits;
    const task = (code: ErrorCode, text: string) => failure('task', code, `${text} and was killed`, usageOf(run));
    if (startedMs === undefined) {
      if (nowMs - run.bornMs < startMsMost) return undefined;
      return failure('node', 'MESH_SANDBOX_DIED', `its code did not begin within ${startMsMost} ms`, noUsage);
    }
    const ranMs = nowMs - startedMs - run.heldMs - (run.heldSinceMs === undefined ? 0 : nowMs - run.heldSinceMs);
    if (ranMs > wallMs * (1 + graceShare)) return task('MESH_TASK_WALL', `the task ran longer than its ${wallMs} ms`);
    if (usageOf(run).cpuMs > cpuMs * (1 + graceShare))
      return task('MESH_TASK_CPU', `the task used more than its ${cpuMs} ms of CPU time`);
    const memoryBytes = run.allocation.memoryBytes ?? request.limits.memoryBytes;
    const inputBytes = inputBytesOf(request);
    const most =
      run.idleBytes + memoryBytes + 4 * inputBytes + 2 * request.code.length + outputBytes + memorySlackBytes;
    if (residentBytes > most) return task('MESH_TASK_MEMORY', `the task's processes grew to ${residentBytes} bytes`);
    if (processes > limits.taskProcesses)
      return task('MESH_LIMIT_EXCEEDED', `taskProcesses is ${limits.taskProcesses}, the task had ${processes}`);
    return undefined;
  }

  /** Held for as long as its processes have used more than their share of the time that has passed. */
  #pace(run: Run, nowMs: number): void {
    const process = run.process!;
    const share = Math.max(cpuShareLeast, Math.min(run.allocation.cpuShare ?? this.#cores, this.#cores / this.running));
    const usedMs = process.cpuMs - run.judgedCpuMs;
    run.debtMs = Math.max(0, run.debtMs + usedMs - (nowMs - run.judgedMs) * share);
    run.judgedMs = nowMs;
    run.judgedCpuMs = process.cpuMs;
    if (run.heldSinceMs !== undefined) {
      if (run.debtMs > 0 && nowMs - run.heldSinceMs < holdMsMost) return;
      run.heldMs += nowMs - run.heldSinceMs;
      run.heldSinceMs = undefined;
      process.goOn();
    } else if (share < Number.POSITIVE_INFINITY && run.debtMs > debtMsFree) {
      run.heldSinceMs = nowMs;
      process.hold();
    }
  }

  /** Ends everything: what has not ended is reported as cancelled. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const run of [...this.#runs.values()])
      this.#finish(run, failure('node', 'MESH_TASK_CANCELLED', 'the engine was closed', usageOf(run)));
    if (this.#runs.size > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    clearInterval(this.#watch);
  }
}

/** It ended, and nobody here has ended it. */
function outcomeOfDeath(run: Run, how: string): EngineOutcome {
  const said = run.process?.lastWords ?? '';
  const usage = usageOf(run);
  if (said.includes('heap out of memory'))
    return failure('task', 'MESH_TASK_MEMORY', 'the task needed more memory than its limit: its heap was full', usage);
  const text = said === '' ? how : `${how}: ${said}`;
  if (run.startedMs === undefined)
    return failure('node', 'MESH_SANDBOX_DIED', `its process did not begin: ${text}`, usage);
  if (how === 'exit code 137' || how === 'SIGKILL')
    return failure('node', 'MESH_SANDBOX_DIED', 'its process was killed from outside', usage);
  return failure('task', 'MESH_TASK_THREW', `its process ended before it had given a result: ${text}`, usage);
}

function inputBytesOf({ input }: EngineRequest): number {
  return slotsOf(input).reduce((sum, slot) => sum + slot.length, 0);
}

function measure(run: Run, process: NodeProcess): TreeReading {
  const tree = process.measure();
  run.peakBytes = Math.max(run.peakBytes, tree.residentBytes - run.idleBytes);
  return tree;
}

/** Start included: it is the task's. */
function usageOf(run: Run): Usage {
  if (run.process === undefined) return noUsage;
  return {
    cpuMs: run.process.cpuMs,
    wallMs: Math.max(0, performance.now() - (run.startedMs ?? performance.now())),
    peakMemoryBytes: Math.max(0, run.peakBytes),
    inputBytes: inputBytesOf(run.request),
    outputBytes: 0,
  };
}

function failure(fault: 'task' | 'node', code: ErrorCode, message: string, usage: Usage): EngineOutcome {
  return { type: 'failed', fault, code, message: message.slice(0, 4_000), usage };
}
