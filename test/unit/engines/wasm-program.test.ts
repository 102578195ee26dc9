import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits } from '../../../node-runtime/contract/index.ts';
import { isJson } from '../../../node-runtime/engines/wasm/json-check.ts';
import { skip, skipWithout } from '../../support/skip.ts';
import { fixture, type ProgramOptions, program } from './program.ts';

const hostile = fixture('hostile');
const words = fixture('words');
const bytes = (text: string) => Buffer.from(text);

async function outputOf(code: Uint8Array, options: ProgramOptions = {}): Promise<string> {
  return (await program(code, options)).value;
}

/** What the program `hostile` does when it is told so. */
function told(what: string, options: ProgramOptions = {}): Promise<string> {
  return outputOf(hostile, { ...options, arguments: [what, ...(options.arguments ?? [])] });
}

describe('engine wasm: programs', () => {
  it('runs what clang, rustc and AssemblyScript make', async () => {
    const stdin = 'one two\nthree one\n';
    assert.equal(await outputOf(words, { stdin }), '4\n');
    assert.equal(await outputOf(fixture('words-rust'), { stdin }), 'one 2\nthree 1\ntwo 1\n');
    assert.equal(await outputOf(fixture('words-assemblyscript'), { stdin }), '4\n');
  });

  it('runs what the clang of this machine makes', async function () {
    const packages = 'clang lld wasi-libc libclang-rt-dev-wasm32';
    for (const command of ['clang', 'wasm-ld']) skipWithout(this, command, packages);
    if (!existsSync('/usr/include/wasm32-wasi'))
      skip(this, `there is no wasi-libc here (Debian: apt-get install ${packages})`);
    const folder = mkdtempSync(join(tmpdir(), 'foremesh-clang-'));
    try {
      const source = join(import.meta.dirname, '../../fixtures/wasm/words.c');
      const made = join(folder, 'words.wasm');
      execFileSync('clang', ['--target=wasm32-wasi', '-Os', '-o', made, source]);
      assert.equal(await outputOf(readFileSync(made), { stdin: 'a b' }), '2\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('computes what the processor itself computes', async () => {
    // `clang -O2 crunch.c && ./a.out 20`
    assert.equal(await outputOf(fixture('crunch'), { arguments: ['20'] }), '3003072406\n');
  });

  it('gives records on standard input: lines as they are, items as an array', async () => {
    const of = (by: 'lines' | 'items', text: string) =>
      told('cat', { input: { kind: 'records', by, bytes: bytes(text) } });
    assert.equal(await of('lines', 'a\r\nb'), 'a\r\nb');
    assert.equal(await of('items', '1, {"a":2}'), '[1, {"a":2}]');
    assert.equal(await told('cat'), '');
  });

  it('gives parts, and the one output that is needed, one behind the other', async () => {
    const part = (encoding: 'text' | 'json', text: string) => ({ encoding, bytes: bytes(text) });
    const parts = [part('text', 'a\n'), part('json', '[1]'), part('json', '2')];
    assert.equal(await told('cat', { input: { kind: 'parts', parts } }), 'a\n[1]\n2\n');
    assert.equal(await told('cat', { input: { kind: 'outputs', needs: { s: parts } } }), 'a\n[1]\n2\n');
    assert.equal(await told('cat', { input: { kind: 'outputs', needs: { s: parts[0]! } } }), 'a\n');
    const read = (path: string) => outputOf(words, { arguments: ['--file', path], input: { kind: 'parts', parts } });
    assert.equal(await read('/parts/0'), '1\n');
    assert.match(await read('/parts/3'), /^MESH_TASK_EXITED: it ended with exit code 1: \/parts\/3: No such file/);
    const needs = { a: parts[0]!, b: parts };
    const input = { kind: 'outputs', needs } as const;
    assert.equal(await told('cat', { input }), '');
    assert.equal(await outputOf(words, { input, arguments: ['--file', '/needs/b/1'] }), '1\n');
    assert.equal(await outputOf(words, { input, arguments: ['--file', '/needs/a'] }), '1\n');
  });

  it('gives files, environment and parameters', async () => {
    const files = { 'model.bin': 'one two three', 'a/b': '' };
    assert.equal(await outputOf(words, { files, arguments: ['--file', 'model.bin'] }), '3\n');
    assert.equal(
      await outputOf(fixture('words-rust'), { files, arguments: ['/model.bin'] }),
      'one 1\nthree 1\ntwo 1\n',
    );
    assert.equal(await told('env', { environment: { COLOUR: 'red' } }), 'red account/job/task');
    const { logs, progress } = await program(words, { parameters: { a: [1] }, stdin: '' });
    assert.deepEqual([logs, progress], [['parameters {"a":[1]}'], [1]]);
  });

  it('lets nothing be written, and nothing be reached outside', async () => {
    assert.equal(
      await told('tries', { files: { 'model.bin': 'x', 'd/e': '' } }),
      [
        'read outside: Capabilities insufficient',
        'read what is not there: No such file or directory',
        'create: Read-only file system',
        'overwrite: Read-only file system',
        'remove: Read-only file system',
        'folder: Read-only file system',
        'rename: Read-only file system',
        'found d',
        'found model.bin',
        '',
      ].join('\n'),
    );
  });

  it('draws the same random bytes for the same task, others for another', async () => {
    const [a, again, other] = await Promise.all(
      ['x/y/a', 'x/y/a', 'x/y/b'].map((identity) => told('random', { identity })),
    );
    assert.match(a!, /^[0-9a-f]{32}$/);
    assert.equal(again, a);
    assert.notEqual(other, a);
  });

  it('has a wall clock, and one that begins with the task', async () => {
    const [monotonic, wall] = (await told('clock')).split(' ').map(Number);
    assert.equal(monotonic, 0);
    assert.ok(Math.abs(wall! - Date.now() / 1000) < 10);
  });

  it('says what standard output is: text unless said', async () => {
    const encodingOf = async (what: string, options: ProgramOptions) => {
      const { result, value } = await program(hostile, { ...options, arguments: [what] });
      return result.type === 'done' ? result.encoding : value;
    };
    assert.equal(await encodingOf('cat', { stdin: '[1' }), 'text');
    assert.equal(await encodingOf('cat', { stdin: ' [1]\n', output: 'json' }), 'json');
    assert.match(
      await encodingOf('cat', { stdin: '[1', output: 'json' }),
      /^MESH_TASK_OUTPUT: .*not one JSON document/,
    );
    assert.equal(await encodingOf('bytes', { output: 'bytes' }), 'bytes');
    assert.match(await encodingOf('bytes', {}), /^MESH_TASK_OUTPUT: .*no UTF-8; say `output: bytes`/);
  });

  it('takes lines of standard error as log, and progress from them', async () => {
    const { logs, progress } = await program(hostile, { arguments: ['errors'] });
    assert.deepEqual(progress, [0.25, 0.5]);
    assert.deepEqual(logs.slice(0, 2), ['line 0', 'line 1']);
    assert.equal(logs.length, 5_001);
    assert.equal(logs.at(-1)!.length, limits.logLineCharacters * 4);
  });

  const ends: [what: string, expected: RegExp, options?: ProgramOptions][] = [
    ['trap', /^MESH_TASK_TRAPPED: it trapped: unreachable in main$/],
    ['wild', /^MESH_TASK_TRAPPED: it trapped: memory access out of bounds in main$/],
    ['deep', /^MESH_TASK_TRAPPED: it trapped: (memory access out of bounds in deep|its calls are nested too deeply)/],
    ['abort', /^MESH_TASK_TRAPPED: it trapped: unreachable in abort/],
    [
      'memory',
      /^MESH_TASK_MEMORY: it was refused more than its 8388608 bytes .* exit code 1: no more memory$/,
      {
        limits: { memoryBytes: 8 * 1024 ** 2 },
      },
    ],
    [
      'output',
      /^MESH_TASK_OUTPUT: the output may have 100000 bytes and has more$/,
      { limits: { outputBytes: 100_000 } },
    ],
    ['loop', /^MESH_TASK_CPU: /, { looks: 20 }],
    ['copy', /^MESH_TASK_CPU: /, { looks: 20, limits: { memoryBytes: 64 * 1024 ** 2 } }],
    ['sleep', /^MESH_TASK_CPU: /, { looks: 3 }],
  ];
  for (const [what, expected, options] of ends) {
    it(`ends a program that does this: ${what}`, async () => {
      assert.match(await told(what, options), expected);
    });
  }

  it('tells the exit code and the last lines of standard error', async () => {
    assert.equal(
      await outputOf(words, { arguments: ['--fail'], stdin: '' }),
      'MESH_TASK_EXITED: it ended with exit code 3: asked to fail',
    );
  });

  it('sleeps, and goes on', async () => {
    assert.equal(await told('sleep', { arguments: ['1'] }), '');
  });

  it('knows JSON when it sees it, at any size, without building it', () => {
    const good = ['1', ' {"a" : [true,null , -1.5e3,"\\u00e4\\n"] } ', '[]', '{}', '""', '[[[]]]'];
    const bad = ['', '[1,]', '{"a":1,}', '01', '1 2', '"\n"', '"\\x"', '{a:1}', '[', 'nul', '-', '1.', '"\\u12g4"'];
    for (const text of good) assert.equal(isJson(bytes(text), 8), true, text);
    for (const text of bad) assert.equal(isJson(bytes(text), 8), false, text);
    assert.equal(isJson(bytes('['.repeat(9) + ']'.repeat(9)), 8), false);
  });
});
