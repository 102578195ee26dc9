import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MeshError } from '../../../node-runtime/contract/index.ts';
import { FileContent, FileTree } from '../../../node-runtime/engines/wasm/file-tree.ts';
import { GuestMemory } from '../../../node-runtime/engines/wasm/guest-memory.ts';
import { GuestExit, GuestStop, WasiHost } from '../../../node-runtime/engines/wasm/wasi-host.ts';
import { type WasiName, wasiModule, wasiParameters } from '../../../node-runtime/engines/wasm/wasi-names.ts';
import { initialState } from '../../../node-runtime/engines/wasm/wasi-state.ts';
import { fixture, program } from '../../unit/engines/program.ts';

const names = Object.keys(wasiParameters) as WasiName[];
const memoryBytes = 65_536;
const content = Buffer.from('twelve bytes');

/** Addresses, sizes and descriptors: those that make sense, those at the edges, and any. */
const word = fc.oneof(
  fc.integer({ min: 0, max: 8 }),
  fc.integer({ min: 0, max: memoryBytes }),
  fc.constantFrom(-1, memoryBytes - 1, memoryBytes - 8, 0x7fff_ffff, -0x8000_0000, 256, 512),
  fc.integer(),
);
const long = fc.oneof(fc.bigInt({ min: 0n, max: 64n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
const call = fc.constantFrom(...names).chain((name) =>
  fc.record({
    name: fc.constant(name),
    args: fc.tuple(...[...wasiParameters[name]].map((letter) => (letter === 'I' ? long : word))),
  }),
);
/** What lies in the memory: pointers into it, lengths, paths. */
const filling = fc.oneof(
  fc.uint8Array({ minLength: 64, maxLength: 1_024 }),
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 1_024 }), fc.integer({ min: 0, max: 0xffff_ffff })), {
      minLength: 32,
      maxLength: 256,
    })
    .map((words) => new Uint8Array(Uint32Array.from(words).buffer)),
  fc
    .constantFrom('model.bin', 'd', 'd/e', '../x', '/x', '.', 'd/..', 'none', 'model.bin/x', '')
    .map((path) => Buffer.from(path)),
);

interface Stage {
  readonly calls: Record<string, (...args: unknown[]) => unknown>;
  readonly memory: WebAssembly.Memory;
  readonly state: ReturnType<typeof initialState>;
}

function stageOf(fillings: readonly Uint8Array[], looksMost = 50): Stage {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
  const bytes = new Uint8Array(memory.buffer);
  for (const [index, piece] of fillings.entries()) bytes.set(piece.subarray(0, 4_096), index * 4_096);
  const state = initialState(1e12);
  let looks = looksMost;
  const host = new WasiHost({
    world: {
      arguments: ['task', 'a'],
      environment: { A: 'b' },
      stdin: new FileContent([content, content]),
      tree: new FileTree([
        ['model.bin', new FileContent([content])],
        ['d/e', new FileContent([])],
      ]),
      identity: 'a/j/t',
    },
    state,
    stopReason: () => (looks-- > 0 ? undefined : 'wall'),
    outputBytesMost: 1_000_000,
    log: () => undefined,
    progress: () => undefined,
  });
  host.attach(new GuestMemory(memory));
  return { calls: host.imports()[wasiModule] as Stage['calls'], memory, state };
}

