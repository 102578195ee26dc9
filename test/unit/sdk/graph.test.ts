import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as author from '@foremesh/author';
import { type DataReference, jobSpec, type MeshError } from '@foremesh/node-runtime/contract';
import { nameOf } from '@foremesh/node-runtime/data';
import { items, type JobGraph, job, lines, task } from '@foremesh/node-runtime/sdk';
import { specOfGraph, type TaskBundler } from '../../../node-runtime/sdk/graph/prepare.ts';
import { openAuthorKey } from '../../../node-runtime/sdk/host-browser.ts';

describe('sdk: jobs as calls', () => {
  const put: DataReference[] = [];
  const prepare = async (graph: JobGraph, bundler: TaskBundler | undefined = author) =>
    specOfGraph(graph, bundler, async (source) => {
      assert.ok(source instanceof Uint8Array);
      put.push(nameOf(source));
      return put.at(-1)!;
    });

  it('makes the graph of what was called, and of nothing else', async () => {
    const frames = items([1, 2, 3]);
    const edges = frames.map(function sobel(n) {
      return n * 2;
    });
    frames.map(() => 'nobody wants it');
    const sum = edges.reduce((a, b) => a + b, { name: 'sum' });
    const sharp = edges.map((n) => n > 3, { chunks: 2, retries: 1, labels: ['gpu'] });
    const both = task(({ needs }) => [needs.sum, needs.sharp.length], { needs: { sum, sharp }, parameters: { k: 1 } });
    const spec = jobSpec.parse(await prepare(job({ both }, { name: 'edges', priority: 7 })));
    assert.deepEqual(
      Object.entries(spec.stages).map(([name, { needs, split, merge, input }]) => ({
        name,
        needs,
        split,
        merged: merge !== undefined,
        input,
      })),
      [
        { name: 'sobel', needs: undefined, split: { by: 'items' }, merged: true, input: { inline: '[1,2,3]' } },
        { name: 'sum', needs: ['sobel'], split: undefined, merged: false, input: undefined },
        { name: 'map', needs: ['sobel'], split: { by: 'items', chunks: 2 }, merged: false, input: undefined },
        { name: 'both', needs: ['sum', 'map'], split: undefined, merged: false, input: undefined },
      ],
    );
    assert.equal(spec.name, 'edges');
    assert.equal(spec.priority, 7);
    assert.equal(spec.stages.map!.retries, 1);
    assert.deepEqual(spec.stages.both!.parameters, { k: 1 });
  });

  it('gives every output its name, also one that others need, and one that is wanted twice', async () => {
    const list = items([1]).map((n) => n, { name: 'list' });
    const total = list.reduce((a, b) => a + b);
    const { stages } = jobSpec.parse(await prepare(job({ list, total, same: total })));
    const needed = new Set(Object.values(stages).flatMap(({ needs = [] }) => needs));
    const outputs = Object.keys(stages).filter((name) => !needed.has(name));
    assert.deepEqual(outputs.sort(), ['list', 'same', 'total-2'].filter((name) => stages[name]).sort());
  });

  it('keeps large code and input out of the spec', async () => {
    put.length = 0;
    const { stages } = await prepare(job(items(Array.from({ length: 5_000 }, (_, i) => i)).map((n) => n)));
    assert.equal(put.length, 1);
    assert.deepEqual(Object.values(stages)[0]!.input, put[0]);
  });

  it('refuses a function that uses what is outside of it, and names that', async () => {
    const threshold = 3;
    let count = 0;
    const refused = (graph: JobGraph, message: RegExp) =>
      assert.rejects(prepare(graph), (error: MeshError) => {
        assert.equal(error.code, 'MESH_TASK_CODE_INVALID');
        assert.match(error.message, message);
        assert.match(error.mend!, /parameters/);
        return true;
      });
    const numbers = items([1, 2]);
    await refused(
      job(
        numbers.map(function big(n) {
          return n > threshold;
        }),
      ),
      /^the function uses `threshold` from outside of itself/,
    );
    await refused(
      job(
        numbers.map(() => {
          count += 1;
          return process.env.HOME ?? fetch('https://example.org');
        }),
      ),
      /`count`, `process`, `fetch`/,
    );
    assert.equal(count, 0);
  });

  it('lets a function for engine node use what Node.js has, and nothing else from outside', async () => {
    const there = items([1]).map((n) => n + require('node:os').cpus().length + process.pid, { engine: 'node' });
    const { stages } = await prepare(job(there));
    assert.equal(stages.map!.code.engine, 'node');
    const here = items([1]).map((n) => n + process.pid);
    await assert.rejects(prepare(job(here)), {
      code: 'MESH_TASK_CODE_INVALID',
      message: /uses `process` from outside/,
    });
    const outer = 3;
    const captures = items([1]).map((n) => n + outer, { engine: 'node' });
    await assert.rejects(prepare(job(captures)), { code: 'MESH_TASK_CODE_INVALID', message: /uses `outer`/ });
  });

  it('has no key in a page, and says where to sign', () => {
    assert.throws(openAuthorKey, { code: 'MESH_USAGE', mend: /mesh\.sign\(spec\)/ });
  });

  it('sees that a name is declared inside, or is only a word', async () => {
    const graph = job(
      items([{ a: 1 }]).map(({ a: threshold, ...rest }: { a: number; b?: number }, { parameters }) => {
        const count = 'process fetch'.length;
        class Local {
          process = 1;
        }
        const nested = (fetch: number) => [1].map((each) => each + fetch + count);
        // biome-ignore lint/complexity/useLiteralKeys: a word in brackets is no name
        return [threshold, rest['b'], parameters.window, nested(2), new Local().process, new Map([[1, Math.PI]]).size];
      }),
    );
    await assert.doesNotReject(prepare(graph));
  });

  it('refuses what has no source of its own', async () => {
    const numbers = items([1, 2]);
    for (const code of [Math.abs, ((n: number) => n).bind(null)]) {
      await assert.rejects(prepare(job(numbers.map(code))), {
        code: 'MESH_TASK_CODE_INVALID',
        message: /built in or bound/,
      });
    }
    class Thing {}
    await assert.rejects(prepare(job(numbers.map(Thing as unknown as (n: number) => number))), {
      message: /is a class/,
    });
    const { doubled } = { doubled(n: number) { return n * 2; } }; // biome-ignore format: a method
    await assert.doesNotReject(prepare(job(numbers.map(doubled))));
  });

  it('takes modules by path or URL, and says what is wrong with one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'foremesh-graph-'));
    try {
      await writeFile(join(folder, 'twice.ts'), 'export const twice = (n: number): number => n * 2;\n');
      await writeFile(join(folder, 'main.ts'), "import { twice } from './twice.ts';\nexport default twice;\n");
      const [byPath, byUrl] = await Promise.all([
        prepare(job(items([1]).map(join(folder, 'main.ts')))),
        prepare(job(items([1]).map(pathToFileURL(join(folder, 'main.ts'))))),
      ]);
      assert.deepEqual(byPath, byUrl);
      assert.match(JSON.stringify(byPath), /n \* 2/);
      const named = await prepare(job(items([1]).map(`${join(folder, 'twice.ts')}#twice`)));
      assert.deepEqual(Object.keys(named.stages), ['twice']);
      const wrong = (code: string | URL, message: RegExp) =>
        assert.rejects(prepare(job(items([1]).map(code))), { code: 'MESH_TASK_CODE_INVALID', message });
      await wrong(join(folder, 'nowhere.ts'), /there is no file/);
      await wrong(join(folder, 'twice.ts'), /default/);
      await wrong(new URL('https://example.org/a.js'), /no file of this machine/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('says what is wrong with a call', async () => {
    const one = items([1]).map((n) => n, { name: 'a' });
    const other = items([2]).map((n) => n, { name: 'a' });
    const usage = { code: 'MESH_USAGE' };
    assert.throws(() => job({}), usage);
    assert.throws(() => job(items([1]) as never), usage);
    assert.throws(() => job(task(() => 1, { needs: { one, other } })), usage);
    assert.throws(() => task(() => 1, { needs: { n: 5 as never } }), usage);
    assert.throws(() => task(() => 1, { needs: { one }, input: { text: '' } }), usage);
    await assert.rejects(prepare(job(lines('a path?' as never).map((n) => n))), { code: 'MESH_INPUT_INVALID' });
    await assert.rejects(prepare(job(items([undefined]).map((n) => n))), { code: 'MESH_INPUT_INVALID' });
    await assert.rejects(
      specOfGraph(job(items([1]).map('./a.ts')), undefined, () => assert.fail()),
      { code: 'MESH_NOT_INSTALLED', mend: /@foremesh\/author/ },
    );
  });
});
