import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { fast, ScriptedMesh } from './scripted-mesh.ts';

describe('sdk: blobs and outputs', () => {
  let mesh: ScriptedMesh;
  let client: MeshClient;
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foremesh-sdk-'));
    mesh = await ScriptedMesh.start();
    await mesh.startHolder();
    client = await connectMesh(mesh.connection, { timing: fast });
  });
  after(async () => {
    await client.close();
    await mesh.close();
    await rm(folder, { recursive: true });
  });

  it('brings a file to the mesh, with progress, and reads it back as what it is', async () => {
    const file = join(folder, 'numbers.json');
    const numbers = Array.from({ length: 100_000 }, (_, i) => i);
    await writeFile(file, JSON.stringify(numbers));
    const doneBytes: number[] = [];
    const blob = await client.put(file, { onProgress: (progress) => doneBytes.push(progress.doneBytes) });
    assert.equal(doneBytes.at(-1), blob.sizeBytes);
    assert.deepEqual(
      doneBytes,
      [...doneBytes].sort((a, b) => a - b),
    );
    assert.deepEqual(await client.read({ encoding: 'json', ...blob }), numbers);
    assert.equal(((await client.read({ encoding: 'text', ...blob })) as string).slice(0, 5), '[0,1,');
    assert.equal(((await client.read({ encoding: 'bytes', ...blob })) as Uint8Array).length, blob.sizeBytes);
    await client.download({ encoding: 'json', ...blob }, join(folder, 'copy.json'));
    assert.deepEqual(await readFile(join(folder, 'copy.json')), await readFile(file));
  });

  it('says that an output is not the JSON it is said to be', async () => {
    const blob = await client.put(Buffer.from('nonsense'));
    await assert.rejects(client.read({ encoding: 'json', ...blob }), { code: 'MESH_TASK_OUTPUT' });
  });

  it('reads and writes what stands in the result', async () => {
    assert.deepEqual(await client.read({ encoding: 'json', value: [1] }), [1]);
    assert.equal(await client.read({ encoding: 'text', value: 'a' }), 'a');
    assert.deepEqual(await client.read({ encoding: 'bytes', base64: 'AAE=' }), Uint8Array.of(0, 1));
    const file = join(folder, 'out');
    await client.download({ encoding: 'json', value: { a: 'é' } }, file);
    assert.equal(await readFile(file, 'utf8'), '{"a":"é"}');
    await client.download({ encoding: 'bytes', base64: 'AAE=' }, file);
    assert.deepEqual(await readFile(file), Buffer.from([0, 1]));
    const nowhere = join(folder, 'no', 'where');
    await assert.rejects(client.download({ encoding: 'text', value: '' }, nowhere), { code: 'MESH_STORAGE_FAILED' });
  });
});
