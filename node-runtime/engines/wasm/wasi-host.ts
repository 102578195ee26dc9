import { createCipheriv, createHash } from 'node:crypto';
import type { StopReason } from '../sandbox-engine.ts';
import { ErrorLines } from './error-lines.ts';
import type { FileContent, FileTree } from './file-tree.ts';
import { type GuestMemory, WasiError } from './guest-memory.ts';
import { OutputBuffer } from './output-buffer.ts';
import { clockCalls } from './wasi-clock.ts';
import { fileCalls } from './wasi-files.ts';
import { errno, foremeshModule, type WasiName, wasiModule } from './wasi-names.ts';
import type { WasiState } from './wasi-state.ts';

/** The guest ended by itself. */
export class GuestExit extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** The host ends the guest. */
export class GuestStop extends Error {
  readonly reason: StopReason | 'memory' | 'output';

  constructor(reason: GuestStop['reason']) {
    super(reason);
    this.reason = reason;
  }
}

/** What a task finds when it begins. */
export interface WasiWorld {
  /** The first is the name of the program. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: FileContent;
  readonly tree: FileTree;
  /** Who the task is: equal tasks draw equal random bytes, on every node and in every attempt. */
  readonly identity: string;
}

export interface WasiHostOptions {
  readonly world: WasiWorld;
  readonly state: WasiState;
  /** Whether the task has to stop, and why. Called often. */
  readonly stopReason: () => GuestStop['reason'] | undefined;
  readonly outputBytesMost: number;
  readonly log: (line: string) => void;
  readonly progress: (fraction: number) => void;
}

const randomBlockBytes = 16;
/** What the host works through before it looks whether the task has to stop. */
const pieceBytesMost = 65_536;
/** How often the host looks whether the task has to stop, or has used more than its share of the CPU. */
const checkMs = 1;
const sleepSliceMs = 20;

/**
 * Answers the calls of one WASI preview 1 command. Everything that comes from the guest is checked; a call ends with an errno, or
 * throws `GuestExit` or `GuestStop`, and nothing else. All functions of preview 1 are there; sockets, signals and writing to files end
 * with an errno that says so.
 */
export class WasiHost {
  readonly output: OutputBuffer;
  readonly errors: ErrorLines;
  /** How it ended, once the host has seen that: nothing is answered any more. */
  ending: GuestExit | GuestStop | undefined;
  readonly #options: WasiHostOptions;
  readonly #beganMs = performance.now();
  #checkedMs = performance.now();
  readonly #key: Uint8Array;
  readonly #arguments: Buffer[];
  readonly #environment: Buffer[];
  #memory: GuestMemory | undefined;

  constructor(options: WasiHostOptions) {
    const { world, log, progress } = options;
    this.#options = options;
    this.output = new OutputBuffer(options.outputBytesMost);
    this.errors = new ErrorLines({ log, progress });
    this.#key = createHash('sha256').update(world.identity).digest();
    this.#arguments = world.arguments.map((text) => Buffer.from(`${text}\0`));
    this.#environment = Object.entries(world.environment).map(([name, value]) => Buffer.from(`${name}=${value}\0`));
  }

  /** Before the first call. */
  attach(memory: GuestMemory): void {
    this.#memory = memory;
  }

  get #guest(): GuestMemory {
    if (this.#memory === undefined) throw new Error('a host call before the memory is there');
    return this.#memory;
  }

  /** How long the task has run, milliseconds: with what it ran elsewhere before. */
  get elapsedMs(): number {
    return this.#options.state.elapsedMs + performance.now() - this.#beganMs;
  }

  /** Ends the guest where it has to stop: looks at most every millisecond, so it may be called as often as one likes. */
  check(): void {
    if (this.ending !== undefined) throw this.ending;
    if (performance.now() - this.#checkedMs < checkMs) return;
    try {
      this.#look();
    } finally {
      // Behind the look, which may have slept.
      this.#checkedMs = performance.now();
    }
  }

  #look(): void {
    const reason = this.#options.stopReason();
    if (reason !== undefined) this.end(new GuestStop(reason));
  }

  end(ending: GuestExit | GuestStop): never {
    this.ending ??= ending;
    throw this.ending;
  }

  /** What a module is instantiated with. */
  imports(): WebAssembly.Imports {
    const calls = this.#calls();
    const wasi: Record<string, unknown> = {};
    for (const [name, call] of Object.entries(calls)) wasi[name] = this.#guarded(call as Call);
    return {
      [wasiModule]: wasi,
      [foremeshModule]: {
        progress: (fraction: number): void => {
          if (this.ending !== undefined) throw this.ending;
          if (fraction >= 0 && fraction <= 1) this.#options.progress(fraction);
        },
      },
    };
  }

