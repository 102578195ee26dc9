import assert from 'node:assert/strict';
import { limits, MeshError } from '../../../node-runtime/contract/index.ts';
import { checkProgram } from '../../../node-runtime/engines/wasm/check-program.ts';
import { prepareModule } from '../../../node-runtime/engines/wasm/prepare-module.ts';
import { readModule } from '../../../node-runtime/engines/wasm/read-module.ts';
import { buildModule, type ModuleParts } from './module-builder.ts';
import { fixture, type ProgramOptions, program } from './program.ts';

const mebibyte = 1024 ** 2;
const nothing = { type: 0, body: [] };
/** The smallest program: it ends at once. */
const smallest: ModuleParts = {
  types: [':', 'iiii:i', 'i:', ':I'],
  functions: [nothing],
  memory: [1],
  exports: { _start: [0, 0], memory: [2, 0] },
};
const wasi = (name: string, type: number) => ({ module: 'wasi_snapshot_preview1', name, type });

async function refusal(code: Uint8Array, memoryBytes = 64 * mebibyte): Promise<string> {
  try {
    await checkProgram(code, memoryBytes, 'job.yaml:3:5');
    return 'taken';
  } catch (error) {
    assert.ok(error instanceof MeshError, String(error));
    return error.toLine();
  }
}

/** Runs a body as `_start`. */
async function run(body: readonly number[], options: ProgramOptions = {}, parts: ModuleParts = {}): Promise<string> {
  const code = buildModule({ ...smallest, functions: [{ type: 0, locals: 4, body }], ...parts });
  return (await program(code, options)).value;
}

