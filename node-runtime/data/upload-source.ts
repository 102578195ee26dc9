import { type DataReference, limits } from '../contract/index.ts';
import { bytesSource, type UploadSource } from './bytes-source.ts';
import { BlobHasher, chunkLength } from './hash.ts';
import { openFile, spool } from './local-files.ts';

/** What a page's `File` and `Blob` (and Node's) have: bytes that can be read again, piece by piece. */
export interface SlicedBytes {
  readonly size: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** Bytes, the path of a file (in Node), a stream, or a `File` or `Blob`. */
export type BlobSource = Uint8Array | string | AsyncIterable<Uint8Array> | SlicedBytes;

/**
 * Names a source. A stream that is larger than a whole blob is kept meanwhile: in Node on the disk, in `temporaryPath`;
 * in a page in memory.
 */
export async function openSource(source: BlobSource, temporaryPath?: string): Promise<UploadSource> {
  if (source instanceof Uint8Array) return bytesSource(source);
  if (typeof source === 'string') return openFile(source);
  if (!(Symbol.asyncIterator in source)) return slicedSource(source);
  return spool(source, temporaryPath);
}

/** The name that a source would have in the mesh. */
export async function nameOfSource(source: BlobSource): Promise<DataReference> {
  const { reference, close } = await openSource(source);
  await close();
  return reference;
}

async function slicedSource(source: SlicedBytes): Promise<UploadSource> {
  const read = async (from: number, length: number) =>
    new Uint8Array(await source.slice(from, from + length).arrayBuffer());
  const hasher = new BlobHasher();
  for (let at = 0; at < source.size; at += limits.blobChunkBytes) hasher.push(await read(at, limits.blobChunkBytes));
  const description = hasher.finish();
  return {
    ...description,
    readChunk: (chunk) => read(chunk * limits.blobChunkBytes, chunkLength(description.reference, chunk)),
    close: async () => undefined,
  };
}
