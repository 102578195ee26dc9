import { randomFillSync } from 'node:crypto';
import { limits } from '../contract/index.ts';
import { keysPerProcess } from './protocol.ts';
import { QuickjsHost } from './quickjs-host.ts';
import {
  clearStack,
  findLayout,
  heapEnd,
  type MemoryChanges,
  type MemoryImage,
  type MemoryLayout,
  seedRandom,
  setImage,
  takeChanges,
  takeImage,
} from './quickjs-image.ts';
import { evalAsModule, evalAsScript, GuestError, Machine, type Roots, type Value } from './quickjs-machine.ts';
import { quickjsPrelude } from './quickjs-prelude.ts';
import type { SandboxEngine, SandboxTask, TaskControl, TaskResult } from './sandbox-engine.ts';

/**
 * QuickJS does not know how large its blocks are on this platform (`malloc_usable_size` is 0 under Emscripten), so its own limit
 * stops only single huge allocations. What bounds a task is the WebAssembly memory (which grows in steps of at least 5 %) and a
 * look at the end of the heap at each interrupt.
 */
const memoryFactor = 1.06;
const memorySlackBytes = 1024 ** 2;
/** A heap as full as this is what made an allocation fail. */
const nearlyFull = 0.75;
/** A machine that grew by more than this is made anew from its image: cheaper than to clear it, and the system gets it back. */
const growthBytesMost = 16 * 1024 ** 2;
const jobsAtOnce = 64;
const seedBytes = 8;
const codeName = 'task.js';

interface Entries {
  readonly isFunction: Value;
  readonly run: Value;
  readonly parse: Value;
  readonly fail: Value;
}

/** What is kept of one job's code: how it left the memory when it was evaluated. */
interface Loaded {
  readonly changes: MemoryChanges;
  readonly main: Value;
}

interface UsedMachine {
  readonly machine: Machine;
  /** Of whose task it ran last; undefined before the first. */
  key: string | undefined;
}

/** Engine `js`: QuickJS in WebAssembly. */
export class QuickjsEngine implements SandboxEngine {
  private readonly compiled: WebAssembly.Module;
  private readonly layout: MemoryLayout;
  private readonly roots: Roots;
  private readonly entries: Entries;
  /** Runtime, context and prelude, before any job's code: every machine begins with it. */
  private readonly image: MemoryImage;
  private readonly loaded = new Map<string, Loaded>();
  private readonly seeds = new Uint8Array(256 * seedBytes);
  private seedsUsed = this.seeds.length;
  /**
   * By the most that their memory may be, the one used last at the end. Made once and set back before every task: a machine of
   * its own would cost each job more than all the rest of a short task.
   */
  private readonly machines = new Map<number, UsedMachine>();
  private lastBytes: number | undefined;

  private constructor(
    compiled: WebAssembly.Module,
    layout: MemoryLayout,
    roots: Roots,
    entries: Entries,
    image: MemoryImage,
  ) {
    this.compiled = compiled;
    this.layout = layout;
    this.roots = roots;
    this.entries = entries;
    this.image = image;
  }

  static async start(wasm: Uint8Array): Promise<QuickjsEngine> {
    const compiled = await Machine.compile(wasm);
    const probe = await Machine.create(compiled, 0);
    probe.boot();
    const layout = findLayout(probe, () => probe.evaluate(Buffer.from('Math.random()'), 'probe.js', evalAsScript));
    const machine = await Machine.create(compiled, 0);
    machine.boot();
    const prelude = machine.evaluate(Buffer.from(quickjsPrelude), 'prelude.js', evalAsScript);
    const list = machine.call(prelude, [machine.newHostFunction()]);
    const entry = (index: number): Value => machine.getProperty(list, String(index));
    const entries = { isFunction: entry(0), run: entry(1), parse: entry(2), fail: entry(3) };
    return new QuickjsEngine(compiled, layout, machine.roots, entries, takeImage(machine, layout));
  }

  forget(key: string): void {
    this.loaded.delete(key);
  }

  async rest(): Promise<void> {
    if (this.lastBytes !== undefined && !this.machines.has(this.lastBytes)) await this.makeMachine(this.lastBytes);
  }

