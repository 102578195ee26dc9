import { type Allocation, type EngineName, type ErrorCode, limits, type Usage } from '../contract/index.ts';
import { type EngineListener, type EngineOutcome, type EngineRequest, noUsage, slotsOf } from './engine.ts';
import { PoolWorker, type Run } from './pool-worker.ts';
import { type FromSandbox, shapeOf } from './protocol.ts';
import { defaultEntry, type LaunchPlan, planLaunch, type SandboxEntry } from './sandbox-launch.ts';

export interface SandboxPoolOptions {
  /** Tasks at once: processes. */
  readonly slots: number;
  /** Requests that may wait behind them. */
  readonly queue?: number;
  /** A process without work ends after this. */
  readonly idleMs?: number;
  /** A cancelled run that does not end by itself within this is killed with its process. */
  readonly cancelMs?: number;
  /** Nice value of the processes, 0 to 19. */
  readonly nice?: number;
  readonly entry?: SandboxEntry;
  /** Resident memory of a process beyond its idle state, its task's memory, input and output. */
  readonly residentSlackBytes?: number;
}

export interface PoolLoad {
  readonly processIds: readonly number[];
  /**
   * CPU time of the processes that have ended, so that the sum with the living ones goes on when one ends. As last seen: what a
   * process spent in its last moment (50 ms at most, while it ran a task) is missing.
   */
  readonly endedCpuMs: number;
  readonly running: number;
  readonly waiting: number;
}

export interface PoolDescription {
  readonly network: 'isolated' | 'shared' | 'unknown';
  readonly networkReason?: string;
  readonly privileges: 'dropped' | 'kept' | 'unknown';
  /** What the processes could not do for their own confinement. */
  readonly notes: readonly string[];
}

const defaults = { idleMs: 10_000, cancelMs: 500, nice: 10, residentSlackBytes: 192 * 1024 ** 2 };
const unpaced =
  'cpu: no file can be made in /dev/shm or the temporary folder: tasks are not held to a share of the CPU';
const watchMs = 50;
/** A run that has taken this long keeps nothing waiting behind it. */
const recallMs = 50;
const startFailuresMost = 3;
const lossesMost = 3;
/** What the sandbox processes run. */
export const poolEngines: readonly EngineName[] = ['js', 'wasm'];
/** Faults of a run that are not its code's. */
const nodeFaults: ReadonlySet<ErrorCode> = new Set([
  'MESH_ENGINE_UNKNOWN',
  'MESH_TASK_CANCELLED',
  'MESH_NODE_FULL',
  'MESH_SANDBOX_DIED',
]);

/**
 * Runs tasks in sandbox processes: none when there is nothing to do, up to `slots` under load. A process runs one task at a
 * time; short tasks of one job and code are sent ahead, so that it never waits for the pipe.
 */
export class SandboxPool {
  private readonly options: {
    -readonly [Name in keyof SandboxPoolOptions as Exclude<Name, 'entry'>]-?: SandboxPoolOptions[Name];
  };
  private readonly entry: SandboxEntry;
  private readonly listener: EngineListener;
  private readonly runs = new Map<string, Run>();
  private waiting: Run[] = [];
  private workers: PoolWorker[] = [];
  private plan: LaunchPlan | undefined;
  private readonly notes = new Set<string>();
  private nextId = 1;
  private endedCpuMs = 0;
  private startFailures = 0;
  private pumping = false;
  private closed = false;
  private whenEmpty: (() => void) | undefined;
  private watch: NodeJS.Timeout | undefined;
  private cpuCores = Number.POSITIVE_INFINITY;

  constructor(options: SandboxPoolOptions, listener: EngineListener) {
    this.options = { queue: limits.queuePerNode, ...defaults, ...options };
    this.entry = options.entry ?? defaultEntry();
    this.listener = listener;
  }

  run(request: EngineRequest): void {
    const refusal = this.refusal(request);
    if (refusal !== undefined) {
      queueMicrotask(() => this.listener.ended(request.attempt, refusal));
      return;
    }
    if (this.runs.has(request.attempt)) throw new Error(`attempt ${request.attempt} has not ended`);
    const run: Run = {
      id: this.nextId++,
      key: keyOf(request),
      request,
      slots: slotsOf(request.input),
      shape: shapeOf(request.input),
      startedMs: undefined,
      losses: 0,
      logLines: 0,
      cancelReason: undefined,
      cancelTimer: undefined,
      allocation: {},
    };
    this.runs.set(request.attempt, run);
    this.waiting.push(run);
    this.schedule();
  }

  cancel(attempt: string, reason: string): void {
    const run = this.runs.get(attempt);
    if (run === undefined || run.cancelReason !== undefined) return;
    run.cancelReason = reason;
    const worker = this.workers.find((each) => each.holds(run));
    if (worker === undefined) this.waiting = this.waiting.filter((each) => each !== run);
    if (worker !== undefined && worker.running === run) {
      worker.drop(run);
      run.cancelTimer = setTimeout(() => {
        if (worker.running === run) worker.kill(run, 'MESH_TASK_CANCELLED', cancelled(reason));
      }, this.options.cancelMs);
      return;
    }
    worker?.recall(run);
    this.end(run, failure('MESH_TASK_CANCELLED', cancelled(reason), noUsage));
    this.schedule();
  }

