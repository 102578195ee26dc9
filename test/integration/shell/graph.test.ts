import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as author from '@foremesh/author';
import { bytes, connectMesh, files, items, job, lines, type MeshClient, task } from '@foremesh/node-runtime/sdk';
import { Mesh } from './mesh.ts';
import { endAll } from './support.ts';

describe('jobs as calls, on a mesh', function () {
  this.timeout(60_000);
  let mesh: MeshClient;
  let directory: string;
  before(async () => {
    const started = await Mesh.start();
    directory = started.directory;
    mesh = await connectMesh(started.connection);
  });
  after(async () => {
    await mesh?.close();
    await endAll();
  });

  it('gives what the same calls on arrays give', async () => {
    const list = Array.from({ length: 500 }, (_, i) => ({ id: i, tags: [i % 7, i % 3] }));
    const tagged = items(list).map(({ id, tags }) => ({ id, tags, odd: id % 2 === 1 }), { chunks: 4 });
    const odd = tagged.map(({ id, odd }) => (odd ? [id] : []), { chunks: 3, name: 'odd' });
    const text = odd.reduce((all, ids) => `${all}${ids.join()}${ids.length > 0 ? ';' : ''}`, { initial: '' });
    const weights = tagged.chunks(
      (each) => Uint8Array.from([...each.input].map(({ tags: [a] }) => (a as number) * each.parameters.scale)),
      { chunks: 5, parameters: { scale: 2 } },
    );
    const weight = weights.reduce((sum, bytes) => sum + bytes.reduce((a, b) => a + b, 0), { initial: 0 });
    const last = task(
      ({ needs }) => ({ first: needs.tagged[0]!.id, weight: needs.weight, letters: needs.text.length }),
      {
        needs: { tagged, weight, text },
      },
    );
    const handle = mesh.submit(await mesh.prepare(job({ last, odd }), author));
    const values = await handle.values();
    const expected = list
      .filter(({ id }) => id % 2 === 1)
      .map(({ id }) => `${id};`)
      .join('');
    assert.deepEqual(values.last, {
      first: 0,
      weight: list.reduce((sum, { tags: [a] }) => sum + 2 * a!, 0),
      letters: expected.length,
    });
    assert.deepEqual(
      (values.odd as number[][]).flat(),
      list.filter(({ id }) => id % 2 === 1).map(({ id }) => id),
    );
  });

  it('reads lines, takes an empty input, and says how far it is', async () => {
    const words = lines({ text: 'pear\napple\nfig\n' }).map((line) => line.length, { chunks: 2 });
    const nothing = lines({ text: '' }).map((line) => line);
    const handle = mesh.submit(await mesh.prepare(job({ words, nothing }), author));
    const fractions: number[] = [];
    for await (const { fraction, stages } of handle.progress()) {
      fractions.push(fraction);
      assert.ok(stages.length <= 2);
    }
    assert.deepEqual(
      fractions,
      [...fractions].sort((a, b) => a - b),
    );
    assert.equal(fractions.at(-1), 1);
    assert.deepEqual(await handle.values(), { words: [4, 5, 3], nothing: [] });
    await assert.rejects(handle.value(), { code: 'MESH_USAGE' });
  });

  it('reads files, by name or from an archive, and blocks of bytes; of what another stage gives too', async () => {
    const path = join(directory, 'c.bin');
    await writeFile(path, Buffer.alloc(300_000, 7));
    const given = {
      'a/one.txt': 'first',
      'two.bin': Uint8Array.of(1, 2, 3),
      'three.bin': { file: path },
      'four.txt': new Blob(['fourth']),
      'empty.txt': '',
    };
    const sizes = files({ files: given }).map((file) => [file.name, file.bytes().reduce((sum, byte) => sum + byte, 0)]);
    const made = task(({ files }) => files({ 'x.txt': 'x', 'y.txt': 'yy' }));
    const again = made.files().map((file) => `${file.name} ${file.text()}`, { name: 'again' });
    const ends = bytes(
      Uint8Array.from({ length: 10 }, (_, at) => at),
      { size: 4 },
    ).map((block) => block.at(-1));
    const starts = made
      .bytes({ size: '1KiB' })
      .chunks(({ input }) => [input.start, input.sizeBytes], { name: 'starts' });
    const spec = await mesh.prepare(job({ sizes, again, ends, starts }), author);
    const values = await mesh.submit(spec).values();
    const sum = (text: string) => Buffer.from(text).reduce((all, byte) => all + byte, 0);
    assert.deepEqual(values.sizes, [
      ['a/one.txt', sum('first')],
      ['two.bin', 6],
      ['three.bin', 2_100_000],
      ['four.txt', sum('fourth')],
      ['empty.txt', 0],
    ]);
    assert.deepEqual(values.again, ['x.txt x', 'y.txt yy']);
    assert.deepEqual(values.ends, [3, 7, 9]);
    assert.deepEqual(values.starts, [
      [0, 1024],
      [1024, 1024],
    ]);
    assert.throws(() => bytes({ text: 'abc' }, { size: 1 }).map((block) => block.length, { chunks: 2 }), {
      code: 'MESH_USAGE',
    });
    const prepare = (names: Parameters<typeof files>[0]) =>
      mesh.prepare(job(files(names).map(({ name }) => name)), author);
    await assert.rejects(prepare({ files: { ['n'.repeat(300)]: 'x' } }), { code: 'MESH_INPUT_INVALID' });
    await assert.rejects(prepare({ files: { gone: { file: `${path}.gone` } } }), { code: 'MESH_STORAGE_FAILED' });
  });

  it('throws what a job failed with, or that it was cancelled', async () => {
    const empty = mesh.submit(
      await mesh.prepare(
        job(
          items([])
            .map((n) => n)
            .reduce((a) => a, { retries: 0 }),
        ),
        author,
      ),
    );
    await assert.rejects(empty.value(), { code: 'MESH_TASK_THREW', message: /empty list/ });
    const waiting = mesh.submit(await mesh.prepare(job(task(() => 1, { labels: ['nowhere'] })), author));
    await waiting.accepted();
    await waiting.cancel();
    await assert.rejects(waiting.value(), { code: 'MESH_JOB_CANCELLED' });
  });

  it('lists, reads and hands on the blobs that jobs have left', async () => {
    const large = task(() => 'x'.repeat(300_000), { name: 'large' });
    const small = task(() => 'y', { name: 'small' });
    const handle = mesh.submit(await mesh.prepare(job({ large, small }), author));
    await handle.result();
    const rows = await all(mesh.data.ls({ job: handle.job }));
    assert.deepEqual(
      rows.map(({ job: name, output, encoding, sizeBytes }) => ({ name, output, encoding, sizeBytes })),
      [{ name: handle.job, output: 'large', encoding: 'json', sizeBytes: 300_002 }],
    );
    assert.deepEqual(await all(mesh.data.ls()), rows);
    const [row] = rows;
    assert.equal(new TextDecoder().decode(await mesh.data.get(row!)), JSON.stringify('x'.repeat(300_000)));
    let streamed = 0;
    for await (const bytes of mesh.data.stream(row!)) streamed += bytes.length;
    assert.equal(streamed, 300_002);
    const again = mesh.submit(await mesh.prepare(job(task((it) => it.input.sizeBytes, { input: row! })), author));
    assert.equal(await again.value(), 300_002);
    await assert.rejects(all(mesh.data.ls({ job: 'nobody-has-it' })), { code: 'MESH_JOB_UNKNOWN' });
    const missing = { blob: `sha256-${'0'.repeat(64)}`, sizeBytes: 3 };
    await assert.rejects(mesh.data.get(missing), { code: 'MESH_BLOB_MISSING' });
  });
});

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of source) found.push(each);
  return found;
}
