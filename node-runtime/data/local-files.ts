import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hexOf, joinedBytes, limits, MeshError } from '../contract/index.ts';
import { bytesSource, type UploadSource } from './bytes-source.ts';
import { onDisk, readAt, writeAt } from './files.ts';
import { type BlobDescription, BlobHasher, chunkLength, isChunk } from './hash.ts';
import { randomOctets } from './host.ts';

// Files that blobs come from and go to. In a page, which has none, `local-files-browser.ts` takes its place.

/** Throws `MESH_STORAGE_FAILED`. */
export async function openFile(path: string): Promise<UploadSource> {
  return onDisk('read', path, async () => {
    const handle = await open(path, 'r');
    try {
      const description = await describeHandle(handle);
      if (description.manifest !== undefined) return fileSource(handle, path, description, () => handle.close());
      const bytes = await readAt(handle, 0, description.reference.sizeBytes);
      await handle.close();
      return bytesSource(bytes);
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  });
}

function fileSource(
  handle: FileHandle,
  path: string,
  description: BlobDescription,
  close: () => Promise<void>,
): UploadSource {
  const { reference, manifest } = description;
  return {
    ...description,
    readChunk: async (chunk) => {
      const length = chunkLength(reference, chunk);
      const bytes = await onDisk('read', path, () => readAt(handle, chunk * limits.blobChunkBytes, length));
      if (bytes.length !== length || (manifest !== undefined && !isChunk(manifest, chunk, bytes))) {
        throw new MeshError('MESH_INPUT_INVALID', 'the file changed while it was uploaded', {
          where: path,
          mend: 'upload it again once nothing writes to it',
        });
      }
      return bytes;
    },
    close,
  };
}

/** A stream that is larger than a whole blob is on the disk meanwhile. */
export async function spool(
  stream: AsyncIterable<Uint8Array>,
  path = join(tmpdir(), `foremesh-${hexOf(randomOctets(12))}`),
): Promise<UploadSource> {
  const hasher = new BlobHasher();
  let small: Uint8Array[] = [];
  let size = 0;
  let handle: FileHandle | undefined;
  const discard = async () => {
    await handle?.close();
    await unlink(path).catch(() => undefined);
  };
  try {
    for await (const bytes of stream) {
      hasher.push(bytes);
      if (handle === undefined) {
        small.push(bytes.slice());
        size += bytes.length;
        if (size <= limits.wholeBlobBytes) continue;
        handle = await onDisk('write', path, () => open(path, 'wx+', 0o600));
        await onDisk('write', path, () => writeAt(handle!, joinedBytes(small), 0));
        small = [];
      } else {
        await onDisk('write', path, () => writeAt(handle!, bytes, size));
        size += bytes.length;
      }
    }
  } catch (error) {
    if (handle !== undefined) await discard();
    throw error;
  }
  if (handle === undefined) return bytesSource(joinedBytes(small));
  return fileSource(handle, path, hasher.finish(), discard);
}

/** Writes a file, which appears once it is complete. Throws `MESH_STORAGE_FAILED`, and what the pieces throw. */
export async function saveFile(pieces: AsyncIterable<Uint8Array>, filePath: string): Promise<void> {
  const partPath = `${filePath}.${hexOf(randomOctets(6))}.part`;
  await onDisk('write', filePath, async () => {
    const handle = await open(partPath, 'wx');
    try {
      let at = 0;
      for await (const bytes of pieces) {
        await writeAt(handle, bytes, at);
        at += bytes.length;
      }
      await handle.sync();
      await handle.close();
      await rename(partPath, filePath);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await unlink(partPath).catch(() => undefined);
      throw error;
    }
  });
}

/** Reads a file once, in constant memory. Throws `MESH_STORAGE_FAILED` or `MESH_LIMIT_EXCEEDED`. */
export async function describeFile(path: string): Promise<BlobDescription> {
  return onDisk('read', path, async () => {
    const handle = await open(path, 'r');
    try {
      return await describeHandle(handle);
    } finally {
      await handle.close();
    }
  });
}

export async function describeHandle(handle: FileHandle): Promise<BlobDescription> {
  const hasher = new BlobHasher();
  const buffer = Buffer.allocUnsafe(4 * limits.blobChunkBytes);
  for (let position = 0; ; ) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return hasher.finish();
    hasher.push(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}
