import { open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type DataReference, limits, MeshError } from '../contract/index.ts';
import { readAt, syncDirectory, systemCode, writeAt, writeInPlace } from './files.ts';
import { chunkCount, chunkLength, hashBytes, isChunk, isManifest, manifestLength } from './hash.ts';

/**
 * A blob with a manifest, in a directory of its own: `manifest`, and either `content` (all of it, committed) or `partial`
 * with `bitmap` (one bit per chunk that was written). The bitmap is a hint that a power cut may have made wrong: the
 * hashes decide. Its owner lets one change at a time in; reads may run beside it.
 */
export class LargeBlob {
  readonly reference: DataReference;
  readonly directory: string;
  hasManifest = false;
  complete = false;
  private present: Uint8Array;
  private presentChunks = 0;
  private presentBytes = 0;
  /** Chunks that this process wrote, so that their hashes need not be looked at again. */
  private fresh: Uint8Array;

  constructor(directory: string, reference: DataReference) {
    this.directory = directory;
    this.reference = reference;
    const bytes = Math.ceil(chunkCount(reference) / 8);
    this.present = new Uint8Array(bytes);
    this.fresh = new Uint8Array(bytes);
  }

  /** What a directory holds; undefined when it holds nothing of use. Also tells when it was last written. */
  static async load(directory: string, reference: DataReference): Promise<{ blob: LargeBlob; writtenMs: number }> {
    const blob = new LargeBlob(directory, reference);
    const manifest = await statOrNothing(join(directory, 'manifest'));
    blob.hasManifest = manifest?.size === manifestLength(reference);
    const content = await statOrNothing(join(directory, 'content'));
    if (content !== undefined) {
      const whole = Math.floor(content.size / limits.blobChunkBytes);
      const all = content.size === reference.sizeBytes;
      for (let chunk = 0; chunk < chunkCount(reference); chunk++) if (all || chunk < whole) blob.mark(chunk);
      blob.complete = true;
      if (!all || !blob.hasManifest) await blob.demote();
      return { blob, writtenMs: content.mtimeMs };
    }
    const partial = await statOrNothing(join(directory, 'partial'));
    if (partial !== undefined) {
      const bitmap = await readFile(join(directory, 'bitmap')).catch(() => new Uint8Array(0));
      for (let chunk = 0; chunk < chunkCount(reference); chunk++) {
        const written = ((bitmap[chunk >>> 3] ?? 0) & (1 << (chunk & 7))) !== 0;
        const end = chunk * limits.blobChunkBytes + chunkLength(reference, chunk);
        if (written && end <= partial.size) blob.mark(chunk);
      }
    }
    return { blob, writtenMs: (partial ?? manifest)?.mtimeMs ?? 0 };
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.presentBytes + (this.hasManifest ? manifestLength(this.reference) : 0);
  }

  has(chunk: number): boolean {
    return (this.present[chunk >>> 3]! & (1 << (chunk & 7))) !== 0;
  }

  missing(): number[] {
    const chunks = chunkCount(this.reference);
    if (this.presentChunks === chunks) return [];
    const found: number[] = [];
    for (let chunk = 0; chunk < chunks; chunk++) if (!this.has(chunk)) found.push(chunk);
    return found;
  }

  async writeManifest(manifest: Uint8Array, temporaryPath: string, durable: boolean): Promise<void> {
    await writeInPlace(join(this.directory, 'manifest'), manifest, temporaryPath, durable);
    this.hasManifest = true;
  }

  /** Undefined when there is none that fits the name: what the disk made of it is removed, the content is kept. */
  async readManifest(): Promise<Uint8Array | undefined> {
    if (!this.hasManifest) return undefined;
    const path = join(this.directory, 'manifest');
    const bytes = await readFile(path).catch(nothingWhenAbsent);
    if (bytes !== undefined && isManifest(this.reference, bytes)) return bytes;
    this.hasManifest = false;
    await unlink(path).catch(nothingWhenAbsent);
    if (this.complete) await this.demote();
    return undefined;
  }

  /** The bytes as they are on disk, not verified; undefined when they are not there. */
  async readChunk(chunk: number): Promise<Uint8Array | undefined> {
    // A commit or a demotion may rename the file between the choice of its name and the opening: then look again.
    for (let attempt = 0; attempt < 2 && this.has(chunk); attempt++) {
      const handle = await open(this.contentPath(), 'r').catch(nothingWhenAbsent);
      if (handle === undefined) continue;
      try {
        return await readAt(handle, chunk * limits.blobChunkBytes, chunkLength(this.reference, chunk));
      } finally {
        await handle.close();
      }
    }
    return undefined;
  }