  #guarded(call: Call): Call {
    return (...args) => {
      if (this.ending !== undefined) throw this.ending;
      try {
        return call(...args);
      } catch (error) {
        if (error instanceof WasiError) return error.errno;
        throw error;
      }
    };
  }

  #calls(): Record<WasiName, unknown> {
    const memory = () => this.#guest;
    const { state, world } = this.#options;
    const notSocket = (fd: number) => (state.descriptors[fd >>> 0] ? errno.notsock : errno.badf);
    return {
      ...fileCalls({
        memory,
        state,
        stdin: world.stdin,
        tree: world.tree,
        write: (to, bytes) => {
          if (to === 'stderr') this.#writeErrors(bytes);
          else if (!this.output.add(bytes)) this.end(new GuestStop('output'));
        },
      }),
      ...clockCalls({
        memory,
        state,
        elapsedMs: () => this.elapsedMs,
        sleep: (ms) => this.#sleep(ms),
        rightsOf: (fd) => state.descriptors[fd]?.rights,
      }),
      args_get: (pointers: number, bytes: number) => this.#setStrings(this.#arguments, pointers, bytes),
      args_sizes_get: (count: number, bytes: number) => this.#setSizes(this.#arguments, count, bytes),
      environ_get: (pointers: number, bytes: number) => this.#setStrings(this.#environment, pointers, bytes),
      environ_sizes_get: (count: number, bytes: number) => this.#setSizes(this.#environment, count, bytes),
      random_get: (pointer: number, sizeBytes: number) => this.#random(pointer, sizeBytes >>> 0),
      proc_exit: (code: number) => this.end(new GuestExit(code >>> 0)),
      proc_raise: () => errno.nosys,
      sock_accept: notSocket,
      sock_recv: notSocket,
      sock_send: notSocket,
      sock_shutdown: notSocket,
    };
  }

  /** In pieces: a guest may write all of its memory at once, and a thousand times in one call. */
  #writeErrors(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += pieceBytesMost) {
      this.check();
      this.errors.add(bytes.subarray(at, at + pieceBytesMost));
    }
  }

  #setSizes(strings: readonly Buffer[], count: number, bytes: number): number {
    const memory = this.#guest;
    memory.bytes(bytes, 4);
    memory.set32(count, strings.length);
    memory.set32(
      bytes,
      strings.reduce((sum, { length }) => sum + length, 0),
    );
    return errno.success;
  }

  #setStrings(strings: readonly Buffer[], pointers: number, bytes: number): number {
    const memory = this.#guest;
    const all = Buffer.concat(strings);
    memory.bytes(pointers, strings.length * 4);
    memory.bytes(bytes, all.length).set(all);
    let at = bytes >>> 0;
    for (const [index, { length }] of strings.entries()) {
      memory.set32((pointers >>> 0) + index * 4, at);
      at += length;
    }
    return errno.success;
  }

  /** A stream of bytes (AES-256 in counter mode) that follows from who the task is: a place in it is all that there is to remember. */
  #random(pointer: number, sizeBytes: number): number {
    const { state } = this.#options;
    const target = this.#guest.bytes(pointer, sizeBytes);
    for (let at = 0; at < sizeBytes; at += pieceBytesMost) {
      this.check();
      const piece = target.subarray(at, at + pieceBytesMost);
      const counter = Buffer.alloc(randomBlockBytes);
      counter.writeBigUInt64BE(BigInt(Math.floor(state.randomBytesDrawn / randomBlockBytes)), 8);
      const skipped = state.randomBytesDrawn % randomBlockBytes;
      const cipher = createCipheriv('aes-256-ctr', this.#key, counter);
      piece.set(cipher.update(Buffer.alloc(skipped + piece.length)).subarray(skipped));
      state.randomBytesDrawn += piece.length;
    }
    return errno.success;
  }

  /** In slices, so that a limit ends it; without work for the processor. */
  #sleep(ms: number): void {
    const until = performance.now() + ms;
    const cell = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
      this.check();
      const leftMs = until - performance.now();
      if (leftMs <= 0) return;
      Atomics.wait(cell, 0, 0, Math.min(sleepSliceMs, leftMs));
    }
  }
}

type Call = (...args: unknown[]) => unknown;
