import type { EngineName } from '../contract/index.ts';
import type { Allotment } from './allotment.ts';
import { encodeFrame, type Frame } from './frames.ts';
import { Pace } from './pace.ts';
import { type CommandHead, type FromSandbox, RecentKeys, type ToSandbox } from './protocol.ts';
import type {
  SandboxCommand,
  SandboxEngine,
  SandboxTask,
  StopReason,
  TaskControl,
  TaskResult,
} from './sandbox-engine.ts';
import { TaskLog } from './task-log.ts';

const progressIntervalMs = 100;
const logLinesAtOnce = 64;
/** How long the process may go without a look at its pipe where the guest is at rest. */
const awayMsMost = 20;
/** Without a task for this long, the process makes ready for the next job. */
const restMs = 1;

export interface RunnerPort {
  write(parts: Uint8Array[]): void;
  /** What the pool gives it now, if it says so. */
  allotment(): Allotment | undefined;
  /** Whether whoever started this process is gone. */
  isOrphan(): boolean;
  /** Ends the process at once. */
  exit(): never;
}

interface Run {
  readonly id: number;
  readonly task: SandboxTask;
}

/** Runs tasks one after the other inside a sandbox process and reports about them. */
export class SandboxRunner {
  private readonly engines: ReadonlyMap<EngineName, SandboxEngine>;
  private readonly port: RunnerPort;
  private readonly keys = new RecentKeys();
  private readonly codes = new Map<string, { readonly code: Uint8Array; readonly files: readonly Uint8Array[] }>();
  private readonly queue: Run[] = [];
  /** Frames that go out with the next one: one write for "this ended, that started". */
  private outgoing: Uint8Array[] = [];
  private current: CurrentTask | undefined;
  private working = false;
  private restTimer: NodeJS.Timeout | undefined;
  readonly pace = new Pace(performance.now(), cpuMs());
  private lookedMs = performance.now();

  constructor(engines: ReadonlyMap<EngineName, SandboxEngine>, port: RunnerPort) {
    this.engines = engines;
    this.port = port;
  }

  ready(notes: readonly string[]): void {
    this.send({ type: 'ready', notes, processCpuMs: cpuMs() });
    this.flush();
  }

  receive({ head, body }: Frame): void {
    this.lookedMs = performance.now();
    const message = head as ToSandbox;
    if (message.type === 'run') this.enqueue(message, body);
    else this.drop(message.id);
  }

  private enqueue(message: Extract<ToSandbox, { type: 'run' }>, body: Uint8Array): void {
    const { id, key, identity, engine, shape, parameters, limits, codeBytes, fileBytes = [], slotBytes } = message;
    const forgotten = this.keys.use(key);
    if (forgotten !== undefined) {
      this.codes.delete(forgotten);
      for (const each of this.engines.values()) each.forget(forgotten);
    }
    let at = 0;
    const take = (size: number): Uint8Array => {
      at += size;
      return body.subarray(at - size, at);
    };
    // Copies: the body is part of a larger buffer.
    if (codeBytes !== undefined) {
      const code = take(codeBytes).slice();
      this.codes.set(key, { code, files: fileBytes.map((size) => take(size).slice()) });
    }
    const slots = slotBytes.map(take);
    const { code, files } = this.codes.get(key)!;
    const command = message.command === undefined ? undefined : commandOf(message.command, files);
    this.queue.push({ id, task: { key, identity, engine, code, shape, slots, parameters, command, limits } });
    if (!this.working) {
      this.working = true;
      setImmediate(() => void this.work());
    }
  }

  private drop(id: number): void {
    if (this.current?.id === id) {
      this.current.stop('cancelled');
      return;
    }
    const at = this.queue.findIndex((run) => run.id === id);
    if (at < 0) return;
    this.queue.splice(at, 1);
    this.send({ type: 'dropped', id });
    if (!this.working) this.flush();
  }

  private async work(): Promise<void> {
    for (;;) {
      const run = this.queue.shift();
      if (run === undefined) break;
      await this.runOne(run);
      await this.pause();
      await this.keepPace();
    }
    this.working = false;
    this.flush();
    this.restTimer ??= setTimeout(() => void this.rest(), restMs).unref();
  }

  private async rest(): Promise<void> {
    this.restTimer = undefined;
    for (const engine of this.engines.values()) {
      // What cannot be made now is made, or reported, when a task needs it.
      if (!this.working) await engine.rest?.().catch(() => undefined);
    }
  }