describe('WASI host', () => {
  it('has all functions of preview 1', () => {
    assert.deepEqual(Object.keys(stageOf([]).calls).sort(), [...names].sort());
  });

  it('answers any call with an errno, or ends the guest: it never throws anything else, and what it remembers is plain', () => {
    fc.assert(
      fc.property(
        fc.array(filling, { minLength: 1, maxLength: 4 }),
        fc.array(call, { minLength: 1, maxLength: 40 }),
        (fillings, calls) => {
          const stage = stageOf(fillings);
          for (const { name, args } of calls) {
            // A sleep of years is ended by the limits: that is tested elsewhere, and takes its time.
            if (name === 'poll_oneoff' || name === 'proc_exit') continue;
            try {
              const errno = stage.calls[name]!(...args);
              assert.ok(
                Number.isInteger(errno) && (errno as number) >= 0 && (errno as number) <= 76,
                `${name} gave ${errno}`,
              );
            } catch (error) {
              assert.ok(error instanceof GuestExit || error instanceof GuestStop, `${name}: ${(error as Error).stack}`);
              break;
            }
          }
          assert.deepEqual(JSON.parse(JSON.stringify(stage.state)), stage.state);
          assert.equal(stage.memory.buffer.byteLength, memoryBytes);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('waits for no longer than the task may run, and exits with any code', () => {
    const waits = fc.tuple(word, word, fc.integer({ min: 0, max: 3 }), word);
    fc.assert(
      fc.property(fc.array(filling, { minLength: 1, maxLength: 4 }), waits, fc.integer(), (fillings, args, code) => {
        const { calls } = stageOf(fillings, 1);
        try {
          const errno = calls.poll_oneoff!(...args);
          assert.ok(Number.isInteger(errno), String(errno));
        } catch (error) {
          assert.ok(error instanceof GuestStop && error.reason === 'wall', (error as Error).stack);
          return;
        }
        assert.throws(
          () => calls.proc_exit!(code),
          (error) => error instanceof GuestExit && error.exitCode === code >>> 0,
        );
        assert.throws(() => calls.sched_yield!(), GuestExit);
      }),
      { numRuns: 300 },
    );
  });

  it('ends calls with pointers outside of the memory with EFAULT, and writes nothing', () => {
    const outside = fc.constantFrom(memoryBytes, memoryBytes - 1, -1, -8, 0x7fff_ffff);
    const writers: readonly [WasiName, (pointer: number) => unknown[]][] = [
      ['args_get', (pointer) => [0, pointer]],
      ['args_sizes_get', (pointer) => [0, pointer]],
      ['environ_get', (pointer) => [pointer, 0]],
      ['clock_time_get', (pointer) => [0, 0n, pointer]],
      ['fd_fdstat_get', (pointer) => [0, pointer]],
      ['fd_filestat_get', (pointer) => [3, pointer]],
      ['fd_prestat_get', (pointer) => [3, pointer]],
      ['fd_read', (pointer) => [0, 0, 1, pointer]],
      ['fd_write', (pointer) => [1, 0, 1, pointer]],
      ['fd_readdir', (pointer) => [3, 0, 64, 0n, pointer]],
      ['path_open', (pointer) => [3, 0, 4_096, 9, 0, 0n, 0n, 0, pointer]],
      ['random_get', (pointer) => [pointer, 16]],
      ['poll_oneoff', (pointer) => [0, pointer, 1, 8]],
    ];
    fc.assert(
      fc.property(fc.constantFrom(...writers), outside, ([name, args], pointer) => {
        // At 0: one piece of 8 bytes at 64.
        const { calls, memory, state } = stageOf([
          new Uint8Array(Uint32Array.of(64, 8).buffer),
          Buffer.from('model.bin'),
        ]);
        const before = Buffer.from(memory.buffer.slice(0));
        assert.equal(calls[name]!(...args(pointer)), 21, name);
        // What the guest named itself as the place to read into may have been written: nothing else.
        const after = Buffer.from(memory.buffer);
        assert.ok(before.subarray(128).equals(after.subarray(128)), name);
        assert.equal(state.descriptors.length, 4);
      }),
    );
  });
});

describe('engine wasm, given damaged modules', () => {
  it('runs them or says what is wrong with them', async () => {
    const code = fixture('words-assemblyscript');
    const damage = fc.array(fc.tuple(fc.nat(code.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    const codes = new Set(
      ['CODE_INVALID', 'TRAPPED', 'EXITED', 'MEMORY', 'CPU', 'OUTPUT'].map((name) => `MESH_TASK_${name}`),
    );
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const damaged = Uint8Array.from(code);
        for (const [at, value] of changes) damaged[at] = value;
        const { result } = await program(damaged, { stdin: 'a b c', looks: 30 });
        if (result.type === 'failed') assert.ok(codes.has(result.code), `${result.code}: ${result.message}`);
      }),
      { numRuns: 400 },
    );
  });

  it('does so with bytes of any kind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, hasHeader) => {
        const code = hasHeader ? Buffer.concat([Buffer.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), bytes]) : bytes;
        const { result } = await program(code);
        assert.ok(result.type === 'failed' && result.code === 'MESH_TASK_CODE_INVALID');
        assert.ok(!(result instanceof MeshError));
      }),
      { numRuns: 500 },
    );
  });
});
