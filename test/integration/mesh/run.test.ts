import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCommand, skipWithout } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { Fleet } from './fleet.ts';
import { ForemeshProcess } from './processes.ts';

const answerMs = 20_000;

describe('foremesh run: the first hour', function () {
  this.timeout(60_000);
  let fleet: Fleet;
  let folder: string;
  before(async () => {
    fleet = await Fleet.start();
    await fleet.startNode('bob');
    folder = await mkdtemp(join(tmpdir(), 'foremesh-run-'));
  });
  after(async () => {
    await fleet?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  const start = (where: string, ...words: string[]) =>
    new ForemeshProcess(words, { FOREMESH_CONNECTION: fleet.connectionString }, ['env', '-C', join(folder, where)]);
  /** Runs a command in a folder to its end. */
  const foremesh = (where: string, ...words: string[]) => start(where, ...words).exited;
  const job = async (name: string, files: Readonly<Record<string, string | Uint8Array>>) => {
    for (const [file, content] of Object.entries(files)) {
      await mkdir(join(folder, name, file, '..'), { recursive: true });
      await writeFile(join(folder, name, file), content);
    }
  };

  it('goes from nothing to a result, past a slip in the job file', async () => {
    const made = await foremesh('.', 'new', 'blur');
    assert.equal(
      made.stdout,
      'made blur: task.ts, merge.ts, job.yaml, input.txt, README.md, job.schema.json\nnext:\n  cd blur\n  foremesh run\n',
    );
    const path = join(folder, 'blur/job.yaml');
    const text = await readFile(path, 'utf8');
    assert.match(text, /^# yaml-language-server: \$schema=\.\/job\.schema\.json\n/);
    await writeFile(path, `${text}    retrys: 3\n`);
    const wrong = await foremesh('blur', 'run', '.');
    assert.deepEqual(wrong, {
      code: 2,
      signal: null,
      stdout: '',
      stderr: 'job.yaml:9:5: unknown key "retrys"; did you mean "retries"? (MESH_SPEC_INVALID)\n',
    });
    await writeFile(path, text);
    const { code, stdout, stderr } = await foremesh('blur', 'run');
    assert.equal(code, 0, stderr);
    const words = JSON.parse(stdout) as Record<string, number>;
    assert.deepEqual(Object.entries(words).slice(0, 4), [
      ['the', 4],
      ['dog', 2],
      ['fox', 2],
      ['brown', 1],
    ]);
    assert.match(stderr, /^blur-\w+: .*words .*\ndone in .* on /m);
    // Nothing is overwritten, and no folder is made elsewhere.
    assert.equal((await foremesh('.', 'new', 'blur')).code, 2);
    assert.equal((await foremesh('.', 'new', '../blur2')).code, 2);
    assert.deepEqual(await readdir(folder), ['blur']);
  });

  // `bench -- toolchains` builds all of them: Rust and AssemblyScript take much room, or a network. Here a program in C stands in for theirs.
  for (const [lang, sources] of [
    ['c', ['task.c', 'Makefile']],
    ['rust', ['task.rs', 'Makefile']],
    ['assemblyscript', ['assembly/task.ts', 'package.json']],
  ] as const) {
    it(`runs what a template in ${lang} becomes`, async () => {
      const name = `count-${lang}`;
      const made = await foremesh('.', 'new', name, '--lang', lang);
      assert.equal(made.code, 0, made.stderr);
      for (const source of sources) assert.match(await readFile(join(folder, name, source), 'utf8'), /task/);
      assert.match(made.stdout, /foremesh run\n$/);
      if (lang === 'c' && hasCommand('clang')) execFileSync('make', ['-s', '-C', join(folder, name)]);
      else {
        const built = new URL('../../fixtures/wasm/words.wasm', import.meta.url);
        await writeFile(join(folder, name, 'task.wasm'), await readFile(built));
      }
      const { code, stdout, stderr } = await foremesh(name, 'run');
      assert.equal(code, 0, stderr);
      assert.equal(stdout, '16\n');
    });
  }

  it('makes a task of every file, and files of what the tasks give', async () => {
    await job('upper', {
      'task.js': `export default async (task) => {
        const given = {};
        for await (const file of task.input) given[file.name.replace('.txt', '.up')] = file.text().toUpperCase();
        return task.files(given);
      }`,
      'job.yaml': 'stages:\n  up: { code: task.js, split: files, input: "texts/*.txt", merge: concat }\n',
      'texts/a.txt': 'first',
      'texts/b.txt': 'x'.repeat(700),
      'texts/ä.txt': 'grüße',
      'texts/c.md': 'not this one',
    });
    const { code, stderr } = await foremesh('upper', 'run', '--id', 'upper', '--out', 'out/');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /wrote 3 files of up to out\/\n$/);
    assert.deepEqual(await readdir(join(folder, 'upper/out')), ['texts']);
    const read = (name: string) => readFile(join(folder, 'upper/out/texts', name), 'utf8');
    assert.equal(await read('a.up'), 'FIRST');
    assert.equal(await read('b.up'), 'X'.repeat(700));
    assert.equal(await read('ä.up'), 'GRÜSSE');
    // In groups, and by the command line, from the folder of the command.
    const { stdout } = await foremesh('.', 'job', 'upper', '--json');
    assert.equal((JSON.parse(stdout) as { tasks: unknown[] }).tasks.length, 4);
    await job('upper', {
      'job.yaml': 'stages:\n  up: { code: task.js, split: { by: files, chunks: 2 }, input: x, merge: concat }\n',
    });
    const grouped = await foremesh(
      '.',
      'run',
      'upper',
      '--id',
      'grouped',
      '-i',
      'upper/texts/?.txt',
      '-i',
      'upper/texts/c.md',
      '-o',
      'upper/out',
    );
    assert.equal(grouped.code, 0, grouped.stderr);
    assert.match(grouped.stderr, /wrote 4 files of up/);
    assert.equal(await readFile(join(folder, 'upper/out/upper/texts/c.md'), 'utf8'), 'NOT THIS ONE');
  });

  it('writes no file outside of the folder that was named', async () => {
    await job('evil', {
      'task.js': `export default (task) => task.files({ 'good.txt': '1', '../../evil.txt': '2' })`,
      'job.yaml': 'stages:\n  e: { code: task.js }\n',
    });
    const { code, stderr } = await foremesh('evil', 'run', '--out', 'out/');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /the output has a file "\.\.\/\.\.\/evil\.txt", which would lie elsewhere \(MESH_TASK_OUTPUT\)/,
    );
    assert.deepEqual(await readdir(join(folder, 'evil/out')), ['e.tar'], 'what was given is not lost');
  });

  it('cuts an input into blocks, and gives every byte to one task', async () => {
    const bytes = Buffer.alloc(2_500_000, (await readFile(import.meta.filename)).subarray(0, 997));
    await job('blocks', {
      'task.js': `export default async (task) => {
        let sum = 0;
        for await (const block of task.input) for (let i = 0; i < block.length; i += 1) sum += block[i];
        return [task.input.start, task.input.sizeBytes, sum];
      }`,
      'job.yaml': 'stages:\n  s: { code: task.js, split: { by: bytes, size: 1MiB }, input: data.bin }\n',
      'data.bin': bytes,
    });
    const { code, stdout, stderr } = await foremesh('blocks', 'run');
    assert.equal(code, 0, stderr);
    const sumOf = (part: Uint8Array) => part.reduce((sum, byte) => sum + byte, 0);
    const MiB = 1024 ** 2;
    assert.deepEqual(
      JSON.parse(stdout),
      [0, MiB, 2 * MiB].map((at) => [at, Math.min(MiB, bytes.length - at), sumOf(bytes.subarray(at, at + MiB))]),
    );
    await job('blocks', {
      'job.yaml': 'stages:\n  s: { code: task.js, split: { by: bytes, size: 100 }, input: data.bin }\n',
    });
    const refused = await foremesh('blocks', 'run');
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /tasksPerStage is 4096; in blocks of 100 bytes stage s would have 25000.*\n.*at least 611/,
    );
  });

  it('runs a task for each combination of parameters, all with the same input', async () => {
    await job('grid', {
      'task.js':
        'export default ({ parameters: { x, mode, base }, input }) => [mode, x + base + Number(input.text())].join("")',
      'job.yaml':
        'stages:\n  g:\n    code: task.js\n    input: { inline: "100" }\n    parameters: { base: 10, x: 0 }\n    matrix: { mode: [a, b], x: [1, 2] }\n  all:\n    code: { inline: "export default ({ needs }) => needs.g.join()" }\n    needs: [g]\n',
    });
    const given = await foremesh('grid', 'run');
    assert.equal(given.stdout, '"a111,a112,b111,b112"\n', given.stderr);
    const { stdout, stderr } = await foremesh('grid', 'run', '-p', 'x=1..3', '-p', 'mode=c', '--param', 'base=0');
    assert.equal(stdout, '"c101,c102,c103"\n', stderr);
  });

  it('detaches on ^C, and the job goes on; shows its tasks, its log and its end', async () => {
    await job('slow', {
      'task.js': `export default async (task) => {
        task.log('task began \\u001b[31m');
        const endMs = Date.now() + 1200;
        for (let n = 0; Date.now() < endMs; n += 1) if (n % 20000 === 0) { task.log('turn'); await null; }
        return 'slept';
      }`,
      'job.yaml': 'stages:\n  s: { code: task.js, matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] } }\n',
    });
    const listening = start('.', 'logs', 'slow', '--follow');
    const unknown = await listening.exited;
    assert.equal(unknown.code, 2, 'a job that is not there yet');
    const running = start('slow', 'run', '--id', 'slow');
    await until('a task runs', () => /\d running|slow: running/.test(running.stderr), answerMs);
    const logs = start('.', 'logs', 'slow', '--follow');
    await until(
      'the log has lines of two tasks',
      () => new Set(logs.stdout.match(/^s-\d \w+ \|/gm)).size >= 2,
      answerMs,
    );
    const table = await foremesh('.', 'job', 'slow');
    assert.match(table.stdout, /^TASK +STATE +NODE +ATTEMPTS +PROGRESS +TIME( +WAITS)?$/m);
    assert.match(table.stdout, /^s-\d +running +(ada|bob) +1 +0 % +[\d.]+ m?s/m);
    running.child.kill('SIGINT');
    assert.equal((await running.exited).code, 130);
    assert.match(running.stderr, /the job goes on: foremesh job slow --follow {4}to stop it: foremesh cancel slow\n$/);
    assert.equal((await logs.exited).code, 0);
    assert.match(logs.stderr, /slow is done/);
    assert.match(logs.stdout, /^s-\d (ada|bob) \| task began \ufffd\[31m$/m);
    // When all is over too, of every task, or of one.
    const stored = await foremesh('.', 'logs', 'slow');
    assert.equal(stored.code, 0, stored.stderr);
    const began = stored.stdout.match(/^s-\d (ada|bob) \| task began \ufffd\[31m$/gm);
    assert.equal(new Set(began?.map((line) => line.slice(0, 3))).size, 10, stored.stdout);
    const one = await foremesh('.', 'logs', 'slow', '--task', 's-3', '--json');
    const { task, failed, lines } = JSON.parse(one.stdout) as { task: string; failed: boolean; lines: string[] };
    assert.deepEqual([task, failed, lines[0]], ['s-3', false, 'task began \u001b[31m']);
    const { code, stdout } = await foremesh('.', 'job', 'slow', '--follow', '--out', 'slow.json');
    assert.deepEqual([code, stdout], [0, '']);
    assert.deepEqual(JSON.parse(await readFile(join(folder, 'slow.json'), 'utf8')), Array(10).fill('slept'));
  });

  it('ends at once on a second ^C, whatever it is doing, and the job goes on', async () => {
    await job('long', {
      'task.js': `export default async () => {
        const endMs = Date.now() + 3000;
        for (let n = 0; Date.now() < endMs; n += 1) if (n % 20000 === 0) await null;
        return 'awake';
      }`,
      'job.yaml': 'stages:\n  s: { code: task.js }\n',
    });
    const running = start('long', 'run', '--id', 'long');
    await until('the task runs', () => /1 running|long: running/.test(running.stderr), answerMs);
    // A broker that says nothing: the command would wait for it to say goodbye.
    fleet.broker.child.kill('SIGSTOP');
    try {
      running.child.kill('SIGINT');
      await until('it detaches', () => running.stderr.includes('the job goes on'), answerMs);
      running.child.kill('SIGINT');
      assert.equal((await running.exited).signal, 'SIGINT');
    } finally {
      fleet.broker.child.kill('SIGCONT');
    }
    const { code, stdout, stderr } = await foremesh('.', 'job', 'long', '--follow');
    assert.deepEqual([code, stdout], [0, '"awake"\n'], stderr);
  });

  it('cuts the input of a program by bytes, and gives it its files', async function () {
    skipWithout(this, 'clang', 'clang lld wasi-libc libclang-rt-dev-wasm32');
    await job('cut', {
      'task.c': `#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long bytes_of(FILE *file) {
  long bytes = 0;
  while (getc(file) != EOF) bytes++;
  return bytes;
}

int main(void) {
  const char *start = getenv("FOREMESH_START");
  DIR *folder = opendir("/input");
  if (folder == NULL) {
    printf("%s+%ld ", start, bytes_of(stdin));
    return 0;
  }
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    char path[300];
    snprintf(path, sizeof path, "/input/%s", entry->d_name);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 1;
    printf("%s:%ld ", entry->d_name, bytes_of(file));
    fclose(file);
  }
  return 0;
}
`,
      'bytes.yaml':
        'stages:\n  cut: { code: task.wasm, input: given/a.txt, split: { by: bytes, size: 4 }, merge: concat }\n',
      'files.yaml': 'stages:\n  cut: { code: task.wasm, input: "*.txt", split: files, merge: concat }\n',
      'given/a.txt': '0123456789',
      'b.txt': 'four',
      'c.txt': 'nothing',
    });
    execFileSync('clang', ['--target=wasm32-wasi', '-O2', '-o', 'task.wasm', 'task.c'], { cwd: join(folder, 'cut') });
    const blocks = await foremesh('cut', 'run', 'bytes.yaml');
    assert.equal(blocks.stdout.trim(), '0+4 4+4 8+2', blocks.stderr);
    const files = await foremesh('cut', 'run', 'files.yaml', '--id', 'cut-files');
    assert.equal(files.stdout.trim(), 'b.txt:4 c.txt:7', files.stderr);
    const { stdout } = await foremesh('.', 'job', 'cut-files', '--json');
    assert.equal((JSON.parse(stdout) as { tasks: unknown[] }).tasks.length, 3, 'one for each file, and the merge');
  });

  it('shows what a task logged that failed while nobody looked', async () => {
    await job('broken', {
      'task.js': "export default (task) => { task.log('the last word'); throw new Error('no') }",
      'job.yaml': 'stages:\n  b: { code: task.js, retries: 0 }\n',
    });
    assert.equal((await foremesh('broken', 'run', '--id', 'broken')).code, 1);
    const { code, stdout, stderr } = await foremesh('.', 'logs', 'broken', '--follow');
    assert.match(stdout, /^b-0 (ada|bob) \(failed\) \| the last word\n$/);
    assert.deepEqual([code, stderr], [0, 'broken is failed\n']);
    const none = await foremesh('.', 'logs', 'broken', '-t', 'b-1');
    assert.deepEqual([none.code, /no task "b-1" \(MESH_TASK_UNKNOWN\)/.test(none.stderr)], [2, true], none.stderr);
  });

  it('puts, gets and lists data', async () => {
    const text = await readFile(import.meta.filename);
    await writeFile(join(folder, 'text'), text);
    const { stdout } = await foremesh('.', 'data', 'put', 'text');
    const [blob, size] = stdout.trim().split(' ') as [string, string];
    assert.equal(size, String(text.length));
    assert.equal((await foremesh('.', 'data', 'get', blob, size)).stdout, text.toString());
    assert.equal((await foremesh('.', 'data', 'get', blob, size, '--out', 'copy')).code, 0);
    assert.ok(text.equals(await readFile(join(folder, 'copy'))));
    const missing = await foremesh(
      '.',
      'data',
      'get',
      blob.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')),
      size,
    );
    assert.deepEqual([missing.code, missing.stdout], [1, '']);
    assert.match(missing.stderr, /MESH_BLOB_MISSING/);
    assert.equal((await foremesh('.', 'data', 'get', 'x', size)).code, 2);
    assert.match((await foremesh('.', 'data', 'ls', 'blur-none')).stderr, /MESH_JOB_UNKNOWN/);
    assert.match((await foremesh('.', 'data', 'ls')).stderr, /small ones stand in the result itself/);
  });

  it('takes the same files for the same job', async () => {
    const again = () => foremesh('.', 'submit', 'upper', '--id', 'again', '-i', 'upper/texts/*', '--detach');
    assert.deepEqual([(await again()).stdout, (await again()).stdout], ['again\n', 'again\n']);
  });
});