  private async runOne({ id, task }: Run): Promise<void> {
    this.send({ type: 'started', id });
    this.flush();
    const control = new CurrentTask(id, task, this);
    this.current = control;
    const engine = this.engines.get(task.engine);
    const result: TaskResult =
      engine === undefined
        ? { type: 'failed', code: 'MESH_ENGINE_UNKNOWN', message: `no engine "${task.engine}"`, peakMemoryBytes: 0 }
        : await engine.run(task, control);
    this.current = undefined;
    control.report(true);
    const processCpuMs = cpuMs();
    const usage = control.usage(result, processCpuMs);
    if (result.type === 'done') {
      this.send({ type: 'done', id, encoding: result.encoding, usage, processCpuMs }, [result.bytes]);
    } else {
      const { code, message } = result;
      this.send({ type: 'failed', id, code, message, usage, processCpuMs });
    }
  }

  /** Between two tasks, which may each be too short to notice. */
  private async keepPace(): Promise<void> {
    this.takeAllotment();
    const ms = this.pace.owedMs(performance.now(), cpuMs());
    if (ms <= 0) return;
    this.flush();
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  takeAllotment(): Allotment | undefined {
    const allotment = this.port.allotment();
    this.pace.setShare(allotment?.cpuShare ?? 1);
    return allotment;
  }

  /** For the tasks: whether to give up at once because nobody is there any more. */
  checkParent(): void {
    if (this.port.isOrphan()) this.port.exit();
  }

  pause(): Promise<void> | undefined {
    if (performance.now() - this.lookedMs < awayMsMost) return undefined;
    this.lookedMs = performance.now();
    this.flush();
    return new Promise((resolve) => setImmediate(resolve));
  }

  send(message: FromSandbox, parts: Uint8Array[] = []): void {
    this.outgoing.push(...encodeFrame(message, parts));
  }

  flush(): void {
    if (this.outgoing.length === 0) return;
    const parts = this.outgoing;
    this.outgoing = [];
    this.port.write(parts);
  }
}

/** Meters and reports one running task. */
class CurrentTask implements TaskControl {
  readonly id: number;
  stopped: StopReason | undefined;
  private readonly task: SandboxTask;
  private readonly runner: SandboxRunner;
  private readonly startMs = performance.now();
  private readonly startCpuMs = cpuMs();
  private readonly sleptBeforeMs: number;
  private readonly lines = new TaskLog();
  private reportedMs = Number.NEGATIVE_INFINITY;
  private checkedMs = performance.now();
  private fraction: number | undefined;

  constructor(id: number, task: SandboxTask, runner: SandboxRunner) {
    this.id = id;
    this.task = task;
    this.runner = runner;
    this.sleptBeforeMs = runner.pace.sleptMs;
  }

  stop(reason: StopReason): void {
    this.stopped ??= reason;
  }

  tick(): boolean {
    if (this.stopped !== undefined) return true;
    const { limits } = this.task;
    const nowMs = performance.now();
    const usedMs = cpuMs();
    const { pace } = this.runner;
    // What it slept because it is given less than a core is not its own time.
    if (nowMs - this.startMs - (pace.sleptMs - this.sleptBeforeMs) > limits.wallMs) this.stop('wall');
    else if (usedMs - this.startCpuMs > limits.cpuMs) this.stop('cpu');
    if (nowMs - this.checkedMs > progressIntervalMs) {
      this.checkedMs = nowMs;
      this.runner.checkParent();
      this.takeAllotment();
      this.report(false);
    }
    pace.sleep(pace.owedMs(nowMs, usedMs));
    return this.stopped !== undefined;
  }

  private takeAllotment(): void {
    const allotment = this.runner.takeAllotment();
    if (allotment?.runId === this.id && allotment.memoryBytes > 0) this.task.limits.memoryBytes = allotment.memoryBytes;
  }

  log(line: string): void {
    this.lines.add(line);
    if (this.lines.size >= logLinesAtOnce) this.report(false);
  }

  progress(fraction: number): void {
    this.fraction = fraction;
    if (performance.now() - this.reportedMs >= progressIntervalMs) this.report(false);
  }

  pause(): Promise<void> | undefined {
    return this.runner.pause();
  }

  /** Sends what has gathered. */
  report(ended: boolean): void {
    const lines = this.lines.take(ended);
    if (lines.length > 0) this.runner.send({ type: 'log', id: this.id, lines });
    if (this.fraction !== undefined && !ended) {
      this.runner.send({ type: 'progress', id: this.id, fraction: this.fraction });
      this.reportedMs = performance.now();
    }
    this.fraction = undefined;
    if (!ended) this.runner.flush();
  }

  usage(result: TaskResult, processCpuMs: number) {
    return {
      cpuMs: Math.max(0, processCpuMs - this.startCpuMs),
      wallMs: Math.max(0, performance.now() - this.startMs),
      peakMemoryBytes: result.peakMemoryBytes,
      inputBytes: this.task.slots.reduce((sum, slot) => sum + slot.length, 0),
      outputBytes: result.type === 'done' ? result.bytes.length : 0,
    };
  }
}

function commandOf({ paths, ...command }: CommandHead, files: readonly Uint8Array[]): SandboxCommand {
  return { ...command, files: paths.map((path, index) => ({ path, bytes: files[index]! })) };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