  /** Tasks at once, and waiting behind them, from now on. What runs beyond that goes on. */
  resize(slots: number, queue: number): void {
    Object.assign(this.options, { slots, queue });
    this.schedule();
  }

  /** What all tasks may use of the CPU together from now on, in cores. */
  limitCpu(cores: number): void {
    this.cpuCores = cores;
    this.allotCpu();
  }

  /** Gives a run that has begun what is named, instead of what it had. */
  reallocate(attempt: string, allocation: Allocation): void {
    const run = this.runs.get(attempt);
    if (run === undefined) return;
    run.allocation = { ...run.allocation, ...allocation };
    this.allotCpu();
    this.schedule();
  }

  /** Each that runs an equal part of what there is, but none more than it may have: what one leaves is for the others. */
  private allotCpu(): void {
    const busy = this.workers.filter(({ isBusy }) => isBusy).sort((a, b) => a.cpuShareMost - b.cpuShareMost);
    let cores = this.cpuCores;
    for (const [index, worker] of busy.entries()) {
      const share = Math.min(worker.cpuShareMost, cores / (busy.length - index));
      cores -= share;
      worker.allot(share);
    }
  }

  load(): PoolLoad {
    const pids = this.workers.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    const running = this.workers.filter((worker) => worker.running !== undefined).length;
    return { processIds: pids, endedCpuMs: this.endedCpuMs, running, waiting: this.runs.size - running };
  }

  describe(): PoolDescription {
    const { plan } = this;
    if (plan === undefined) return { network: 'unknown', privileges: 'unknown', notes: [] };
    const notes = [...this.notes];
    const dropped = plan.dropsPrivileges && !notes.some((note) => note.startsWith('privileges:'));
    return {
      network: plan.network,
      ...(plan.networkReason === undefined ? {} : { networkReason: plan.networkReason }),
      privileges: dropped ? 'dropped' : 'kept',
      notes,
    };
  }

  /** Ends everything: runs that have not ended are reported as cancelled. */
  async close(): Promise<void> {
    this.closed = true;
    for (const run of this.runs.values()) {
      this.end(run, failure('MESH_TASK_CANCELLED', 'the sandbox pool was closed', noUsage));
    }
    this.waiting = [];
    for (const worker of this.workers) worker.end();
    if (this.workers.length === 0) return;
    await new Promise<void>((resolve) => {
      this.whenEmpty = resolve;
    });
  }

  private refusal(request: EngineRequest): EngineOutcome | undefined {
    const { slots, queue } = this.options;
    if (this.closed) return failure('MESH_TASK_CANCELLED', 'the sandbox pool is closed', noUsage);
    if (!poolEngines.includes(request.engine))
      return failure('MESH_ENGINE_UNKNOWN', `no engine "${request.engine}" here`, noUsage);
    if (this.runs.size < slots + queue) return undefined;
    return failure('MESH_NODE_FULL', `${slots} may run and ${queue} may wait: there is no room`, noUsage);
  }

  private schedule(): void {
    if (this.pumping) return;
    this.pumping = true;
    // Behind all that this turn brings, but before the next one: what is sent elsewhere meanwhile can wait, a task not.
    process.nextTick(() => {
      this.pumping = false;
      void this.pump();
    });
  }

  /** Hands out what waits, in order. */
  private async pump(): Promise<void> {
    if (this.waiting.length > 0) this.plan ??= await planLaunch();
    while (this.waiting.length > 0) {
      const worker = this.place(this.waiting[0]!);
      if (worker === undefined) break;
      worker.assign(this.waiting.shift()!);
    }
    this.spawn();
    this.allotCpu();
    for (const worker of this.workers) worker.flush();
    this.setWatch();
  }

  /** What is left of the slots when some runs take several. */
  private get slots(): number {
    const more = this.workers.reduce((sum, { running }) => sum + (running?.allocation.slots ?? 1) - 1, 0);
    return this.options.slots === 0 ? 0 : Math.max(1, this.options.slots - more);
  }

  private place(run: Run): PoolWorker | undefined {
    const idle = this.workers.filter((worker) => worker.isIdle);
    if (this.workers.length - idle.length >= this.slots) return this.placeAhead(run);
    if (idle.length > 0) return idle.find((worker) => worker.knows(run.key)) ?? idle[0];
    return this.placeAhead(run);
  }

  private placeAhead(run: Run): PoolWorker | undefined {
    let best: PoolWorker | undefined;
    for (const worker of this.workers) {
      if (worker.takesAhead(run) && (best === undefined || worker.length < best.length)) best = worker;
    }
    return best;
  }

