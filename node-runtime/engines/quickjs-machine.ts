import emscriptenModule from '@jitl/quickjs-wasmfile-release-sync/emscripten-module';
import { QuickJSFFI } from '@jitl/quickjs-wasmfile-release-sync/ffi';
import type {
  EmscriptenModuleCallbacks,
  EmscriptenModuleLoader,
  EvalDetectModule,
  EvalFlags,
  HostRefId,
  JSContextPointer,
  JSContextPointerPointer,
  JSRuntimePointer,
  JSValueConstPointer,
  JSValueConstPointerPointer,
  JSValuePointer,
  OwnedHeapCharPointer,
  QuickJSEmscriptenModule,
} from 'quickjs-emscripten-core';
import { withInitialPages } from './wasm-memory.ts';

// The package's types describe its CommonJS build; what is imported is the ES module, whose default is the loader.
const loadEmscripten = emscriptenModule as unknown as EmscriptenModuleLoader<QuickJSEmscriptenModule>;

export type Value = JSValuePointer | JSValueConstPointer;

/** QuickJS checks its own stack; V8's is larger by far (see `sandbox-launch.ts`), so that QuickJS's check comes first. */
const stackBytes = 65_536;
const pageBytes = 65_536;
/** A machine may have this much memory whatever its task's limit. */
const leastPages = 256;
/**
 * What a machine begins with, instead of the 256 pages that its build asks for: its static data, its stack and the first of
 * its heap end in page 84. What V8 collects, and how often, goes by this size.
 */
const initialPages = 96;
export const evalAsScript = 0 as EvalFlags;
export const evalAsModule = 1 as EvalFlags;
const evalCompileOnly = 32 as EvalFlags;
const noDetect = 0 as EvalDetectModule;
const hostFunction = 1 as HostRefId;
const argumentsMost = 8;

/** What a machine asks of whoever runs it. Neither may throw. */
export interface MachineHost {
  call(machine: Machine, args: (index: number) => Value): Value | undefined;
  /** Called every ten thousand loops or calls of the guest: true stops it. */
  interrupt(): boolean;
}

/** The pointers into a memory that stay the same in every machine made of the same image. */
export interface Roots {
  readonly runtime: JSRuntimePointer;
  readonly context: JSContextPointer;
  readonly argv: number;
  readonly contextOut: JSContextPointerPointer;
}

/** A failed call: the guest threw this value. */
export class GuestError extends Error {
  readonly value: Value;
  constructor(value: Value) {
    super('the guest threw');
    this.value = value;
  }
}

/**
 * One instance of QuickJS with one memory: the least that is needed above the C functions. Handles are not freed one by one:
 * whoever uses a machine sets its memory back to an image. A host error that crosses the guest's frames (V8's stack, a trap)
 * leaves QuickJS in an unknown state: such a machine is `broken` and must be thrown away.
 */
export class Machine {
  readonly memory: WebAssembly.Memory;
  readonly ffi: QuickJSFFI;
  host: MachineHost | undefined;
  broken = false;
  private readonly module: QuickJSEmscriptenModule;
  private found: Roots | undefined;
  private readonly bound: { bytes: number };

  private constructor(module: QuickJSEmscriptenModule, memory: WebAssembly.Memory, bound: { bytes: number }) {
    this.bound = bound;
    this.module = module;
    this.memory = memory;
    this.ffi = new QuickJSFFI(module);
    const nothing = 0 as JSValuePointer;
    const callbacks: EmscriptenModuleCallbacks = {
      callFunction: (_asyncify, _context, _self, argc, argv) => {
        const undefinedValue = this.ffi.QTS_GetUndefined() as Value;
        const argument = (index: number): Value =>
          index < argc ? (this.ffi.QTS_ArgvGetJSValueConstPointer(argv, index) as Value) : undefinedValue;
        return (this.host?.call(this, argument) ?? nothing) as JSValuePointer;
      },
      shouldInterrupt: () => (this.host?.interrupt() === true ? 1 : 0),
      loadModuleSource: () => 0 as never,
      normalizeModule: () => 0 as never,
      freeHostRef: () => undefined,
    };
    module.callbacks = callbacks;
  }

  static compile(wasm: Uint8Array): Promise<WebAssembly.Module> {
    return WebAssembly.compile(withInitialPages(wasm, initialPages));
  }