  /** Verified bytes of a chunk. A chunk that was written in this life and is not there counts as present. */
  async writeChunk(chunk: number, bytes: Uint8Array): Promise<void> {
    const handle = await openForWriting(join(this.directory, 'partial'));
    try {
      await writeAt(handle, bytes, chunk * limits.blobChunkBytes);
    } finally {
      await handle.close();
    }
    const index = chunk >>> 3;
    await this.writeBitmap(index, this.present[index]! | (1 << (chunk & 7)));
    this.mark(chunk);
    this.fresh[index]! |= 1 << (chunk & 7);
  }

  /** The chunk on disk is not what it was: it is missing from now on, and the blob not complete. */
  async drop(chunk: number): Promise<void> {
    if (!this.has(chunk)) return;
    if (this.complete) await this.demote();
    const index = chunk >>> 3;
    this.unmark(chunk);
    await this.writeBitmap(index, this.present[index]!);
  }

  /** Forgets the content, keeps the manifest. */
  async clear(): Promise<void> {
    this.complete = false;
    this.present.fill(0);
    this.fresh.fill(0);
    this.presentChunks = 0;
    this.presentBytes = 0;
    for (const name of ['content', 'partial', 'bitmap']) {
      await unlink(join(this.directory, name)).catch(nothingWhenAbsent);
    }
  }

  /**
   * All chunks are there: checks those that an earlier process wrote, brings the bytes to the disk and gives the file its
   * final name. Throws `MESH_BLOB_MISSING` when chunks are missing or turn out to be damaged; then they are wanted again.
   */
  async commit(manifest: Uint8Array, durable: boolean): Promise<void> {
    for (let chunk = 0; chunk < chunkCount(this.reference); chunk++) {
      if (!this.has(chunk) || (this.fresh[chunk >>> 3]! & (1 << (chunk & 7))) !== 0) continue;
      const bytes = await this.readChunk(chunk);
      if (bytes === undefined || !isChunk(manifest, chunk, bytes)) await this.drop(chunk);
    }
    const missing = this.missing();
    if (missing.length > 0) {
      throw new MeshError('MESH_BLOB_MISSING', `${missing.length} chunks of ${this.reference.blob} are still missing`);
    }
    const partial = join(this.directory, 'partial');
    if (durable) {
      const handle = await open(partial, 'r+');
      try {
        await handle.sync();
      } catch (error) {
        // After a failed fsync nobody knows which bytes are on the disk, and a second one would not tell.
        await this.clear();
        throw error;
      } finally {
        await handle.close();
      }
    }
    await rename(partial, join(this.directory, 'content'));
    this.complete = true;
    await unlink(join(this.directory, 'bitmap')).catch(nothingWhenAbsent);
    if (durable) await syncDirectory(this.directory);
  }

  private contentPath(): string {
    return join(this.directory, this.complete ? 'content' : 'partial');
  }

  private async demote(): Promise<void> {
    await writeWhole(join(this.directory, 'bitmap'), this.present);
    await rename(join(this.directory, 'content'), join(this.directory, 'partial'));
    this.complete = false;
  }

  private async writeBitmap(index: number, value: number): Promise<void> {
    const handle = await openForWriting(join(this.directory, 'bitmap'));
    try {
      await writeAt(handle, Uint8Array.of(value), index);
    } finally {
      await handle.close();
    }
  }

  private mark(chunk: number): void {
    if (this.has(chunk)) return;
    this.present[chunk >>> 3]! |= 1 << (chunk & 7);
    this.presentChunks++;
    this.presentBytes += chunkLength(this.reference, chunk);
  }

  private unmark(chunk: number): void {
    this.present[chunk >>> 3]! &= ~(1 << (chunk & 7));
    this.fresh[chunk >>> 3]! &= ~(1 << (chunk & 7));
    this.presentChunks--;
    this.presentBytes -= chunkLength(this.reference, chunk);
  }
}

/** The bytes that a large blob takes on disk once it is complete. */
export function bytesWhenComplete(reference: DataReference): number {
  return reference.sizeBytes + Math.ceil(reference.sizeBytes / limits.blobChunkBytes) * hashBytes;
}

async function openForWriting(path: string) {
  return open(path, 'r+').catch((error) => {
    if (systemCode(error) === 'ENOENT') return open(path, 'w+');
    throw error;
  });
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await writeAt(handle, bytes, 0);
  } finally {
    await handle.close();
  }
}

async function statOrNothing(path: string) {
  return stat(path).catch(nothingWhenAbsent);
}

function nothingWhenAbsent(error: unknown): undefined {
  if (systemCode(error) === 'ENOENT') return undefined;
  throw error;
}
