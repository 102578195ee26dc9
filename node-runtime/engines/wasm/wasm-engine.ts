import { isUtf8 } from 'node:buffer';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type ErrorCode, limits, MeshError } from '../../contract/index.ts';
import type { SandboxEngine, SandboxTask, TaskControl, TaskResult } from '../sandbox-engine.ts';
import { isJson } from './json-check.ts';
import { MeteredInstance } from './metered-instance.ts';
import { prepareModule } from './prepare-module.ts';
import { worldOf } from './task-world.ts';
import { GuestExit, GuestStop, WasiHost } from './wasi-host.ts';
import { initialState } from './wasi-state.ts';

/** Memory of instances that have ended: V8 does not know how large it is, so it is told when to look. */
const droppedBytesMost = 32 * 1024 ** 2;

/** Engine `wasm`: commands of WASI preview 1, compiled by V8. Each task has an instance and a memory of its own. */
export class WasmEngine implements SandboxEngine {
  /** By key: same job, code and memory limit. */
  readonly #modules = new Map<string, WebAssembly.Module>();
  #droppedBytes = 0;
  #collect: (() => void) | undefined;

  forget(key: string): void {
    this.#modules.delete(key);
  }

  async run(task: SandboxTask, control: TaskControl): Promise<TaskResult> {
    const host = new WasiHost({
      world: worldOf(task),
      state: initialState(Date.now()),
      outputBytesMost: task.limits.outputBytes,
      stopReason: () => {
        if (control.tick()) return control.stopped;
        return instance !== undefined && instance.memory.sizeBytes > task.limits.memoryBytes ? 'memory' : undefined;
      },
      log: (line) => control.log(line),
      progress: (fraction) => control.progress(fraction),
    });
    let instance: MeteredInstance | undefined;
    let thrown: unknown;
    try {
      const module = await this.#moduleOf(task);
      instance = await MeteredInstance.create(module, host, () => task.limits.memoryBytes);
      instance.run();
    } catch (error) {
      thrown = error;
    }
    host.errors.end();
    const peakMemoryBytes = instance?.memory.sizeBytes ?? 0;
    const ended = conclude(task, host, instance, host.ending ?? thrown);
    instance = undefined;
    this.#drop(peakMemoryBytes);
    return { ...ended, peakMemoryBytes };
  }

  async #moduleOf(task: SandboxTask): Promise<WebAssembly.Module> {
    const known = this.#modules.get(task.key);
    if (known !== undefined) return known;
    const { memoryBytes } = task.limits;
    const prepared = prepareModule(task.code, memoryBytes, memoryBytes * limits.memoryRaiseMost);
    let module: WebAssembly.Module;
    try {
      module = await WebAssembly.compile(prepared);
    } catch (error) {
      throw new MeshError('MESH_TASK_CODE_INVALID', await explainInvalid(task.code, error));
    }
    this.#modules.set(task.key, module);
    return module;
  }

  #drop(bytes: number): void {
    this.#droppedBytes += bytes;
    if (this.#droppedBytes < droppedBytesMost) return;
    this.#droppedBytes = 0;
    this.#collect ??= garbageCollector();
    this.#collect();
  }
}

type Ended =
  | { readonly type: 'done'; readonly encoding: 'json' | 'text' | 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

function conclude(task: SandboxTask, host: WasiHost, instance: MeteredInstance | undefined, how: unknown): Ended {
  const { cpuMs, wallMs, memoryBytes, outputBytes } = task.limits;
  const failed = (code: ErrorCode, message: string): Ended => ({ type: 'failed', code, message });
  if (how === undefined || (how instanceof GuestExit && how.exitCode === 0)) return outputOf(task, host);
  if (how instanceof GuestStop) {
    switch (how.reason) {
      case 'cpu':
        return failed('MESH_TASK_CPU', `the task used more than its ${cpuMs} ms of CPU time`);
      case 'wall':
        return failed('MESH_TASK_WALL', `the task ran longer than its ${wallMs} ms`);
      case 'cancelled':
        return failed('MESH_TASK_CANCELLED', 'the attempt was cancelled');
      case 'memory':
        return failed('MESH_TASK_MEMORY', `the task needed more than its ${memoryBytes} bytes of memory`);
      case 'output':
        return failed('MESH_TASK_OUTPUT', `the output may have ${outputBytes} bytes and has more`);
    }
  }
  if (how instanceof MeshError)
    return failed(how.code, how.mend === undefined ? how.message : `${how.message}; ${how.mend}`);
  if (instance === undefined) {
    // The module is fine, this machine has no memory for it.
    if (how instanceof RangeError)
      return failed('MESH_NODE_FULL', `no instance of the module can be made: ${how.message}`);
    if (how instanceof WebAssembly.LinkError || how instanceof WebAssembly.RuntimeError) {
      return failed('MESH_TASK_CODE_INVALID', `no instance of the module can be made: ${how.message}`);
    }
    throw how;
  }
  const said = host.errors.last.length === 0 ? '' : `: ${host.errors.last.join(' | ')}`;
  const why = explain(how);
  if (instance.wasRefused) {
    const { message } = why;
    return failed(
      'MESH_TASK_MEMORY',
      `it was refused more than its ${memoryBytes} bytes of memory; then ${message}${said}`,
    );
  }
  return failed(why.code, `${why.message}${said}`);
}

function explain(how: unknown): { readonly code: ErrorCode; readonly message: string } {
  if (how instanceof GuestExit) return { code: 'MESH_TASK_EXITED', message: `it ended with exit code ${how.exitCode}` };
  if (how instanceof RangeError)
    return { code: 'MESH_TASK_TRAPPED', message: 'it trapped: its calls are nested too deeply (stack overflow)' };
  if (!(how instanceof WebAssembly.RuntimeError)) throw how;
  // "at divide (wasm://wasm/0a1b2c3d:wasm-function[5]:0x2b7)": the name is there when the module has names.
  const [, name, index] = /at (?:([^\s(]+) \()?wasm:\/\/\S*wasm-function\[(\d+)\]/.exec(how.stack ?? '') ?? [];
  const where = index === undefined ? '' : ` in ${name ?? `function ${index}`}`;
  return { code: 'MESH_TASK_TRAPPED', message: `it trapped: ${how.message}${where}` };
}

function outputOf({ command }: SandboxTask, { output }: WasiHost): Ended {
  const encoding = command?.output ?? 'text';
  const bytes = output.bytes();
  const wrong = (message: string): Ended => ({ type: 'failed', code: 'MESH_TASK_OUTPUT', message });
  if (encoding !== 'bytes' && !isUtf8(bytes))
    return wrong('standard output is no UTF-8; say `output: bytes` in the stage');
  if (encoding === 'json' && !isJson(bytes, limits.nestingLevels)) {
    return wrong('standard output is not one JSON document, as `output: json` of the stage says');
  }
  return { type: 'done', encoding, bytes };
}

/** In the words of V8 on the module as it came, not as it was metered. */
async function explainInvalid(code: Uint8Array, error: unknown): Promise<string> {
  const said = await WebAssembly.compile(code).then(
    () => error,
    (original: unknown) => original,
  );
  return `it does not compile: ${(said as Error).message}`;
}

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
