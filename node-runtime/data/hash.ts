import { checkLimit, type DataReference, hexOf, joinedBytes, limits } from '../contract/index.ts';
import { makeSha256, sha256 } from './host.ts';

export { sha256 };

export const hashBytes = 32;

/** A blob's name and, when it is larger than `wholeBlobBytes`, the manifest that the name is the hash of. */
export interface BlobDescription {
  readonly reference: DataReference;
  readonly manifest: Uint8Array | undefined;
}

export function blobNameOf(hash: Uint8Array): string {
  return `sha256-${hexOf(hash)}`;
}

/** Named by the hash of its bytes, has no manifest. */
export function isWhole(reference: DataReference): boolean {
  return reference.sizeBytes <= limits.wholeBlobBytes;
}

/** Pieces of `blobChunkBytes`; an empty blob has none. */
export function chunkCount(reference: DataReference): number {
  return Math.ceil(reference.sizeBytes / limits.blobChunkBytes);
}

/** Bytes of chunk number `chunk`: the last may be shorter. */
export function chunkLength(reference: DataReference, chunk: number): number {
  return Math.min(limits.blobChunkBytes, reference.sizeBytes - chunk * limits.blobChunkBytes);
}

export function manifestLength(reference: DataReference): number {
  return isWhole(reference) ? 0 : chunkCount(reference) * hashBytes;
}

/** What names a blob in maps and on disk: the name alone could be a whole blob or the manifest of a larger one. */
export function blobKey(reference: DataReference): string {
  return `${reference.blob.slice('sha256-'.length)}-${reference.sizeBytes}`;
}

export function isChunk(manifest: Uint8Array, chunk: number, bytes: Uint8Array): boolean {
  const found = sha256(bytes);
  const from = chunk * hashBytes;
  return manifest.length >= from + hashBytes && found.every((byte, i) => byte === manifest[from + i]);
}

/** Whether these bytes are the manifest of this blob. */
export function isManifest(reference: DataReference, bytes: Uint8Array): boolean {
  return bytes.length === manifestLength(reference) && blobNameOf(sha256(bytes)) === reference.blob;
}

/** Whether these bytes are this whole blob. */
export function isContent(reference: DataReference, bytes: Uint8Array): boolean {
  return bytes.length === reference.sizeBytes && blobNameOf(sha256(bytes)) === reference.blob;
}

/** Names a stream of bytes of any length up to `blobBytes`, in pieces of any size. */
export class BlobHasher {
  private readonly whole = makeSha256();
  private chunk = makeSha256();
  private readonly hashes: Uint8Array[] = [];
  private size = 0;

  /** Throws `MESH_LIMIT_EXCEEDED` when there are more than `blobBytes`. */
  push(bytes: Uint8Array): void {
    checkLimit('blobBytes', this.size + bytes.length, limits.blobBytes);
    if (this.size + bytes.length <= limits.wholeBlobBytes) this.whole.update(bytes);
    let from = 0;
    while (from < bytes.length) {
      const room = limits.blobChunkBytes - (this.size % limits.blobChunkBytes);
      const part = bytes.subarray(from, from + room);
      this.chunk.update(part);
      this.size += part.length;
      from += part.length;
      if (this.size % limits.blobChunkBytes === 0) this.endChunk();
    }
  }

  finish(): BlobDescription {
    const sizeBytes = this.size;
    if (sizeBytes <= limits.wholeBlobBytes) {
      return { reference: { blob: blobNameOf(this.whole.digest()), sizeBytes }, manifest: undefined };
    }
    if (sizeBytes % limits.blobChunkBytes !== 0) this.endChunk();
    const manifest = joinedBytes(this.hashes);
    return { reference: { blob: blobNameOf(sha256(manifest)), sizeBytes }, manifest };
  }

  private endChunk(): void {
    this.hashes.push(this.chunk.digest());
    this.chunk = makeSha256();
  }
}

export function describeBytes(bytes: Uint8Array): BlobDescription {
  const hasher = new BlobHasher();
  hasher.push(bytes);
  return hasher.finish();
}

/** The reference under which these bytes are stored anywhere in the mesh. */
export function nameOf(bytes: Uint8Array): DataReference {
  return describeBytes(bytes).reference;
}