  async run(task: SandboxTask, control: TaskControl): Promise<TaskResult> {
    let machine: Machine | undefined;
    let memoryBytes = 0;
    /** What a task may use can change while it runs. */
    const follow = () => {
      if (memoryBytes === task.limits.memoryBytes) return;
      memoryBytes = task.limits.memoryBytes;
      machine?.setMemoryLimit(memoryBytes);
      machine?.boundMemory(this.boundOf(memoryBytes));
    };
    const host = new QuickjsHost(task, control, this.entries.parse, () => {
      follow();
      return this.heapBytes(machine) > memoryBytes;
    });
    let thrown: unknown;
    try {
      const kept = this.loaded.get(task.key);
      machine = await this.machineFor(task);
      machine.host = host;
      setImage(machine, this.layout, this.image, kept?.changes);
      seedRandom(machine, this.layout, this.nextSeed());
      follow();
      const main = kept?.main ?? (await this.load(machine, task, host, control));
      if (main !== undefined) await this.invoke(machine, main, task, host, control);
    } catch (error) {
      thrown = error;
    }
    return this.conclude(task, control, host, machine, thrown);
  }

  /** Random bytes, drawn for many tasks at once: the call costs more than a small task. */
  private nextSeed(): Uint8Array {
    if (this.seedsUsed === this.seeds.length) {
      randomFillSync(this.seeds);
      this.seedsUsed = 0;
    }
    this.seedsUsed += seedBytes;
    return this.seeds.subarray(this.seedsUsed - seedBytes, this.seedsUsed);
  }

  private heapBytes(machine: Machine | undefined): number {
    return machine === undefined ? 0 : Math.max(0, heapEnd(machine, this.layout) - this.layout.stackTo);
  }

  private mostBytesOf(task: SandboxTask): number {
    return this.boundOf(task.limits.memoryBytes * limits.memoryRaiseMost);
  }

  private boundOf(memoryBytes: number): number {
    return (this.layout.stackTo + memoryBytes) * memoryFactor + memorySlackBytes;
  }

  private async machineFor(task: SandboxTask): Promise<Machine> {
    const mostBytes = this.mostBytesOf(task);
    this.lastBytes = mostBytes;
    const used = this.machines.get(mostBytes) ?? (await this.makeMachine(mostBytes));
    this.machines.delete(mostBytes);
    this.machines.set(mostBytes, used);
    if (used.key !== undefined && used.key !== task.key) clearStack(used.machine, this.layout);
    used.key = task.key;
    return used.machine;
  }

  private async makeMachine(mostBytes: number): Promise<UsedMachine> {
    const machine = await Machine.create(this.compiled, mostBytes);
    machine.adopt(this.roots);
    setImage(machine, this.layout, this.image);
    const used: UsedMachine = { machine, key: undefined };
    this.machines.set(mostBytes, used);
    if (this.machines.size > keysPerProcess) this.machines.delete(this.machines.keys().next().value!);
    return used;
  }

  /** By itself, not by the task's limit: that may have become another while it ran. */
  private discard(machine: Machine): void {
    for (const [mostBytes, used] of this.machines) if (used.machine === machine) this.machines.delete(mostBytes);
  }

  /** Evaluates the module and keeps the image; `undefined` when that failed or was stopped. */
  private async load(
    machine: Machine,
    task: SandboxTask,
    host: QuickjsHost,
    control: TaskControl,
  ): Promise<Value | undefined> {
    let main: Value;
    try {
      let namespace = machine.evaluate(task.code, codeName, evalAsModule);
      if (machine.promiseState(namespace) === 0) {
        await this.runJobs(machine, control, () => machine.promiseState(namespace) !== 0);
        if (control.stopped !== undefined) return undefined;
        if (machine.promiseState(namespace) === 0) {
          host.fail({ phase: 'code', kind: '', name: '', message: 'its top level never settles', stack: '' });
          return undefined;
        }
      }
      const state = machine.promiseState(namespace);
      if (state === 2) throw new GuestError(machine.promiseResult(namespace));
      if (state === 1) namespace = machine.promiseResult(namespace);
      main = machine.getProperty(namespace, 'default');
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      if (control.stopped === undefined) this.tell(machine, this.phaseOf(machine, task), error.value);
      return undefined;
    }
    if (machine.getNumber(machine.call(this.entries.isFunction, [main])) !== 1) {
      host.fail({
        phase: 'code',
        kind: '',
        name: '',
        message: 'the module has no default export that is a function',
        stack: '',
      });
      return undefined;
    }
    if (!machine.hasJobs()) {
      this.loaded.set(task.key, { changes: takeChanges(machine, this.layout, this.image), main });
    }
    return main;
  }

