import { asMeshError, type DataReference, limits, MeshError } from '../contract/index.ts';
import type { BlobRequests } from './blob-requests.ts';
import type { BlobStore } from './blob-store.ts';
import { unpack } from './compression.ts';
import { blobKey, chunkCount, chunkLength, isChunk, isContent, isManifest, isWhole, manifestLength } from './hash.ts';
import type { HolderChoice } from './holder-choice.ts';
import { RecentMap } from './recent-map.ts';
import { forEachWindowed } from './windowed.ts';

const manifestsInMemory = 8;

/** Verified chunks from the cache or, failing that, from a holder. Everyone who wants the same one waits for one request. */
export class BlobFetch {
  private readonly requests: BlobRequests;
  private readonly choice: HolderChoice;
  private readonly cache: BlobStore | undefined;
  private readonly onProblem: (problem: MeshError) => void;
  private readonly underWay = new Map<string, Promise<Uint8Array>>();
  private readonly manifests = new RecentMap<Uint8Array>(manifestsInMemory);

  constructor(
    requests: BlobRequests,
    choice: HolderChoice,
    cache: BlobStore | undefined,
    onProblem: (problem: MeshError) => void,
  ) {
    this.requests = requests;
    this.choice = choice;
    this.cache = cache;
    this.onProblem = onProblem;
  }

  /** Not to be written to: others may have got the same bytes. Throws as `BlobClient.get`. */
  async chunk(reference: DataReference, chunk: number): Promise<Uint8Array> {
    if (isWhole(reference)) {
      const from = chunk * limits.blobChunkBytes;
      return (await this.whole(reference)).subarray(from, from + chunkLength(reference, chunk));
    }
    return this.shared(`${blobKey(reference)} ${chunk}`, async () => {
      const cached = await this.cached((cache) => cache.readChunk(reference, chunk));
      if (cached !== undefined) return cached;
      const manifest = await this.manifest(reference);
      const bytes = await this.fromAny(async (holder) => {
        const offset = chunk * limits.blobChunkBytes;
        const found = await this.fetch(holder, reference, 'content', offset, chunkLength(reference, chunk));
        if (!isChunk(manifest, chunk, found)) throw wrongBytes(holder, reference, `chunk ${chunk}`);
        return found;
      });
      await this.keep(async (cache) => {
        try {
          await cache.writeChunk(reference, chunk, bytes);
        } catch (error) {
          if (!(error instanceof MeshError && error.code === 'MESH_BLOB_MISSING')) throw error;
          // Its manifest is not in the cache, or no longer.
          for (let at = 0; at < manifest.length; at += limits.blobChunkBytes) {
            await cache.writeManifest(reference, at, manifest.subarray(at, at + limits.blobChunkBytes));
          }
          await cache.writeChunk(reference, chunk, bytes);
        }
      });
      return bytes;
    });
  }

  private whole(reference: DataReference): Promise<Uint8Array> {
    return this.shared(blobKey(reference), async () => {
      const cached = await this.cached((cache) => cache.read(reference));
      if (cached !== undefined) return cached;
      const bytes = await this.fromAny(async (holder) => {
        const found = await this.fetchAll(holder, reference, 'content', reference.sizeBytes);
        if (!isContent(reference, found)) throw wrongBytes(holder, reference, 'the content');
        return found;
      });
      await this.keep((cache) => cache.put(bytes));
      return bytes;
    });
  }

  private async manifest(reference: DataReference): Promise<Uint8Array> {
    const key = blobKey(reference);
    const known = this.manifests.get(key);
    if (known !== undefined) return known;
    const manifest = await this.shared(`${key} manifest`, async () => {
      const cached = await this.cached((cache) => cache.readManifest(reference));
      if (cached !== undefined) return cached;
      return this.fromAny(async (holder) => {
        const found = await this.fetchAll(holder, reference, 'manifest', manifestLength(reference));
        if (!isManifest(reference, found)) throw wrongBytes(holder, reference, 'the manifest');
        return found;
      });
    });
    this.manifests.set(key, manifest);
    return manifest;
  }

  private async fetchAll(
    holder: string,
    reference: DataReference,
    part: 'content' | 'manifest',
    sizeBytes: number,
  ): Promise<Uint8Array> {
    const all = new Uint8Array(sizeBytes);
    const pieces = Array.from({ length: chunkCount({ ...reference, sizeBytes }) }, (_, piece) => piece);
    await forEachWindowed(pieces, limits.blobWindowRequests, async (piece) => {
      const offset = piece * limits.blobChunkBytes;
      const length = Math.min(limits.blobChunkBytes, sizeBytes - offset);
      all.set(await this.fetch(holder, reference, part, offset, length), offset);
    });
    return all;
  }

  private async fetch(
    holder: string,
    reference: DataReference,
    part: 'content' | 'manifest',
    offset: number,
    length: number,
  ): Promise<Uint8Array> {
    const answer = await this.requests.ask(
      holder,
      { op: 'get', ...reference, part, offset, length, accept: ['deflate'] },
      'data',
    );
    const bytes = await unpack(answer, length);
    if (bytes.length !== length) throw wrongBytes(holder, reference, `a piece of ${length} bytes`);
    return bytes;
  }

  private fromAny<T>(work: (holder: string) => Promise<T>): Promise<T> {
    // Without a connection the next holder is no nearer.
    return this.choice.first(work, (error) => error.code !== 'MESH_UNREACHABLE' || this.requests.connected);
  }

  private shared(key: string, work: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const before = this.underWay.get(key);
    if (before !== undefined) return before;
    const mine = work().finally(() => this.underWay.delete(key));
    this.underWay.set(key, mine);
    return mine;
  }

  private async cached(read: (cache: BlobStore) => Promise<Uint8Array>): Promise<Uint8Array | undefined> {
    if (this.cache === undefined) return undefined;
    try {
      return await read(this.cache);
    } catch (error) {
      const problem = asMeshError(error, 'MESH_STORAGE_FAILED');
      if (problem.code !== 'MESH_BLOB_MISSING') this.onProblem(problem);
      return undefined;
    }
  }

  /** A cache that cannot keep something is a pity, no failure. */
  private async keep(write: (cache: BlobStore) => Promise<unknown>): Promise<void> {
    if (this.cache === undefined) return;
    try {
      await write(this.cache);
    } catch (error) {
      this.onProblem(asMeshError(error, 'MESH_STORAGE_FAILED'));
    }
  }
}

function wrongBytes(holder: string, reference: DataReference, what: string): MeshError {
  return new MeshError('MESH_BLOB_CORRUPT', `${holder} gave wrong bytes for ${what} of ${reference.blob}`);
}
