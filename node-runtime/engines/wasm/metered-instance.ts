import { GuestMemory } from './guest-memory.ts';
import { meterExports, pageBytes } from './prepare-module.ts';
import type { WasiHost } from './wasi-host.ts';

/** What the guest may do until the host looks at the clock: a unit is a call or 1,024 turns of loops, microseconds. */
const unitsAtOnce = 1_000;

/**
 * A module that gives two functions of the host, `t` and `g`, back as functions that a table takes:
 * `(import "h" "t" (func)) (import "h" "g" (func (param i32) (result i32))) (export "t" ..) (export "g" ..)`.
 */
const bridge = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x09, 0x02, 0x60, 0x00, 0x00, 0x60, 0x01, 0x7f, 0x01, 0x7f],
  ...[0x02, 0x0d, 0x02, 0x01, 0x68, 0x01, 0x74, 0x00, 0x00, 0x01, 0x68, 0x01, 0x67, 0x00, 0x01],
  ...[0x07, 0x09, 0x02, 0x01, 0x74, 0x00, 0x00, 0x01, 0x67, 0x00, 0x01],
);
let compiledBridge: Promise<WebAssembly.Module> | undefined;

/** An instance of a module of `prepareModule`, with a host that it calls often. */
export class MeteredInstance {
  readonly memory: GuestMemory;
  /** Whether it asked for more memory than it may have. */
  wasRefused = false;
  readonly #start: () => void;

  private constructor(
    instance: WebAssembly.Instance,
    bridgeModule: WebAssembly.Module,
    host: WasiHost,
    mostBytes: () => number,
  ) {
    const { memory, _start } = instance.exports as { memory: WebAssembly.Memory; _start: () => void };
    const units = instance.exports[meterExports.units] as WebAssembly.Global;
    const calls = instance.exports[meterExports.calls] as WebAssembly.Table;
    this.memory = new GuestMemory(memory);
    this.#start = _start;
    const tick = (): void => {
      units.value = unitsAtOnce;
      host.check();
    };
    const grow = (pages: number): number => {
      const sizeBytes = this.memory.sizeBytes + (pages >>> 0) * pageBytes;
      const before = sizeBytes > mostBytes() ? -1 : this.memory.grow(pages >>> 0);
      if (before < 0) this.wasRefused = true;
      return before;
    };
    const { t, g } = new WebAssembly.Instance(bridgeModule, { h: { t: tick, g: grow } }).exports;
    calls.set(0, t);
    calls.set(1, g);
    host.attach(this.memory);
  }

  /** @param mostBytes what its memory may be now: asked whenever it is to grow */
  static async create(module: WebAssembly.Module, host: WasiHost, mostBytes: () => number): Promise<MeteredInstance> {
    compiledBridge ??= WebAssembly.compile(bridge);
    const bridgeModule = await compiledBridge;
    return new MeteredInstance(new WebAssembly.Instance(module, host.imports()), bridgeModule, host, mostBytes);
  }

  /** Runs the command. Throws `GuestExit`, `GuestStop`, `WebAssembly.RuntimeError` (a trap) or `RangeError` (its stack is full). */
  run(): void {
    this.#start();
  }
}
