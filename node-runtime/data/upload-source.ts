import { randomBytes } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits, MeshError } from '../contract/index.ts';
import { onDisk, readAt, writeAt } from './files.ts';
import { type BlobDescription, BlobHasher, chunkLength, describeBytes, describeHandle, isChunk } from './hash.ts';

/** Bytes, the path of a file, or a stream. */
export type BlobSource = Uint8Array | string | AsyncIterable<Uint8Array>;

/** A source that has its name and can be read again, chunk by chunk. */
export interface UploadSource extends BlobDescription {
  readChunk(chunk: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Names a source. A stream that is larger than a whole blob is spooled to `temporaryPath` meanwhile. */
export async function openSource(source: BlobSource, temporaryPath?: string): Promise<UploadSource> {
  if (source instanceof Uint8Array) return bytesSource(source);
  if (typeof source === 'string') {
    return onDisk('read', source, async () => {
      const handle = await open(source, 'r');
      try {
        const description = await describeHandle(handle);
        if (description.manifest !== undefined) return fileSource(handle, source, description, () => handle.close());
        const bytes = await readAt(handle, 0, description.reference.sizeBytes);
        await handle.close();
        return bytesSource(bytes);
      } catch (error) {
        await handle.close().catch(() => undefined);
        throw error;
      }
    });
  }
  return spool(source, temporaryPath ?? join(tmpdir(), `foremesh-${randomBytes(12).toString('hex')}`));
}

function bytesSource(bytes: Uint8Array): UploadSource {
  const description = describeBytes(bytes);
  return {
    ...description,
    readChunk: async (chunk) => {
      const from = chunk * limits.blobChunkBytes;
      return bytes.subarray(from, from + chunkLength(description.reference, chunk));
    },
    close: async () => undefined,
  };
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

async function spool(stream: AsyncIterable<Uint8Array>, path: string): Promise<UploadSource> {
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
        await onDisk('write', path, () => writeAt(handle!, Buffer.concat(small), 0));
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
  if (handle === undefined) return bytesSource(Buffer.concat(small));
  return fileSource(handle, path, hasher.finish(), discard);
}