  /** `memoryBytesMost` bounds the WebAssembly memory itself, for good. */
  static async create(compiled: WebAssembly.Module, memoryBytesMost: number): Promise<Machine> {
    const pages = Math.min(32_768, Math.max(leastPages, Math.ceil(memoryBytesMost / pageBytes)));
    const memory = new WebAssembly.Memory({ initial: initialPages, maximum: pages });
    const bound = { bytes: Number.POSITIVE_INFINITY };
    // The module grows its memory by this very call, and takes an error for a refusal.
    memory.grow = (more) => {
      if (memory.buffer.byteLength + more * pageBytes > bound.bytes) throw new RangeError('above its bound');
      return WebAssembly.Memory.prototype.grow.call(memory, more);
    };
    const options = {
      wasmMemory: memory,
      instantiateWasm: (imports: WebAssembly.Imports, onSuccess: (instance: WebAssembly.Instance) => void) => {
        const instance = new WebAssembly.Instance(compiled, imports);
        onSuccess(instance);
        return instance.exports;
      },
      print: () => undefined,
      printErr: () => undefined,
    };
    const module = await loadEmscripten(options);
    return new Machine(module, memory, bound);
  }

  get roots(): Roots {
    if (this.found === undefined) throw new Error('the machine has no runtime yet');
    return this.found;
  }

  /** Makes runtime and context. */
  boot(): void {
    const { ffi } = this;
    const runtime = ffi.QTS_NewRuntime();
    const context = ffi.QTS_NewContext(runtime, 0 as never);
    ffi.QTS_RuntimeSetMaxStackSize(runtime, stackBytes);
    ffi.QTS_RuntimeEnableInterruptHandler(runtime);
    const argv = this.malloc(4 * argumentsMost);
    this.found = { runtime, context, argv, contextOut: this.malloc(4) as JSContextPointerPointer };
  }

  /** Goes on where another machine of the same image was: its memory has been set, here are its pointers. */
  adopt(roots: Roots): void {
    this.found = roots;
  }

  get bytes(): Uint8Array {
    return this.module.HEAPU8;
  }

  /** 0 when the memory has reached its end. */
  malloc(sizeBytes: number): number {
    return this.guard(() => this.module._malloc(Math.max(1, sizeBytes)));
  }

  free(pointer: number): void {
    this.guard(() => this.module._free(pointer));
  }

  /** The WebAssembly memory grows no further from now on. */
  boundMemory(bytes: number): void {
    this.bound.bytes = Math.max(bytes, leastPages * pageBytes);
  }

  setMemoryLimit(sizeBytes: number): void {
    this.ffi.QTS_RuntimeSetMemoryLimit(this.roots.runtime, Math.min(sizeBytes, 0x7fff_ffff));
  }

  /** The host call as a function of the guest. */
  newHostFunction(): Value {
    return this.ffi.QTS_NewFunction(this.roots.context, 'host', argumentsMost, false, hostFunction);
  }

  /** `undefined` when there is no memory for it. `bytes` is valid UTF-8 without a NUL. */
  newString(bytes: Uint8Array, before = '', behind = ''): Value | undefined {
    const size = before.length + bytes.length + behind.length;
    const pointer = this.malloc(size + 1);
    if (pointer === 0) return undefined;
    const heap = this.bytes;
    for (let i = 0; i < before.length; i++) heap[pointer + i] = before.charCodeAt(i);
    heap.set(bytes, pointer + before.length);
    for (let i = 0; i < behind.length; i++) heap[pointer + size - behind.length + i] = behind.charCodeAt(i);
    heap[pointer + size] = 0;
    const value = this.ffi.QTS_NewString(this.roots.context, pointer as OwnedHeapCharPointer);
    this.free(pointer);
    return value;
  }

  newNumber(value: number): Value {
    return this.ffi.QTS_NewFloat64(this.roots.context, value);
  }

  /** A new ArrayBuffer with these bytes. They do not count in the runtime's limit, but in the memory's. */
  newArrayBuffer(bytes: Uint8Array): Value | undefined {
    const pointer = this.malloc(bytes.length);
    if (pointer === 0) return undefined;
    this.bytes.set(bytes, pointer);
    return this.ffi.QTS_NewArrayBuffer(this.roots.context, pointer as never, bytes.length);
  }

  getNumber(value: Value): number {
    return this.ffi.QTS_GetFloat64(this.roots.context, value);
  }

