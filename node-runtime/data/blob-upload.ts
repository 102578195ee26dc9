import { limits, MeshError } from '../contract/index.ts';
import type { BlobAskBody, BlobRequests } from './blob-requests.ts';
import type { UploadSource } from './bytes-source.ts';
import { pack } from './compression.ts';
import { chunkCount, chunkLength } from './hash.ts';
import { forEachWindowed } from './windowed.ts';

export interface TransferProgress {
  /** Of the blob, that are where they shall be; what was there already counts. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface TransferOptions {
  readonly onProgress?: (progress: TransferProgress) => void;
  /** Ends the transfer between two chunks, with the signal's reason; what was transferred is kept. */
  readonly signal?: AbortSignal;
}

/** A holder may lose what it had not committed (it restarted, its disk damaged a chunk): then the upload begins again. */
const rounds = 5;

/** Brings a blob to one holder. When it resolves it is durable there. */
export async function uploadTo(
  holder: string,
  source: UploadSource,
  requests: BlobRequests,
  options: TransferOptions,
): Promise<void> {
  for (let round = 1; ; round++) {
    try {
      await uploadOnce(holder, source, requests, options);
      return;
    } catch (error) {
      const again = error instanceof MeshError && error.code === 'MESH_BLOB_MISSING' && round < rounds;
      if (!again) throw error;
    }
  }
}

async function uploadOnce(
  holder: string,
  source: UploadSource,
  requests: BlobRequests,
  options: TransferOptions,
): Promise<void> {
  const { reference, manifest } = source;
  const { onProgress, signal } = options;
  signal?.throwIfAborted();
  const begun = await requests.ask(holder, { op: 'begin', ...reference }, 'missing');
  const totalBytes = reference.sizeBytes;
  const missing = begun.missing.filter((chunk) => chunk < chunkCount(reference));
  let doneBytes = totalBytes;
  for (const chunk of missing) doneBytes -= chunkLength(reference, chunk);
  onProgress?.({ doneBytes, totalBytes });
  if (begun.complete) return;

  const put = async (part: 'content' | 'manifest', offset: number, bytes: Uint8Array) => {
    signal?.throwIfAborted();
    const packed = part === 'content' ? await pack(bytes) : { compression: 'none' as const, data: bytes };
    const ask: BlobAskBody = { op: 'put', ...reference, part, offset, ...packed };
    await requests.ask(holder, ask, 'stored');
  };
  if (begun.manifest && manifest !== undefined) {
    const offsets = Array.from(
      { length: Math.ceil(manifest.length / limits.blobChunkBytes) },
      (_, i) => i * limits.blobChunkBytes,
    );
    await forEachWindowed(offsets, limits.blobWindowRequests, (offset) =>
      put('manifest', offset, manifest.subarray(offset, offset + limits.blobChunkBytes)),
    );
  }
  await forEachWindowed(missing, limits.blobWindowRequests, async (chunk) => {
    await put('content', chunk * limits.blobChunkBytes, await source.readChunk(chunk));
    doneBytes += chunkLength(reference, chunk);
    onProgress?.({ doneBytes, totalBytes });
  });
  signal?.throwIfAborted();
  await requests.ask(holder, { op: 'commit', ...reference }, 'committed');
}
