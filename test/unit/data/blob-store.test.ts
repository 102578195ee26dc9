import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type DataReference, limits } from '@foremesh/node-runtime/contract';
import { BlobStore, blobKey, describeBytes, describeFile, nameOf } from '@foremesh/node-runtime/data';
import { skip } from '../../support/skip.ts';
import { noise, rejectsWith, sameBytes, scratch } from './scratch.ts';

const chunk = limits.blobChunkBytes;
const whole = limits.wholeBlobBytes;

const placeOf = (directory: string, reference: DataReference, ...rest: string[]): string => {
  const key = blobKey(reference);
  return join(directory, reference.sizeBytes <= whole ? 'whole' : 'large', key.slice(0, 2), key, ...rest);
};

async function flip(path: string, offset: number): Promise<void> {
  const handle = await open(path, 'r+');
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, offset);
  buffer[0]! ^= 0x10;
  await handle.write(buffer, 0, 1, offset);
  await handle.close();
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
}

/** The manifest and some chunks, as an upload brings them. */
async function upload(store: BlobStore, bytes: Uint8Array, chunks: readonly number[]): Promise<DataReference> {
  const { reference, manifest } = describeBytes(bytes);
  if (store.begin(reference).manifest) await store.writeManifest(reference, 0, manifest!);
  for (const each of chunks) {
    await store.writeChunk(reference, each, bytes.subarray(each * chunk, (each + 1) * chunk));
  }
  return reference;
}

describe('blob names', () => {
  it('hashes the bytes up to wholeBlobBytes, the manifest above', async () => {
    const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
    const small = noise(whole);
    assert.equal(nameOf(small).blob, `sha256-${hash(small).toString('hex')}`);
    const large = noise(whole + 1);
    const manifest = Buffer.concat([0, 1, 2].map((i) => hash(large.subarray(i * chunk, (i + 1) * chunk))));
    assert.deepEqual(nameOf(large), { blob: `sha256-${hash(manifest).toString('hex')}`, sizeBytes: whole + 1 });
    sameBytes(describeBytes(large).manifest!, manifest);
  });
});

