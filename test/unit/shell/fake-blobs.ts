import { createHash } from 'node:crypto';
import { type DataReference, MeshError } from '../../../node-runtime/contract/index.ts';
import type { BlobClient } from '../../../node-runtime/data/index.ts';

/** Blobs in memory, as far as what is above them asks: each name by its hash, every call counted. */
export class FakeBlobs {
  readonly held = new Map<string, Uint8Array>();
  readonly asked: string[] = [];
  /** At once, at most. */
  widest = 0;
  #under = 0;
  /** What a `get` waits for, if anything. */
  gate: (() => Promise<void>) | undefined;

  get client(): BlobClient {
    return this as unknown as BlobClient;
  }

  async put(bytes: Uint8Array): Promise<DataReference> {
    const blob = `sha256-${createHash('sha256').update(bytes).digest('hex')}`;
    this.held.set(blob, bytes);
    return { blob, sizeBytes: bytes.length };
  }

  get(reference: DataReference, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return this.getRange(reference, 0, reference.sizeBytes, options);
  }

  async checkHeld({ blob }: DataReference): Promise<void> {
    if (!this.held.has(blob)) throw new MeshError('MESH_BLOB_MISSING', `no ${blob}`);
  }

  async getRange(
    { blob }: DataReference,
    start: number,
    end: number,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Uint8Array> {
    this.asked.push(blob);
    this.#under += 1;
    this.widest = Math.max(this.widest, this.#under);
    try {
      await (this.gate?.() ?? Promise.resolve());
      signal?.throwIfAborted();
      const bytes = this.held.get(blob);
      if (bytes === undefined) throw new MeshError('MESH_BLOB_MISSING', `no ${blob}`);
      return bytes.subarray(start, end);
    } finally {
      this.#under -= 1;
    }
  }
}
