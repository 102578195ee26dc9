import type { Allocation, ErrorCode, Usage } from '../contract/index.ts';
import type { EngineRequest, LoadedCommand } from './engine.ts';
import { readProcessStats } from './process-stats.ts';
import { type CommandHead, type FromSandbox, RecentKeys } from './protocol.ts';
import type { InputShape } from './sandbox-engine.ts';
import type { LaunchPlan, SandboxEntry } from './sandbox-launch.ts';
import { type ProcessEvents, SandboxProcess } from './sandbox-process.ts';

/** A request on its way through the pool. */
export interface Run {
  readonly id: number;
  /** See `SandboxTask.key`. */
  readonly key: string;
  readonly request: EngineRequest;
  readonly slots: readonly Uint8Array[];
  readonly shape: InputShape;
  /** Since when its code runs. */
  startedMs: number | undefined;
  /** How often a process died before it began. */
  losses: number;
  logLines: number;
  cancelReason: string | undefined;
  cancelTimer: NodeJS.Timeout | undefined;
  /** What it was given instead of what it began with. */
  allocation: Allocation;
}

export interface WorkerOptions {
  readonly plan: LaunchPlan;
  readonly entry: SandboxEntry;
  readonly nice: number;
  readonly idleMs: number;
  readonly residentSlackBytes: number;
}

/** Work that is sent ahead to a process, in milliseconds, runs and bytes. */
const aheadMs = 10;
const aheadRunsMost = 64;
const aheadBytesMost = 1024 ** 2;
const recalledMsMost = 500;
const paceWeight = 0.3;
/** Less than this nothing can be given: it would be for ever. */
const cpuShareLeast = 0.001;
/** The process itself notices first; the pool's grace is for one that does not get to it. */
const grace = { wallMs: 250, cpuMs: 500, share: 0.1 };

/** One process of the pool with what it has been given. The pool decides, this keeps count. */
export class PoolWorker {
  state: 'starting' | 'ready' | 'closing' = 'starting';
  cpuMs = 0;
  /** Why the pool killed the process, as the outcome of the run that was running. */
  verdict: { readonly code: ErrorCode; readonly message: string } | undefined;
  private readonly process: SandboxProcess;
  private readonly options: WorkerOptions;
  private readonly keys = new RecentKeys();
  private readonly fileBytes = new Map<string, number>();
  /** In order; the first runs or is about to. */
  private assigned: Run[] = [];
  /** Taken back, but the process may have begun with them before it heard. */
  private readonly recalled = new Map<number, Run>();
  private current: Run | undefined;
  private currentCpuMs = 0;
  private idleBytes = 0;
  private residentBytes = 0;
  private pace: { key: string; ms: number } | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  private cpuShare = 1;
  /** How long what runs may have slept, given less than a core. */
  private heldBackMs = 0;
  private judgedMs = 0;