describe('blob store', () => {
  const directory = scratch();

  it('gives back what was put, also after it is opened again, and from a file', async () => {
    const store = await BlobStore.open(directory());
    const all = [0, 1, chunk, chunk + 1, whole, whole + 1, 5 * chunk].map((size) => noise(size, size));
    const references = [];
    for (const bytes of all) references.push(await store.put(bytes));
    const file = join(directory(), 'file');
    await writeFile(file, noise(700_000));
    references.push(await store.putFile(file));
    assert.deepEqual(references.at(-1), (await describeFile(file)).reference);
    all.push(noise(700_000));
    await store.close();
    const again = await BlobStore.open(directory());
    for (const [i, reference] of references.entries()) {
      assert.ok(again.has(reference));
      sameBytes(await again.read(reference), all[i]!);
      const middle = Math.floor(reference.sizeBytes / 2);
      sameBytes(await again.read(reference, middle, reference.sizeBytes), all[i]!.subarray(middle));
    }
    assert.deepEqual(again.stats().usedBytes, store.stats().usedBytes);
    await rejectsWith(again.read(nameOf(noise(5))), 'MESH_BLOB_MISSING');
    await rejectsWith(again.read(references[1]!, 0, 2), 'MESH_MESSAGE_MALFORMED');
  });

  it('knows a manifest from a whole blob of the same bytes', async () => {
    const store = await BlobStore.open(directory());
    const large = noise(3 * chunk);
    const reference = await store.put(large);
    const manifest = describeBytes(large).manifest!;
    const same = await store.put(manifest);
    assert.equal(same.blob, reference.blob);
    sameBytes(await store.read(same), manifest);
    sameBytes(await store.read(reference), large);
    await store.delete(same);
    sameBytes(await store.read(reference), large);
  });

  it('never serves a flipped bit of a whole blob, and takes it anew', async () => {
    const store = await BlobStore.open(directory());
    const reference = await store.put(noise(1_000));
    await flip(placeOf(directory(), reference), 500);
    await rejectsWith(store.read(reference, 0, 10), 'MESH_BLOB_CORRUPT');
    await rejectsWith(store.read(reference), 'MESH_BLOB_MISSING');
    assert.equal(store.stats().corrupt, 1);
    assert.equal(store.stats().usedBytes, 0);
    await store.put(noise(1_000));
    sameBytes(await store.read(reference), noise(1_000));
  });

  it('drops just the chunk with a flipped bit, and wants just it again', async () => {
    const store = await BlobStore.open(directory());
    const bytes = noise(5 * chunk + 7);
    const reference = await store.put(bytes);
    await flip(placeOf(directory(), reference, 'content'), 3 * chunk + 9);
    sameBytes(await store.read(reference, 0, 3 * chunk), bytes.subarray(0, 3 * chunk));
    const reads = [1, 2, 3].map(() => rejectsWith(store.readChunk(reference, 3), 'MESH_BLOB_CORRUPT'));
    await Promise.all(reads);
    await rejectsWith(store.readChunk(reference, 3), 'MESH_BLOB_MISSING');
    assert.equal(store.stats().corrupt, 1);
    sameBytes(await store.readChunk(reference, 4), bytes.subarray(4 * chunk, 5 * chunk));
    assert.deepEqual(store.begin(reference), { complete: false, manifest: false, missing: [3] });
    const again = await BlobStore.open(directory());
    assert.deepEqual(again.begin(reference), { complete: false, manifest: false, missing: [3] });
    await upload(again, bytes, [3]);
    await again.commit(reference);
    sameBytes(await again.read(reference), bytes);
  });

  it('wants a damaged manifest again and keeps the content', async () => {
    const bytes = noise(4 * chunk);
    const reference = await (await BlobStore.open(directory())).put(bytes);
    await flip(placeOf(directory(), reference, 'manifest'), 40);
    const store = await BlobStore.open(directory());
    await rejectsWith(store.read(reference), 'MESH_BLOB_MISSING');
    assert.deepEqual(store.begin(reference), { complete: false, manifest: true, missing: [] });
    await upload(store, bytes, []);
    await store.commit(reference);
    sameBytes(await store.read(reference), bytes);
  });

  it('keeps what is left of a truncated blob', async () => {
    const bytes = noise(4 * chunk);
    const reference = await (await BlobStore.open(directory())).put(bytes);
    const small = await (await BlobStore.open(directory())).put(noise(99));
    await truncate(placeOf(directory(), reference, 'content'), 2 * chunk + 5);
    await truncate(placeOf(directory(), small), 98);
    const store = await BlobStore.open(directory());
    assert.equal(store.has(small), false);
    assert.deepEqual(store.begin(reference).missing, [2, 3]);
    sameBytes(await store.readChunk(reference, 1), bytes.subarray(chunk, 2 * chunk));
    await upload(store, bytes, [2, 3]);
    await store.commit(reference);
    sameBytes(await store.read(reference), bytes);
  });

  it('resumes a partial upload after a crash, and distrusts its bitmap', async () => {
    const bytes = noise(6 * chunk);
    const reference = await upload(await BlobStore.open(directory()), bytes, [0, 2, 5]);
    // A power cut: the bitmap says more than the disk has, and one chunk is not what was written.
    await writeFile(placeOf(directory(), reference, 'bitmap'), Uint8Array.of(0b110101));
    await flip(placeOf(directory(), reference, 'partial'), 2 * chunk);
    await writeFile(join(directory(), 'temporary', 'left'), 'half');
    const store = await BlobStore.open(directory());
    assert.deepEqual(store.begin(reference).missing, [1, 3]);
    await rejectsWith(store.commit(reference), 'MESH_BLOB_MISSING');
    assert.deepEqual(store.begin(reference).missing, [1, 2, 3, 4]);
    await upload(store, bytes, [1, 2, 3, 4]);
    await store.commit(reference);
    sameBytes(await store.read(reference), bytes);
    assert.deepEqual((await filesIn(directory())).sort(), ['content', 'format', 'manifest']);
  });

  it('takes truncated partials and lost bitmaps for what they are', async () => {
    const bytes = noise(4 * chunk);
    const reference = await upload(await BlobStore.open(directory()), bytes, [0, 1, 2]);
    await truncate(placeOf(directory(), reference, 'partial'), chunk + 1);
    assert.deepEqual((await BlobStore.open(directory())).begin(reference).missing, [1, 2, 3]);
    await rm(placeOf(directory(), reference, 'bitmap'));
    const store = await BlobStore.open(directory());
    assert.deepEqual(store.begin(reference).missing, [0, 1, 2, 3]);
    await upload(store, bytes, [3, 2, 1, 0]);
    await store.commit(reference);
    sameBytes(await store.read(reference), bytes);
  });

  it('refuses wrong bytes, pieces and orders', async () => {
    const store = await BlobStore.open(directory());
    const bytes = noise(3 * chunk);
    const { reference, manifest } = describeBytes(bytes);
    await rejectsWith(store.writeChunk(reference, 0, bytes.subarray(0, chunk)), 'MESH_BLOB_MISSING');
    await rejectsWith(
      store.writeManifest(
        reference,
        0,
        manifest!.map((byte) => byte ^ 1),
      ),
      'MESH_BLOB_CORRUPT',
    );
    await rejectsWith(store.writeManifest(reference, 0, manifest!.subarray(1)), 'MESH_MESSAGE_MALFORMED');
    await store.writeManifest(reference, 0, manifest!);
    await rejectsWith(store.writeChunk(reference, 0, bytes.subarray(chunk, 2 * chunk)), 'MESH_BLOB_CORRUPT');
    await rejectsWith(store.writeChunk(reference, 3, bytes.subarray(0, chunk)), 'MESH_MESSAGE_MALFORMED');
    await rejectsWith(store.writeChunk(reference, 0.5, bytes.subarray(0, chunk)), 'MESH_MESSAGE_MALFORMED');
    await rejectsWith(store.commit(reference), 'MESH_BLOB_MISSING');
    const small = nameOf(noise(10));
    await rejectsWith(store.commit(small), 'MESH_BLOB_MISSING');
    await store.writeChunk(small, 0, noise(10, 2));
    await rejectsWith(store.commit(small), 'MESH_BLOB_CORRUPT');
    assert.equal(store.has(small), false);
  });

  it('evicts what was used least recently, and never passes its budget', async () => {
    const store = await BlobStore.open(directory(), { budgetBytes: 10_000 });
    const references = [];
    for (let i = 0; i < 10; i++) references.push(await store.put(noise(1_000, i)));
    await store.read(references[0]!);
    await store.put(noise(2_500, 99));
    assert.deepEqual(
      references.map((reference) => store.has(reference)),
      [true, false, false, false, true, true, true, true, true, true],
    );
    assert.ok(store.stats().usedBytes <= 10_000);
    await rejectsWith(store.put(noise(10_001)), 'MESH_LIMIT_EXCEEDED');
    await store.close();
    const again = await BlobStore.open(directory(), { budgetBytes: 3_000 });
    assert.ok(again.stats().usedBytes <= 3_000);
    await again.close();
    const sizes = await Promise.all(
      (await readdir(join(directory(), 'whole'), { recursive: true })).map(async (name) => {
        const found = await stat(join(directory(), 'whole', name));
        return found.isFile() ? found.size : 0;
      }),
    );
    assert.equal(
      sizes.reduce((a, b) => a + b, 0),
      again.stats().usedBytes,
    );
  });

  it('caches ranges of a blob that is larger than the whole budget', async () => {
    const store = await BlobStore.open(directory(), { budgetBytes: 3 * chunk });
    const bytes = noise(9 * chunk);
    const reference = await upload(store, bytes, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert.ok(store.stats().usedBytes <= 3 * chunk);
    sameBytes(await store.readChunk(reference, 8), bytes.subarray(8 * chunk));
    await rejectsWith(store.readChunk(reference, 0), 'MESH_BLOB_MISSING');
  });

  it('a holder takes nothing above its limit, names it, and has room again after a removal', async () => {
    const store = await BlobStore.open(directory(), { limitBytes: 5 * chunk });
    const reference = await store.put(noise(3 * chunk));
    const error = await rejectsWith(store.put(noise(3 * chunk, 2)), 'MESH_LIMIT_EXCEEDED');
    assert.match(error.message, /limitBytes of the blob store is 655360/);
    assert.ok(await store.delete(reference));
    assert.equal(await store.delete(reference), false);
    await store.put(noise(3 * chunk, 2));
    await store.close();
  });

  it('removes uploads that nobody goes on with', async () => {
    const store = await BlobStore.open(directory(), { limitBytes: 20 * chunk });
    const kept = await store.put(noise(3 * chunk));
    await upload(store, noise(4 * chunk), [0, 1]);
    assert.equal(store.removePartials(3_600_000), 0);
    assert.equal(store.removePartials(0), 1);
    assert.equal(store.stats().partials, 0);
    assert.ok(store.has(kept));
    await store.close();
    assert.deepEqual((await filesIn(directory())).sort(), ['content', 'format', 'manifest']);
  });

  it('a full disk is MESH_STORAGE_FAILED with a mend, and leaves nothing half-written', async () => {
    const store = await BlobStore.open(directory());
    const bytes = noise(4 * chunk);
    const reference = await upload(store, bytes, [0, 1]);
    const partial = placeOf(directory(), reference, 'partial');
    await rename(partial, `${partial}.kept`);
    await symlink('/dev/full', partial);
    const error = await rejectsWith(upload(store, bytes, [2]), 'MESH_STORAGE_FAILED');
    assert.match(error.toLine(), /no space left on the disk.*free space/);
    await rm(partial);
    await rename(`${partial}.kept`, partial);
    assert.deepEqual(store.begin(reference).missing, [2, 3]);
    await upload(store, bytes, [2, 3]);
    await store.commit(reference);
    sameBytes(await store.read(reference), bytes);
  });

  it('survives a disk that is really full', async function () {
    const mount = join(directory(), 'disk');
    await mkdir(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'none', mount], { stdio: 'ignore' });
    } catch {
      skip(this, 'mounting a small disk needs the right to mount');
    }
    try {
      const store = await BlobStore.open(mount);
      const kept = await store.put(noise(200_000, 1));
      const usedBytes = store.stats().usedBytes;
      const files = await filesIn(mount);
      for (let i = 0; i < 3; i++) {
        const error = await rejectsWith(
          (async () => {
            for (let each = 0; each < 4; each++) await store.put(noise(200_000, 10 * i + each));
          })(),
          'MESH_STORAGE_FAILED',
        );
        assert.match(error.mend!, /free space/);
        for (const { reference } of [...store.list()]) if (reference.blob !== kept.blob) await store.delete(reference);
        await store.close();
        assert.deepEqual(await filesIn(mount), files);
        assert.equal(store.stats().usedBytes, usedBytes);
      }
      await rejectsWith(store.put(noise(900_000)), 'MESH_STORAGE_FAILED');
      sameBytes(await store.read(kept), noise(200_000, 1));
      await store.close();
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });

  it('removes what is not a blob and opens beside it', async () => {
    const store = await BlobStore.open(directory());
    const reference = await store.put(noise(10));
    const stray = join(dirname(placeOf(directory(), reference)), 'stray');
    await writeFile(stray, 'x');
    const again = await BlobStore.open(directory());
    sameBytes(await again.read(reference), noise(10));
    await assert.rejects(readFile(stray));
  });
});
