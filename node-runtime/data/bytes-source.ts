import { limits } from '../contract/index.ts';
import { type BlobDescription, chunkLength, describeBytes } from './hash.ts';

/** A source that has its name and can be read again, chunk by chunk. */
export interface UploadSource extends BlobDescription {
  readChunk(chunk: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Bytes in memory. */
export function bytesSource(bytes: Uint8Array): UploadSource {
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