  constructor(options: WorkerOptions, events: ProcessEvents) {
    this.options = options;
    this.process = new SandboxProcess(options.plan, options.entry, options.nice, {
      message: (message, body) => {
        events.message(message, body);
        this.note(message);
      },
      exited: (how) => {
        clearTimeout(this.idleTimer);
        events.exited(how);
      },
    });
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  get isPaced(): boolean {
    return this.process.isPaced;
  }

  /** Of one core: the most that what runs may be given. */
  get cpuShareMost(): number {
    return this.running?.allocation.cpuShare ?? 1;
  }

  /** What it may use of one core from now on, and what runs in it of memory. */
  allot(cpuShare: number): void {
    this.cpuShare = cpuShare;
    const { running } = this;
    const memoryBytes = running?.allocation.memoryBytes ?? 0;
    // The run is named only when something is its own: what is the same for each run is written once.
    const runId = memoryBytes === 0 ? 0 : running!.id;
    this.process.allot({ cpuShare: Math.max(cpuShareLeast, cpuShare), runId, memoryBytes });
  }

  get length(): number {
    return this.assigned.length;
  }

  get isIdle(): boolean {
    return this.state === 'ready' && this.assigned.length === 0 && this.recalled.size === 0;
  }

  get isBusy(): boolean {
    return this.assigned.length > 0 || this.recalled.size > 0;
  }

  /** What runs and still matters to the pool. */
  get running(): Run | undefined {
    return this.current !== undefined && this.assigned[0] === this.current ? this.current : undefined;
  }

  knows(key: string): boolean {
    return this.keys.has(key);
  }

  holds(run: Run): boolean {
    return this.assigned.includes(run);
  }

  find(id: number): Run | undefined {
    return this.assigned[0]?.id === id ? this.assigned[0] : this.assigned.find((run) => run.id === id);
  }

  /** Whether the run would only wait a moment behind others like it. */
  takesAhead(run: Run): boolean {
    if (this.state !== 'ready' || this.pace?.key !== run.key || this.recalled.size > 0) return false;
    const most = Math.min(aheadRunsMost, Math.floor(aheadMs / Math.max(0.01, this.pace.ms)));
    if (this.assigned.length >= most || this.assigned.some(({ key }) => key !== run.key)) return false;
    return bytesOf(run.slots) * (this.assigned.length + 1) <= aheadBytesMost;
  }

  assign(run: Run): void {
    clearTimeout(this.idleTimer);
    this.idleTimer = undefined;
    this.assigned.push(run);
    const { key, id, request, shape, slots } = run;
    const sendsCode = !this.keys.has(key);
    const forgotten = this.keys.use(key);
    if (forgotten !== undefined) this.fileBytes.delete(forgotten);
    const { attempt, engine, parameters, limits, code, command } = request;
    const files = command?.files.map(({ bytes }) => bytes) ?? [];
    this.fileBytes.set(key, bytesOf(files));
    const slotBytes = slots.map((slot) => slot.length);
    const told = command === undefined ? {} : { command: headOf(command) };
    const identity = identityOf(attempt);
    const head = { type: 'run', id, key, identity, engine, shape, parameters, ...told, limits, slotBytes } as const;
    const fileBytes = files.map(({ length }) => length);
    if (sendsCode) this.process.send({ ...head, codeBytes: code.length, fileBytes }, [code, ...files, ...slots]);
    else this.process.send(head, slots);
  }

  flush(): void {
    this.process.flush();
  }

  drop(run: Run): void {
    this.process.send({ type: 'drop', id: run.id });
    this.process.flush();
  }

  /** Takes back a run that has not begun as far as we know. */
  recall(run: Run): void {
    this.assigned = this.assigned.filter((each) => each !== run);
    this.recalled.set(run.id, run);
    this.drop(run);
  }

  /** The runs that wait behind one that has taken so long. */
  runsBehind(ms: number): Run[] {
    if (this.assigned.length < 2 || this.current?.startedMs === undefined) return [];
    return performance.now() - this.current.startedMs < ms ? [] : this.assigned.slice(1);
  }

  kill(run: Run, code: ErrorCode, message: string): void {
    if (this.current === run) this.verdict ??= { code, message };
    this.sample();
    this.process.kill();
  }

  /** At once if something runs, else by closing the pipe. */
  end(): void {
    this.state = 'closing';
    this.sample();
    if (this.isBusy) this.process.kill();
    else this.process.close();
  }

  /** Runs that were given but had not begun when the process ended. */
  unstarted(): Run[] {
    return this.assigned.filter((run) => run !== this.current);
  }

  /** What can be said from outside about a run that was killed. */
  usageOfRunning(): Usage {
    const { running } = this;
    return {
      cpuMs: Math.max(0, this.cpuMs - this.currentCpuMs),
      wallMs: Math.max(0, performance.now() - (running?.startedMs ?? performance.now())),
      peakMemoryBytes: Math.max(0, this.residentBytes - this.idleBytes),
      inputBytes: bytesOf(running?.slots ?? []),
      outputBytes: 0,
    };
  }

  /** Kills the process when what runs passes its limits and does not notice. */
  enforce(): void {
    const { current } = this;
    const found = current === undefined ? undefined : this.judge(current);
    if (current?.startedMs !== undefined && this.recalled.has(current.id)) {
      // It began before it heard that it should not, and does not stop: nobody waits for it here.
      if (performance.now() - current.startedMs > recalledMsMost) this.process.kill();
      return;
    }
    if (current !== undefined && found !== undefined) this.kill(current, found.code, `${found.message} and was killed`);
  }

  private judge(run: Run): { code: ErrorCode; message: string } | undefined {
    if (run.startedMs === undefined) return undefined;
    const { wallMs, cpuMs, outputBytes } = run.request.limits;
    const memoryBytes = run.allocation.memoryBytes ?? run.request.limits.memoryBytes;
    this.sample();
    const nowMs = performance.now();
    this.heldBackMs += (nowMs - Math.max(this.judgedMs, run.startedMs)) * (1 - this.cpuShare);
    this.judgedMs = nowMs;
    if (nowMs - run.startedMs - this.heldBackMs > wallMs + Math.max(grace.wallMs, wallMs * grace.share)) {
      return { code: 'MESH_TASK_WALL', message: `the task ran longer than its ${wallMs} ms` };
    }
    if (this.cpuMs - this.currentCpuMs > cpuMs + Math.max(grace.cpuMs, cpuMs * grace.share)) {
      return { code: 'MESH_TASK_CPU', message: `the task used more than its ${cpuMs} ms of CPU time` };
    }
    const most =
      this.idleBytes +
      memoryBytes +
      4 * bytesOf(run.slots) +
      2 * this.keptFileBytes() +
      2 * outputBytes +
      this.options.residentSlackBytes;
    if (this.residentBytes > most) {
      return { code: 'MESH_TASK_MEMORY', message: `the sandbox process grew to ${this.residentBytes} bytes` };
    }
    return undefined;
  }

  /** What the process keeps of the files of its keys. */
  private keptFileBytes(): number {
    let sum = 0;
    for (const bytes of this.fileBytes.values()) sum += bytes;
    return sum;
  }

  /** Keeps count of what the process says, after the pool has heard it. */
  private note(message: FromSandbox): void {
    switch (message.type) {
      case 'ready':
        if (this.state === 'starting') this.state = 'ready';
        this.cpuMs = message.processCpuMs;
        this.idleBytes = this.pid === undefined ? 0 : (readProcessStats(this.pid)?.residentBytes ?? 0);
        break;
      case 'started': {
        const run = this.find(message.id) ?? this.recalled.get(message.id);
        if (run !== undefined) run.startedMs = performance.now();
        this.current = run;
        this.currentCpuMs = this.cpuMs;
        this.heldBackMs = 0;
        return;
      }
      case 'done':
      case 'failed': {
        const run = this.find(message.id);
        this.cpuMs = Math.max(this.cpuMs, message.processCpuMs);
        this.current = undefined;
        this.assigned = this.assigned.filter(({ id }) => id !== message.id);
        if (run !== undefined) this.setPace(run.key, message.usage.wallMs);
        break;
      }
      case 'dropped':
        break;
      default:
        return;
    }
    if ('id' in message) this.recalled.delete(message.id);
    if (this.isIdle) this.rest();
  }

  private sample(): void {
    const stats = this.pid === undefined ? undefined : readProcessStats(this.pid);
    this.cpuMs = Math.max(this.cpuMs, stats?.cpuMs ?? 0);
    this.residentBytes = stats?.residentBytes ?? 0;
  }

  private setPace(key: string, ms: number): void {
    if (this.pace?.key !== key) this.pace = { key, ms };
    else this.pace.ms += (ms - this.pace.ms) * paceWeight;
  }

  private rest(): void {
    if (this.idleTimer === undefined) {
      this.idleTimer = setTimeout(() => {
        if (this.isIdle) this.end();
      }, this.options.idleMs);
    } else this.idleTimer.refresh();
  }
}

function headOf({ arguments: given, environment, output, files }: LoadedCommand): CommandHead {
  return { arguments: given, environment, output, paths: files.map(({ path }) => path) };
}

/** account/job/task of account/job/task#term.n: the same in every attempt. */
function identityOf(attempt: string): string {
  const end = attempt.indexOf('#');
  return end < 0 ? attempt : attempt.slice(0, end);
}

function bytesOf(slots: readonly Uint8Array[]): number {
  let sum = 0;
  for (const slot of slots) sum += slot.length;
  return sum;
}
