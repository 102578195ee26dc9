import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tarHeader } from '@foremesh/partitioner';
import { archiveName, archiveStream, extractFile, listArchive } from '../../../node-runtime/cli/archive.ts';
import { filesOfPattern } from '../../../node-runtime/cli/glob.ts';
import { findJobFile, loadJobFile } from '../../../node-runtime/cli/job-file.ts';
import { parseParameter } from '../../../node-runtime/cli/parameters.ts';
import { reportsOf } from '../../../node-runtime/cli/report.ts';

describe('cli: what a job reads', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foremesh-inputs-'));
    await mkdir(join(folder, 'photos/old'), { recursive: true });
    for (const name of ['b.jpg', 'a.jpg', 'ä.jpg', 'c.png', '.hidden.jpg', 'a[1].jpg', 'old/d.jpg']) {
      await writeFile(join(folder, 'photos', name), name);
    }
    await symlink('a.jpg', join(folder, 'photos/link.jpg'));
    await writeFile(join(folder, 'map.ts'), '');
  });
  after(() => rm(folder, { recursive: true }));

  describe('patterns', () => {
    const cases: [pattern: string, found: string[]][] = [
      ['photos/*.jpg', ['a.jpg', 'a[1].jpg', 'b.jpg', 'link.jpg', 'ä.jpg']],
      ['./photos/?.jpg', ['a.jpg', 'b.jpg', 'ä.jpg']],
      ['photos/[ab].{jpg,png}', ['a.jpg', 'b.jpg']],
      ['photos/[!a-z].jpg', ['ä.jpg']],
      ['**/d.jpg', ['old/d.jpg']],
      ['photos/**/{c,d}.*', ['c.png', 'old/d.jpg']],
      ['p*/old/*', ['old/d.jpg']],
      ['photos/.*.jpg', ['.hidden.jpg']],
      ['photos/*.gif', []],
      ['nowhere/*', []],
      ['map.ts/*', []],
    ];
    for (const [pattern, found] of cases) {
      it(`${pattern} names ${found.join(' ') || 'nothing'}`, async () => {
        assert.deepEqual(
          await filesOfPattern(pattern, folder),
          found.map((name) => `photos/${name}`),
        );
      });
    }
    it('may be absolute', async () => {
      assert.deepEqual(await filesOfPattern(`${folder}/photos/c.*`, '/nowhere'), [join(folder, 'photos/c.png')]);
    });
  });

  describe('archives', () => {
    const all = async (files: Parameters<typeof archiveStream>[0]) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of archiveStream(files)) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    const paths = (...names: string[]) => names.map((shown) => ({ path: join(folder, shown), shown }));

    it('hold their files under plain names, the same bytes each time, and tar reads them', async () => {
      const { files, sizeBytes } = await listArchive(paths('photos/b.jpg', './photos/../photos/c.png'), 'job.yaml:1:1');
      const make = () => all(files);
      const bytes = await make();
      assert.equal(bytes.length, sizeBytes);
      assert.deepEqual(bytes, await make());
      const names = execFileSync('tar', ['-tf', '-'], { input: bytes, encoding: 'utf8' });
      assert.equal(names, 'photos/b.jpg\nphotos/photos/c.png\n');
      assert.equal(archiveName('../../a/./b'), 'a/b');
      assert.equal(archiveName('/etc/hosts'), 'etc/hosts');
    });

    it('refuse two files of one name, a folder, and a file that changes', async () => {
      await assert.rejects(
        listArchive(paths('photos/a.jpg', '../photos/a.jpg'), 'x'),
        /would both be called photos\/a.jpg/,
      );
      await assert.rejects(listArchive(paths('photos'), 'x'), /photos is not a file/);
      const path = join(folder, 'grows');
      await writeFile(path, 'short');
      const { files } = await listArchive([{ path, shown: 'grows' }], 'x');
      await writeFile(path, 'longer than before');
      await assert.rejects(all(files), /grows changed while it was read/);
    });

    it('are written under a folder, and never outside of it', async () => {
      const out = join(folder, 'out');
      const path = join(folder, 'given.tar');
      const file = (name: string) => [tarHeader(name, 1), Buffer.from('x'.padEnd(512, '\0'))];
      await writeFile(path, Buffer.concat([...file('deep/er/a'), ...file('b')]));
      assert.deepEqual(await extractFile(path, out), ['deep/er/a', 'b']);
      assert.equal(await readFile(join(out, 'deep/er/a'), 'utf8'), 'x');
      for (const name of ['../evil', '/evil', 'a/../../evil', 'a\\..\\evil', './evil']) {
        await writeFile(path, Buffer.concat([...file('first'), ...file(name)]));
        await assert.rejects(extractFile(path, out), { code: 'MESH_TASK_OUTPUT' });
      }
      assert.deepEqual((await readdir(out)).sort(), ['b', 'deep']);
      assert.ok(!(await readdir(folder)).includes('evil'));
    });
  });

  const load = async (text: string, options: { inputs?: string[]; parameters?: string[] } = {}) => {
    await writeFile(join(folder, 'job.yaml'), text);
    return loadJobFile('job.yaml', { directory: folder, ...options });
  };
  const wrong = async (...args: Parameters<typeof load>): Promise<string[]> => {
    try {
      await load(...args);
    } catch (error) {
      return reportsOf(error).map(({ where, message }) => (where === undefined ? message : `${where} ${message}`));
    }
    throw new Error('nothing was wrong');
  };

  it('takes a pattern, a list, or an archive where a stage is split by files', async () => {
    const job = (input: string) =>
      `stages:\n  s: { code: map.ts, split: files, input: ${input.startsWith('photos') ? `"${input}"` : input} }\n`;
    const archived = async (text: string, inputs?: string[]) =>
      (await load(text, inputs === undefined ? {} : { inputs })).files.at(-1)!.archived?.map(({ name }) => name);
    assert.deepEqual(await archived(job('photos/[ab].jpg')), ['photos/a.jpg', 'photos/b.jpg']);
    assert.deepEqual(await archived(job('["photos/?.png", map.ts]')), ['photos/c.png', 'map.ts']);
    assert.deepEqual(await archived(job('map.ts'), ['photos/b.jpg', 's=photos/old/*']), [
      'photos/b.jpg',
      'photos/old/d.jpg',
    ]);
    await writeFile(join(folder, 'all.tar'), '');
    assert.equal(await archived(job('all.tar')), undefined);
    assert.equal(await archived(job('map.ts'), ['all.tar']), undefined);
    assert.deepEqual(await wrong(job('photos/*.gif')), ['job.yaml:2:43 no file is called photos/*.gif']);
    assert.deepEqual(await wrong(job('[none.txt]')), ['job.yaml:2:43 there is no file none.txt']);
    assert.match((await wrong(job('[1]')))[0]!, /^job.yaml:2:43 must be the path of a file/);
    const lines = 'stages: { s: { code: map.ts, split: lines, input: "*.csv" } }';
    assert.deepEqual(await wrong(lines), ['job.yaml:1:51 there is no file *.csv; a pattern goes with `split: files`']);
  });

  it('says what is wrong with blocks and a matrix', async () => {
    const split = (text: string) => wrong(`stages: { s: { code: map.ts, input: map.ts, split: ${text} } }`);
    assert.match((await split('bytes'))[0]!, /^job.yaml:1:52 must be "lines", "items", "files" or a mapping/);
    assert.match((await split('{ by: bytes }'))[0]!, /"size" is missing/);
    assert.match((await split('{ by: bytes, size: 1 MeB }'))[0]!, /^job.yaml:1:71 .*or a number with B, kB/);
    assert.match((await split('{ by: bytes, size: 65MiB }'))[0]!, /recordBytes/);
    assert.match((await split('{ by: bytes, size: 0 }'))[0]!, /recordBytes/);
    const matrix = (text: string) => wrong(`stages: { s: { code: map.ts, matrix: ${text} } }`);
    assert.match((await matrix('{ x: [] }'))[0]!, /^job.yaml:1:43 must have at least 1 entries/);
    assert.match((await matrix('{ x: 5 }'))[0]!, /^job.yaml:1:43 must be a list, found 5/);
    assert.match((await matrix('{}'))[0]!, /needs at least one parameter/);
    assert.match(
      (await matrix(`{ x: [${'1,'.repeat(100)}], y: [${'1,'.repeat(50)}] }`))[0]!,
      /tasksPerStage is 4096, and this has 5000/,
    );
    assert.match((await matrix('{ x: [1] }, parameters: 5'))[0]!, /with a `matrix` the parameters are a mapping/);
    assert.match((await matrix('{ x: [1] }, input: map.ts, split: lines'))[0]!, /`split` or `matrix`, not both/);
  });

  it('reads the values of parameters', () => {
    const cases: [string, unknown[]][] = [
      ['x=1..4', [1, 2, 3, 4]],
      ['x=0..1..0.25', [0, 0.25, 0.5, 0.75, 1]],
      ['x=0.1..0.3..0.1', [0.1, 0.2, 0.3]],
      ['x=-1..1', [-1, 0, 1]],
      ['x=a,b', ['a', 'b']],
      ['x=1,2..3,true,null', [1, 2, 3, true, null]],
      ['x=[1,2]', [[1, 2]]],
      ['x={"a":1,"b":2}', [{ a: 1, b: 2 }]],
      ['x="a,b"', ['"a', 'b"']],
      ['x=', ['']],
      ['x=a=b', ['a=b']],
    ];
    for (const [text, values] of cases) assert.deepEqual(parseParameter(text).values, values, text);
    assert.deepEqual(parseParameter('s.x=1').stage, 's');
    for (const text of ['x', '=1', 'a b=1', 'x=3..1', 'x=1..2..0', 'x=1..5000']) {
      assert.throws(() => parseParameter(text), { code: 'MESH_USAGE' }, text);
    }
  });

  it('puts one value among the parameters of a stage and several in its matrix', async () => {
    const text =
      'stages: { s: { code: map.ts, parameters: { x: 1, y: 2 }, matrix: { z: [1, 2] } }, t: { code: map.ts, needs: [s] } }';
    const { spec } = await load(text, { parameters: ['x=3,4', 'z=5', 't.w=1'] });
    assert.deepEqual(spec.stages.s!.parameters, { y: 2, z: 5 });
    assert.deepEqual(spec.stages.s!.matrix, { x: [3, 4] });
    assert.deepEqual(spec.stages.t!.parameters, { w: 1 });
    const refused = async (parameters: string[], job = text) => (await wrong(job, { parameters }))[0]!;
    assert.match(await refused(['s.x=1', 'x=2']), /--param x is given twice for stage "s"/);
    assert.match(await refused(['tt.x=1']), /there is no stage "tt"; did you mean "t"\?/);
    assert.match(await refused(['x=1..100', 'z=1..100']), /tasksPerStage is 4096, and there would be 10000/);
    const lines = 'stages: { s: { code: map.ts, input: map.ts, split: lines } }';
    assert.match(await refused(['x=1,2'], lines), /has a `split`/);
    assert.match(await refused(['x=1'], 'stages: { s: { code: map.ts, parameters: [1] } }'), /is no mapping/);
  });

  it('finds the job file of a folder', async () => {
    await mkdir(join(folder, 'jobs/empty'), { recursive: true });
    await writeFile(join(folder, 'jobs/job.yml'), '');
    assert.equal(await findJobFile('jobs', folder), 'jobs/job.yml');
    assert.equal(await findJobFile('jobs/job.yml', folder), 'jobs/job.yml');
    await assert.rejects(findJobFile('jobs/empty', folder), { message: 'there is no job file in jobs/empty' });
  });
});