  /** Whether code that failed to load cannot be compiled, or threw when it was evaluated. */
  private phaseOf(machine: Machine, task: SandboxTask): 'code' | 'load' {
    return machine.compiles(task.code, codeName) ? 'load' : 'code';
  }

  private tell(machine: Machine, phase: string, error: Value): void {
    machine.call(this.entries.fail, [machine.newString(Buffer.from(phase))!, error]);
  }

  private async invoke(
    machine: Machine,
    main: Value,
    task: SandboxTask,
    host: QuickjsHost,
    control: TaskControl,
  ): Promise<void> {
    const { shape, slots, parameters } = task;
    const size = shape.by === undefined ? 0 : (slots[0]?.length ?? 0);
    const meta = machine.newString(Buffer.from(JSON.stringify({ ...shape, size, parameters })));
    if (meta === undefined) throw new RangeError('out of memory');
    machine.call(this.entries.run, [main, meta]);
    await this.runJobs(machine, control, () => host.ending !== undefined);
  }

  /** Runs what is pending until nothing is, until `enough`, or until the task has to stop. */
  private async runJobs(machine: Machine, control: TaskControl, enough: () => boolean): Promise<void> {
    while (!enough() && machine.host?.interrupt() !== true && machine.hasJobs()) {
      machine.runJobs(jobsAtOnce);
      const pause = control.pause();
      if (pause !== undefined) await pause;
    }
  }

  private conclude(
    task: SandboxTask,
    control: TaskControl,
    host: QuickjsHost,
    machine: Machine | undefined,
    thrown: unknown,
  ): TaskResult {
    const peakMemoryBytes = this.heapBytes(machine);
    const kept = this.loaded.get(task.key);
    if (machine !== undefined) machine.host = undefined;
    if (machine?.broken === true) this.loaded.delete(task.key);
    const grownBytes = peakMemoryBytes - (kept?.changes.heapBytes ?? this.image.high.length);
    if (machine !== undefined && (machine.broken || grownBytes > growthBytesMost)) this.discard(machine);
    const failed = (code: Extract<TaskResult, { type: 'failed' }>['code'], message: string): TaskResult => ({
      type: 'failed',
      code,
      message,
      peakMemoryBytes,
    });
    const { cpuMs, wallMs, memoryBytes } = task.limits;
    if (peakMemoryBytes > memoryBytes || host.ranOutOfMemory(peakMemoryBytes > memoryBytes * nearlyFull)) {
      return failed('MESH_TASK_MEMORY', `the task needed more than its ${memoryBytes} bytes of memory`);
    }
    if (host.ending?.type !== 'done') {
      if (control.stopped === 'cpu')
        return failed('MESH_TASK_CPU', `the task used more than its ${cpuMs} ms of CPU time`);
      if (control.stopped === 'wall') return failed('MESH_TASK_WALL', `the task ran longer than its ${wallMs} ms`);
      if (control.stopped === 'cancelled') return failed('MESH_TASK_CANCELLED', 'the attempt was cancelled');
    }
    const result = host.result(peakMemoryBytes);
    if (result !== undefined) return result;
    if (thrown === undefined) {
      return failed('MESH_TASK_THREW', 'the promise of the task never settles: nothing is left that could resolve it');
    }
    return failed('MESH_TASK_THREW', explainHostError(thrown));
  }
}

function explainHostError(error: unknown): string {
  if (error instanceof RangeError && error.message.includes('call stack')) return 'stack overflow';
  if (error instanceof GuestError) return 'it threw where it could not be read';
  return `QuickJS failed: ${error instanceof Error ? error.message : String(error)}`;
}