  /** UTF-8 of a string (up to its first NUL), copied out; `undefined` when it is longer, a number says how long. */
  getUtf8(value: Value, bytesMost: number): Uint8Array | number | undefined {
    const pointer = this.ffi.QTS_GetString(this.roots.context, value) as unknown as number;
    if (pointer === 0) return undefined;
    const heap = this.bytes;
    const end = heap.indexOf(0, pointer);
    const result = end - pointer > bytesMost ? end - pointer : heap.slice(pointer, end);
    this.ffi.QTS_FreeCString(this.roots.context, pointer as never);
    return result;
  }

  /** A range of an ArrayBuffer, copied out; `undefined` when it is none, or the range is not inside it. */
  getBytes(buffer: Value, offset: number, length: number): Uint8Array | undefined {
    const { context } = this.roots;
    if (!(Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0)) return undefined;
    const size = this.ffi.QTS_GetArrayBufferLength(context, buffer);
    if (size < 0 || offset + length > size) return undefined;
    if (length === 0) return new Uint8Array(0);
    // This is a copy on the heap, made for us.
    const pointer = this.ffi.QTS_GetArrayBuffer(context, buffer) as unknown as number;
    if (pointer === 0) return undefined;
    const bytes = this.bytes.slice(pointer + offset, pointer + offset + length);
    this.free(pointer);
    return bytes;
  }

  /** Throws `GuestError` when the code throws. For a module, its namespace (or a promise of it). */
  evaluate(code: Uint8Array, filename: string, flags: EvalFlags): Value {
    return this.guard(() => {
      const pointer = this.module._malloc(code.length + 1) as OwnedHeapCharPointer;
      if ((pointer as number) === 0) throw new RangeError('out of memory');
      this.bytes.set(code, pointer);
      this.bytes[pointer + code.length] = 0;
      return this.unwrap(
        this.ffi.QTS_Eval(this.roots.context, pointer, code.length, filename, noDetect, flags) as Value,
      );
    });
  }

  call(target: Value, args: readonly Value[]): Value {
    const undefinedValue = this.ffi.QTS_GetUndefined() as Value;
    const { context, argv } = this.roots;
    new Uint32Array(this.memory.buffer, argv, args.length).set(args);
    return this.guard(() =>
      this.unwrap(
        this.ffi.QTS_Call(context, target, undefinedValue, args.length, argv as unknown as JSValueConstPointerPointer),
      ),
    );
  }

  /** `undefined` when it threw. */
  tryCall(target: Value, args: readonly Value[]): Value | undefined {
    try {
      return this.call(target, args);
    } catch (error) {
      if (error instanceof GuestError) return undefined;
      throw error;
    }
  }

  /** Whether the code of a module compiles. */
  compiles(code: Uint8Array, filename: string): boolean {
    try {
      this.evaluate(code, filename, (evalAsModule | evalCompileOnly) as EvalFlags);
      return true;
    } catch (error) {
      if (error instanceof GuestError) return false;
      throw error;
    }
  }

  getProperty(target: Value, name: string): Value {
    const key = this.newString(Buffer.from(name))!;
    return this.guard(() => this.unwrap(this.ffi.QTS_GetProp(this.roots.context, target, key)));
  }

  /** `-1` when it is no promise. */
  promiseState(value: Value): number {
    return this.ffi.QTS_PromiseState(this.roots.context, value);
  }

  promiseResult(value: Value): Value {
    return this.ffi.QTS_PromiseResult(this.roots.context, value);
  }

  hasJobs(): boolean {
    return this.ffi.QTS_IsJobPending(this.roots.runtime) !== 0;
  }

  /** Runs up to so many pending jobs; throws `GuestError` when one of them throws. */
  runJobs(most: number): void {
    const { runtime, contextOut } = this.roots;
    this.guard(() => {
      const value = this.ffi.QTS_ExecutePendingJob(runtime, most, contextOut) as Value;
      this.unwrap(value);
      this.ffi.QTS_FreeValuePointerRuntime(runtime, value as JSValuePointer);
    });
  }

  private unwrap(value: Value): Value {
    const error = this.ffi.QTS_ResolveException(this.roots.context, value as JSValuePointer) as unknown as number;
    if (error !== 0) throw new GuestError(error as Value);
    return value;
  }

  private guard<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof GuestError)) this.broken = true;
      throw error;
    }
  }
}