describe('engine wasm: modules', () => {
  it('takes the smallest program', async () => {
    assert.equal(await refusal(buildModule(smallest)), 'taken');
    assert.equal((await program(buildModule(smallest))).value, '');
  });

  const exports = { _start: [0, 0], memory: [2, 0] } as const;
  const changed: readonly [what: string, parts: ModuleParts, expected: RegExp][] = [
    [
      'a library',
      { exports: { _initialize: [0, 0], memory: [2, 0] } },
      /it is a reactor .*build a program with a main/,
    ],
    ['no _start', { exports: { memory: [2, 0] } }, /it exports no _start .*build a WASI command/],
    [
      'another _start',
      { exports: { ...exports, _start: [0, 1] }, functions: [nothing, { type: 3, body: [0x42, 1] }] },
      /_start is no function without/,
    ],
    ['a _start that is a memory', { exports: { _start: [2, 0], memory: [2, 0] } }, /_start is no function without/],
    ['no memory', { exports: { _start: [0, 0] } }, /exports no memory .*--export-memory/],
    ['a start function', { start: 0 }, /has a start function/],
    [
      'a foreign import',
      { imports: [{ module: 'env', name: 'emscripten_x', type: 0 }], exports: { ...exports, _start: [0, 1] } },
      /imports env\.emscripten_x, which is not here.*link everything/,
    ],
    [
      'an older WASI',
      { imports: [{ module: 'wasi_unstable', name: 'fd_write', type: 1 }], exports: { ...exports, _start: [0, 1] } },
      /wasi_unstable.*newer WASI SDK/,
    ],
    [
      'an import that every object has',
      { imports: [wasi('constructor', 0)], exports: { ...exports, _start: [0, 1] } },
      /constructor, which is not here/,
    ],
    [
      'an import with other types',
      { imports: [wasi('fd_write', 2)], exports: { ...exports, _start: [0, 1] } },
      /fd_write is called as \(i:\) and is \(iiii:i\)/,
    ],
    ['a reserved export', { exports: { ...exports, 'foremesh:units': [0, 0] } }, /a name that is reserved/],
    ['many elements', { tables: [[limits.wasmTableElements + 1]] }, /wasmTableElements 1000000/],
    ['many tables', { tables: new Array(17).fill([1]) }, /its 17 tables/],
    [
      'too much memory at the start',
      { memory: [2_000] },
      /^job\.yaml:3:5: the module begins with 131072000 bytes .*\(MESH_TASK_MEMORY\); limits: \{ memoryMiB: 125 \}/,
    ],
    ['shared memory', { memory: [1, 2, 3] }, /64-bit memory|shares its memory|ends too early|longer/],
    ['threads', { functions: [{ type: 0, body: [0xfe, 0x03, 0x00] }] }, /threads/],
    ['exceptions', { functions: [{ type: 0, body: [0x06, 0x40, 0x0b] }] }, /exception handling/],
    ['relaxed SIMD', { functions: [{ type: 0, body: [0xfd, 0x80, 0x02] }] }, /relaxed SIMD/],
    [
      'code that is not valid',
      { functions: [{ type: 0, body: [0x6a] }] },
      /^job\.yaml:3:5: it does not compile: .*\(MESH_TASK_CODE_INVALID\)/,
    ],
  ];
  for (const [what, parts, expected] of changed) {
    it(`says what is wrong, and what mends it: ${what}`, async () => {
      const code = buildModule({ ...smallest, ...parts });
      const said = await refusal(code);
      assert.match(said, expected);
      // A node says the same.
      const { result } = await program(code, { limits: { memoryBytes: 64 * mebibyte } });
      assert.ok(result.type === 'failed' && said.includes(result.code), said);
    });
  }

  it('says so when it is no module at all, or a component', async () => {
    assert.match(await refusal(Buffer.from('export default () => 1')), /does not begin as a WebAssembly module does/);
    assert.match(await refusal(new Uint8Array(0)), /does not begin/);
    assert.match(await refusal(Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0)), /it is a component, not a module/);
    assert.match(await refusal(new Uint8Array(limits.codeBytes + 1)), /MESH_LIMIT_EXCEEDED/);
  });

  const grow = (pages: number[]) => [0x41, ...pages, 0x40, 0x00];
  it('grows the memory as far as the limit, whatever the module says of itself', async () => {
    for (const memory of [[1], [1, 65_536], [1, 3]]) {
      const most = memory[1] === 3 ? 3 : 16;
      // Grows by one page until that is refused; ends with the pages there are as exit code.
      const body = [0x03, 0x40, ...grow([1]), 0x41, 0, 0x4e, 0x0d, 0, 0x0b, 0x3f, 0x00, 0x10, 0];
      const parts = { memory, imports: [wasi('proc_exit', 2)], exports: { ...exports, _start: [0, 1] as const } };
      const said = await run(body, { limits: { memoryBytes: mebibyte } }, parts);
      assert.match(said, new RegExp(`^MESH_TASK_MEMORY: .* it ended with exit code ${most}$`));
    }
  });

  it('ends loops, calls of itself and bulk instructions that never end', async () => {
    const forever: Readonly<Record<string, number[]>> = {
      loop: [0x03, 0x40, 0x0c, 0, 0x0b],
      'loop in a loop': [0x03, 0x40, 0x03, 0x40, 0x0c, 1, 0x0b, 0x0b],
      'loop of a branch table': [0x03, 0x40, 0x41, 0, 0x0e, 0, 0, 0x0b],
      'tail call': [0x12, 0],
      fill: [0x03, 0x40, 0x41, 0, 0x41, 1, 0x41, 0xff, 0xff, 3, 0xfc, 11, 0, 0x0c, 0, 0x0b],
    };
    for (const [what, body] of Object.entries(forever)) {
      assert.match(await run(body, { looks: 5 }), /^MESH_TASK_CPU/, what);
    }
  });

  it('leaves what a program computes as it was', async () => {
    // The sum of 0 to 99,999 by a loop with a parameter on the stack, as exit code modulo 256.
    const loop = [
      0x41, 0, 0x03, 4, 0x20, 0, 0x6a, 0x20, 0, 0x41, 1, 0x6a, 0x22, 0, 0x41, 0xa0, 0x8d, 6, 0x49, 0x0d, 0, 0x0b,
    ];
    const body = [...loop, 0x41, 0xff, 1, 0x71, 0x10, 0];
    const said = await run(
      body,
      {},
      {
        types: [...smallest.types!, 'i:i'],
        imports: [wasi('proc_exit', 2)],
        exports: { ...exports, _start: [0, 1] },
      },
    );
    assert.equal(said, `MESH_TASK_EXITED: it ended with exit code ${((99_999 * 100_000) / 2) % 256}`);
  });

  it('is not fooled by a module that is cut short at any place', () => {
    const code = fixture('words-assemblyscript');
    // Behind its code, whole sections may be missing.
    const wholes = new Set(readModule(code).sections.map((section) => section.end));
    for (let end = 0; end < code.length; end += 1) {
      if (wholes.has(end)) continue;
      assert.throws(() => prepareModule(code.subarray(0, end), mebibyte, mebibyte), MeshError, `${end} bytes`);
    }
  });
});
