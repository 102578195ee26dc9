import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadJobFile } from '../../../node-runtime/cli/job-file.ts';
import { bundleFiles, fillSpec } from '../../../node-runtime/cli/job-payload.ts';
import { reportsOf } from '../../../node-runtime/cli/report.ts';
import { fixture } from '../engines/program.ts';

describe('cli: job files', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foremesh-job-'));
    for (const name of ['map.ts', 'merge.ts', 'flights.json', 'a=b.txt']) await writeFile(join(folder, name), '[1, 2]');
    await mkdir(join(folder, 'nightly'));
  });
  after(() => rm(folder, { recursive: true }));

  const load = async (text: string, inputs: string[] = [], name = 'job.yaml') => {
    await writeFile(join(folder, name), text);
    return loadJobFile(name, { directory: folder, inputs });
  };
  /** What is wrong with a file, as it is shown. */
  const wrong = async (text: string, inputs: string[] = [], name = 'job.yaml'): Promise<string[]> => {
    try {
      await load(text, inputs, name);
    } catch (error) {
      return reportsOf(error).map(({ where, message }) => (where === undefined ? message : `${where} ${message}`));
    }
    throw new Error('nothing was wrong');
  };

  it('takes paths for code, input and merge, and leaves words and blobs', async () => {
    const blob = `sha256-${'a'.repeat(64)}`;
    const { spec, files, name } = await load(`
$schema: https://example.org/job.json
stages:
  map: { code: map.ts, input: flights.json, split: items, merge: ./merge.ts, estimate: 30s }
  words: { code: { inline: 'export default 1' }, input: { blob: ${blob}, sizeBytes: 7 }, split: lines, merge: concat }
`);
    assert.deepEqual(
      files.map(({ stage, kind, shown, where }) => [stage, kind, shown, where]),
      [
        ['map', 'code', 'map.ts', 'job.yaml:4:16'],
        ['map', 'input', 'flights.json', 'job.yaml:4:31'],
        ['map', 'merge', './merge.ts', 'job.yaml:4:66'],
      ],
    );
    assert.equal(spec.stages.map!.estimate, 30);
    assert.deepEqual(spec.stages.words!.input, { blob, sizeBytes: 7 });
    assert.equal(spec.stages.words!.merge, 'concat');
    assert.match(name, /^foremesh-job-/); // the folder: every job file is called job.yaml
  });

  it('knows a program by its name, looks at it as a node will, and takes its files', async () => {
    const text = (memoryMiB: number) => `
stages:
  count:
    code: words.wasm
    arguments: [--file, model.bin]
    files: { model.bin: flights.json, "a/b": { inline: x } }
    limits: { memoryMiB: ${memoryMiB} }
`;
    await writeFile(join(folder, 'words.wasm'), fixture('words'));
    const job = await load(text(4));
    const bundled = await bundleFiles(job, undefined);
    const put: Uint8Array[] = [];
    const spec = await fillSpec(
      job,
      bundled,
      async (source) => {
        put.push(source as Uint8Array);
        return { blob: `sha256-${'b'.repeat(64)}`, sizeBytes: 9 };
      },
      () => undefined,
    );
    const { code, files, ...count } = spec.stages.count!;
    assert.deepEqual(code, { blob: `sha256-${'b'.repeat(64)}`, sizeBytes: 9, engine: 'wasm' });
    assert.deepEqual(put, [fixture('words')]);
    assert.deepEqual(files, { 'model.bin': { inline: '[1, 2]' }, 'a/b': { inline: 'x' } });
    assert.deepEqual(count.arguments, ['--file', 'model.bin']);

    await writeFile(join(folder, 'words.wasm'), 'no module');
    await assert.rejects(bundleFiles(await load(text(4)), undefined), {
      code: 'MESH_TASK_CODE_INVALID',
      where: 'job.yaml:4:11',
    });
  });

  it('says what is for programs alone, and which files cannot be', async () => {
    const stage = (rest: string) => wrong(`stages: { a: { code: map.ts, ${rest} } }`);
    assert.match((await stage('arguments: [x]'))[0]!, /`arguments` is for programs \(engine wasm\)/);
    const program = (rest: string) => wrong(`stages: { a: { code: words.wasm, ${rest} } }`);
    assert.match((await program('files: { ../x: map.ts }'))[0]!, /must be a path from the root/);
    assert.match((await program('files: { a: map.ts, a/b: map.ts }'))[0]!, /"a" is a file and a folder/);
    assert.match((await program('files: { a: none.bin }'))[0]!, /there is no file none\.bin/);
    assert.match((await program('environment: { FOREMESH_TASK: x }'))[0]!, /FOREMESH_, which is ours/);
    assert.match((await program('output: html'))[0]!, /must be "json" or "text" or "bytes", found "html"/);
  });

  it('says line, column and what was probably meant for an unknown key', async () => {
    assert.deepEqual(await wrong('stages:\n  map:\n    code: map.ts\n    retrys: 3\n'), [
      'job.yaml:4:5 unknown key "retrys"; did you mean "retries"?',
    ]);
    assert.deepEqual(await wrong('stage:\n  map: { code: map.ts }\n'), [
      'job.yaml:1:1 "stages" is missing',
      'job.yaml:1:1 unknown key "stage"; did you mean "stages"?',
    ]);
    assert.deepEqual(await wrong('stages: { map: { code: { inlin: x } } }\n'), [
      'job.yaml:1:26 unknown key "inlin"; did you mean "inline"?',
    ]);
    assert.deepEqual(await wrong('stages: { map: { code: map.ts, limits: { cpuSecond: 3 } } }\n'), [
      'job.yaml:1:42 unknown key "cpuSecond"; did you mean "cpuSeconds"?',
    ]);
    assert.match(
      (await wrong('stages: { map: { code: map.ts, zebra: 3 } }\n'))[0]!,
      /there may be input, needs, split/,
    );
  });

  it('says where a value is that is wrong, what was expected and what is there, all at once', async () => {
    const text = `stages:
  map:
    code: 5
    split: line
    merge: concta
    priority: high
    labels: fast
    estimate: soon
    retries: 11
    limits:
      memoryMiB: 1
  a b: { code: map.ts }
  empty:
  next: {}
`;
    assert.deepEqual(await wrong(text), [
      'job.yaml:3:11 must be the path of a file (or a mapping with `inline`, with `blob` and `sizeBytes`, or with `file` and `engine: node`), found 5',
      'job.yaml:4:12 must be "lines", "items", "files" or a mapping with `by` and `chunks`, or with `by: bytes` and `size`, found "line"; did you mean "lines"?',
      'job.yaml:5:12 there is no file concta; did you mean the word "concat"?',
      'job.yaml:6:15 must be a number, found "high"',
      'job.yaml:7:13 must be a list, found "fast"',
      'job.yaml:8:15 must be seconds, or a number with ms, s, min, h or d ("20s")',
      'job.yaml:9:14 must be at most 10, found 11',
      'job.yaml:11:18 must be at least 4, found 1',
      'job.yaml:12:3 the name "a b" must be 1 to 64 of A-Z a-z 0-9 _ -',
      'job.yaml:13:3 must be a mapping, found nothing',
      'job.yaml:14:3 "code" is missing',
    ]);
  });

  it("passes on the contract's own rules, with their place", async () => {
    const text = `stages:
  a: { code: map.ts, needs: [b] }
  b: { code: map.ts, needs: [a, c] }
`;
    assert.deepEqual(await wrong(text), [
      'job.yaml:2:3 the stages need each other in a circle: a -> b -> a',
      'job.yaml:3:33 there is no stage "c"',
    ]);
  });

  it('says where YAML and JSON break off', async () => {
    assert.match((await wrong('stages:\n  map: { code: map.ts\n'))[0]!, /^job\.yaml:3:1 Flow map .* end with a }/);
    assert.match((await wrong('stages: 1\nstages: 2\n'))[0]!, /^job\.yaml:2:1 "stages" is there twice/);
    assert.deepEqual(await wrong('stages:\n  map: { code: map.ts }\n  "map": { code: map.ts }\n'), [
      'job.yaml:3:3 "map" is there twice',
    ]);
    assert.match(
      (await wrong('{"stages": {"map": {"code": map}}}', [], 'job.json'))[0]!,
      /^job\.json:1:29 Unresolved plain scalar/,
    );
    assert.match((await wrong('- 1\n'))[0]!, /^job\.yaml:1:1 a job file is a mapping/);
    assert.match((await wrong(''))[0]!, /^job\.yaml:1:1 a job file is a mapping/);
  });

  it('says which file is missing, and where it was named', async () => {
    assert.deepEqual(await wrong('stages:\n  map:\n    code: mop.ts\n    input: nightly\n'), [
      'job.yaml:3:11 there is no file mop.ts',
      'job.yaml:4:12 nightly is not a file',
    ]);
    assert.deepEqual(await wrongFile('none.yaml'), ['there is no job file none.yaml']);
    assert.deepEqual(await wrongFile('nightly'), ['nightly is a folder, not a job file']);
  });

  it('takes inputs from the command line, from the folder of the command', async () => {
    const one = 'stages: { map: { code: map.ts, split: lines }, sum: { code: map.ts, needs: [map] } }';
    for (const input of ['map=flights.json', 'flights.json', `map=${join(folder, 'flights.json')}`]) {
      const { files } = await load(one, [input]);
      assert.equal(files.find(({ kind }) => kind === 'input')!.path, join(folder, 'flights.json'));
    }
    assert.deepEqual(await wrong(one, ['mop=flights.json']), [
      '--input mop=flights.json: there is no stage "mop"; did you mean "map"?',
    ]);
    assert.deepEqual(await wrong(one, ['map=flights.json', 'flights.json']), [
      '--input is given twice for stage "map"',
    ]);
    assert.deepEqual(await wrong(one, ['map=none']), ['--input map there is no file none']);
    const two = 'stages: { a: { code: map.ts }, b: { code: map.ts } }';
    assert.deepEqual(await wrong(two, ['flights.json']), ['--input flights.json: which stage? 2 stages could read it']);
    assert.equal((await load(two, ['a=a=b.txt'])).files.find(({ kind }) => kind === 'input')!.shown, 'a=b.txt');
  });

  async function wrongFile(name: string): Promise<string[]> {
    try {
      await loadJobFile(name, { directory: folder });
    } catch (error) {
      return reportsOf(error).map(({ message }) => message);
    }
    throw new Error('nothing was wrong');
  }
});