  private spawn(): void {
    if (this.closed || this.plan === undefined) return;
    let wanted = this.waiting.length - this.workers.filter(({ state }) => state === 'starting').length;
    while (wanted-- > 0 && this.workers.length < this.slots) {
      const { nice, idleMs, residentSlackBytes } = this.options;
      const worker: PoolWorker = new PoolWorker(
        { plan: this.plan, entry: this.entry, nice, idleMs, residentSlackBytes },
        {
          message: (message, body) => this.receive(worker, message, body),
          exited: (how) => this.exited(worker, how),
        },
      );
      this.workers.push(worker);
      if (!worker.isPaced) this.notes.add(unpaced);
    }
  }

  private receive(worker: PoolWorker, message: FromSandbox, body: Uint8Array): void {
    if (message.type === 'ready') {
      this.startFailures = 0;
      for (const note of message.notes) this.notes.add(note);
      this.schedule();
      return;
    }
    // A run that was taken back or cancelled is none of this worker's any more: what it still says of it is dropped.
    const run = worker.find(message.id);
    if (run !== undefined) this.report(run, message, body);
    if (message.type === 'done' || message.type === 'failed' || message.type === 'dropped') this.schedule();
  }

  private report(run: Run, message: Exclude<FromSandbox, { type: 'ready' }>, body: Uint8Array): void {
    const { attempt } = run.request;
    switch (message.type) {
      case 'started':
        this.listener.started(attempt);
        break;
      case 'progress':
        this.listener.progress(attempt, message.fraction);
        break;
      case 'log': {
        const lines = message.lines.slice(0, limits.logLinesPerTask - run.logLines);
        run.logLines += lines.length;
        if (lines.length > 0) this.listener.log(attempt, lines);
        break;
      }
      case 'done': {
        const { encoding, usage } = message;
        // A copy when it is a small piece of a larger buffer, which it would keep alive.
        const bytes = body.length * 2 < body.buffer.byteLength ? body.slice() : body;
        this.end(run, { type: 'done', output: { encoding, bytes }, usage });
        break;
      }
      case 'failed': {
        const { code, usage } = message;
        const isCancel = code === 'MESH_TASK_CANCELLED' && run.cancelReason !== undefined;
        this.end(run, failure(code, isCancel ? cancelled(run.cancelReason!) : message.message, usage));
        break;
      }
    }
  }

  private exited(worker: PoolWorker, how: string): void {
    this.workers = this.workers.filter((each) => each !== worker);
    this.endedCpuMs += worker.cpuMs;
    const { running, verdict } = worker;
    if (running !== undefined && this.runs.get(running.request.attempt) === running) {
      const code = verdict?.code ?? 'MESH_SANDBOX_DIED';
      this.end(running, failure(code, verdict?.message ?? `the sandbox process died: ${how}`, worker.usageOfRunning()));
    }
    const lost = worker.unstarted().filter((run) => this.runs.get(run.request.attempt) === run);
    for (const run of lost) run.losses++;
    const hopeless = lost.filter(({ losses }) => losses >= lossesMost);
    this.waiting.unshift(...lost.filter((run) => !hopeless.includes(run)));
    if (worker.state === 'starting' && !this.closed && ++this.startFailures >= startFailuresMost) {
      this.startFailures = 0;
      hopeless.push(...this.waiting);
      this.waiting = [];
    }
    for (const run of hopeless) {
      this.end(run, failure('MESH_SANDBOX_DIED', `no sandbox process lives long enough: ${how}`, noUsage));
    }
    if (this.closed && this.workers.length === 0) this.whenEmpty?.();
    this.schedule();
  }

  private end(run: Run, outcome: EngineOutcome): void {
    if (!this.runs.delete(run.request.attempt)) return;
    clearTimeout(run.cancelTimer);
    this.listener.ended(run.request.attempt, outcome);
  }

  /** Looks at what runs, while something does. */
  private setWatch(): void {
    const busy = this.workers.some((worker) => worker.isBusy);
    if (busy && this.watch === undefined) this.watch = setInterval(() => this.look(), watchMs);
    if (busy || this.watch === undefined) return;
    clearInterval(this.watch);
    this.watch = undefined;
  }

  private look(): void {
    for (const worker of this.workers) {
      worker.enforce();
      const back = worker.runsBehind(recallMs);
      for (const run of back) worker.recall(run);
      this.waiting.unshift(...back);
    }
    this.schedule();
  }
}

function keyOf({ job, engine, codeHash, limits: { memoryBytes }, command }: EngineRequest): string {
  return JSON.stringify([
    job,
    engine,
    codeHash,
    memoryBytes,
    command?.files.map(({ path, hash }) => [path, hash]) ?? [],
  ]);
}

function failure(code: ErrorCode, message: string, usage: Usage): EngineOutcome {
  return { type: 'failed', fault: nodeFaults.has(code) ? 'node' : 'task', code, message, usage };
}

function cancelled(reason: string): string {
  return `the attempt was cancelled: ${reason}`;
}
