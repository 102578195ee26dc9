import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluate, parseSamples, rank } from '../../../examples/grid-search/model.ts';
import { generate } from '../../../examples/images/generate.ts';
import { filesOf } from '../../../examples/images/task.ts';
import { addLine, emptySummary, reportOf } from '../../../examples/logs/analysis.ts';
import { logText } from '../../../examples/logs/generate.ts';
import { Fleet } from './fleet.ts';
import { ForemeshProcess } from './processes.ts';

const examples = fileURLToPath(new URL('../../../examples', import.meta.url));

/** Each on a mesh of three processes gives what one process computes by itself. */
describe('the examples on three nodes', function () {
  this.timeout(60_000);
  let fleet: Fleet;
  let folder: string;
  before(async () => {
    fleet = await Fleet.start();
    await Promise.all([fleet.startNode('bob'), fleet.startNode('cyd')]);
    folder = await mkdtemp(join(tmpdir(), 'foremesh-examples-'));
  });
  after(async () => {
    await fleet?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  const run = async (example: string, ...words: string[]): Promise<unknown> => {
    const command = ['run', join(examples, example), ...words];
    const connected = { FOREMESH_CONNECTION: fleet.connectionString };
    const { code, stdout, stderr } = await new ForemeshProcess(command, connected, ['env', '-C', folder]).exited;
    assert.equal(code, 0, stderr);
    return stdout === '' ? undefined : JSON.parse(stdout);
  };

  it('images', async () => {
    generate(join(folder, 'photos'), 6);
    await run('images', '--input', 'photos/*.pgm', '--out', 'results/');
    const expected: Record<string, Uint8Array> = {};
    for (const name of await readdir(join(folder, 'photos'))) {
      const bytes = await readFile(join(folder, 'photos', name));
      Object.assign(expected, filesOf(name, bytes, { thumbnail: 32, tile: 64 }));
    }
    assert.equal(Object.keys(expected).length, 6 * (2 + 3 * 2));
    for (const [name, bytes] of Object.entries(expected)) {
      assert.ok((await readFile(join(folder, 'results', name))).equals(bytes), name);
    }
    const thumbnail = await readFile(join(folder, 'results/thumbnails/image-0.pgm'), 'latin1');
    assert.match(thumbnail, /^P5\n32 24\n255\n/);
    const written = await readdir(join(folder, 'results'), { recursive: true });
    assert.equal(written.filter((name) => name.endsWith('.pgm')).length, Object.keys(expected).length);
  });

  it('grid search', async () => {
    const samples = parseSamples(await readFile(join(examples, 'grid-search/samples.csv'), 'utf8'));
    const rates = [0.05, 0.5, 2];
    const penalties = [0, 0.01, 0.1];
    const scores = rates.flatMap((rate) =>
      penalties.map((penalty) => evaluate(samples, { rate, penalty, epochs: 60, folds: 4 })),
    );
    const expected = rank(scores);
    const found = (await run('grid-search')) as typeof expected;
    // Every engine has its own Math.exp: the last digits may differ, the order may not.
    const rounded = ({ best, scores: all }: typeof expected) =>
      [best, ...all].map((each) => ({ ...each, loss: Number(each.loss.toPrecision(12)) }));
    assert.deepEqual(rounded(found), rounded(expected));
    assert.ok(found.best.accuracy > 0.7 && found.best.loss < Math.LN2, 'something was learned');
  });

  it('logs', async () => {
    const text = logText(3_000);
    await writeFile(join(folder, 'access.log'), text);
    const summary = emptySummary();
    for (const line of text.trimEnd().split('\n')) addLine(summary, line);
    const expected = reportOf(summary);
    assert.deepEqual(await run('logs', '--input', 'access.log'), expected);
    assert.ok(expected.unreadable > 0 && expected.refused.length > 0 && expected.lines === 3_000);
    assert.ok(expected.paths.some(({ path }) => path === '/__proto__'));
  });
});
