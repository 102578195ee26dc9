import { randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type DataReference, limits, MeshError } from '../contract/index.ts';
import { makeDirectory, onDisk, systemCode, writeInPlace } from './files.ts';
import {
  type BlobDescription,
  blobKey,
  chunkCount,
  chunkLength,
  describeBytes,
  isChunk,
  isContent,
  isManifest,
  isWhole,
  manifestLength,
} from './hash.ts';
import { KeyedLock } from './keyed-lock.ts';
import { bytesWhenComplete, LargeBlob } from './large-blob.ts';
import { describeHandle } from './local-files.ts';
import { RecentMap } from './recent-map.ts';
import { Staging } from './staging.ts';
import { checkChunk, checkRange, corrupt, malformed, missing } from './store-errors.ts';
import { readStore, type StoreEntry, storePaths } from './store-layout.ts';
import type { BlobStoreOptions, BlobStoreStats, MissingParts } from './store-types.ts';

const staleMs = 24 * 3_600_000;
const stagingBytes = 32 * 1024 ** 2;
const manifestsInMemory = 32;

/**
 * Blobs in a directory, by content. Every byte it gives was compared with its hash after it was read; what does not fit
 * is dropped and reported as `MESH_BLOB_CORRUPT` once, then as `MESH_BLOB_MISSING`. Disk errors are `MESH_STORAGE_FAILED`
 * and leave nothing half-written behind. One process per directory.
 */
export class BlobStore {
  readonly directory: string;
  private readonly budgetBytes: number | undefined;
  private readonly limitBytes: number | undefined;
  private readonly durable: boolean;
  /** The order is that of use: the first was used least recently. */
  private readonly entries = new Map<string, StoreEntry>();
  private readonly manifests = new RecentMap<Uint8Array>(manifestsInMemory);
  private readonly staging = new Staging(stagingBytes);
  private readonly lock = new KeyedLock();
  private readonly removals = new Set<Promise<void>>();
  private readonly counts = { writtenBytes: 0, evicted: 0, corrupt: 0 };
  private usedBytes = 0;

  private constructor(directory: string, options: BlobStoreOptions) {
    this.directory = directory;
    this.budgetBytes = options.budgetBytes;
    this.limitBytes = options.limitBytes;
    this.durable = options.durable ?? options.budgetBytes === undefined;
  }

  /** Opens or makes the directory, removes what a crash left of temporary files and keeps partial uploads. */
  static async open(directory: string, options: BlobStoreOptions = {}): Promise<BlobStore> {
    const store = new BlobStore(directory, options);
    await onDisk('open the blob store', directory, async () => {
      for (const [key, entry] of await readStore(directory)) {
        store.entries.set(key, entry);
        store.usedBytes += entry.bytes;
      }
    });
    store.shrinkTo(options.budgetBytes ?? Number.POSITIVE_INFINITY, undefined);
    return store;
  }

  has(reference: DataReference): boolean {
    const entry = this.entries.get(blobKey(reference));
    return entry !== undefined && (entry.large === undefined || entry.large.complete);
  }

  *list(): IterableIterator<{ reference: DataReference; complete: boolean; bytes: number }> {
    for (const { reference, large, bytes } of this.entries.values()) {
      yield { reference, complete: large?.complete ?? true, bytes };
    }
  }

  stats(): BlobStoreStats {
    let partials = 0;
    for (const { large } of this.entries.values()) if (large?.complete === false) partials++;
    return { blobs: this.entries.size - partials, partials, usedBytes: this.usedBytes, ...this.counts };
  }

  /** Keeps bytes from this process. They are committed when it resolves. */
  async put(bytes: Uint8Array): Promise<DataReference> {
    const description = describeBytes(bytes);
    await this.fill(description, async (chunk) => {
      const from = chunk * limits.blobChunkBytes;
      return bytes.subarray(from, from + chunkLength(description.reference, chunk));
    });
    return description.reference;
  }

  /** Keeps a file from this machine, in constant memory. It must not change meanwhile (`MESH_BLOB_CORRUPT`). */
  async putFile(path: string): Promise<DataReference> {
    return onDisk('read', path, async () => {
      const handle = await open(path, 'r');
      try {
        const description = await describeHandle(handle);
        await this.fill(description, async (chunk) => {
          const buffer = Buffer.allocUnsafeSlow(chunkLength(description.reference, chunk));
          const { bytesRead } = await handle.read(buffer, 0, buffer.length, chunk * limits.blobChunkBytes);
          return buffer.subarray(0, bytesRead);
        });
        return description.reference;
      } finally {
        await handle.close();
      }
    });
  }

  /** What is missing to have this blob. Throws `MESH_LIMIT_EXCEEDED` when there would be no room for it. */
  begin(reference: DataReference): MissingParts {
    const key = blobKey(reference);
    const entry = this.touch(key);
    if (this.has(reference)) return { complete: true, manifest: false, missing: [] };
    const all = Array.from({ length: chunkCount(reference) }, (_, chunk) => chunk);
    if (isWhole(reference)) {
      this.checkRoom(reference.sizeBytes);
      return { complete: false, manifest: false, missing: all.filter((chunk) => !this.staging.has(key, chunk)) };
    }
    this.checkRoom(bytesWhenComplete(reference) - (entry?.bytes ?? 0));
    const large = entry?.large;
    return { complete: false, manifest: large?.hasManifest !== true, missing: large?.missing() ?? all };
  }

  /** A piece of a manifest, at a multiple of `blobChunkBytes`. Throws `MESH_BLOB_CORRUPT` when all of it does not fit. */
  async writeManifest(reference: DataReference, offset: number, bytes: Uint8Array): Promise<void> {
    if (isWhole(reference)) throw malformed(`${reference.blob} has no manifest`);
    const key = blobKey(reference);
    if (this.entries.get(key)?.large?.hasManifest) return;
    const manifest = this.staging.add(`manifest ${key}`, manifestLength(reference), offset, bytes);
    if (manifest === undefined) return;
    this.staging.remove(`manifest ${key}`);
    if (!isManifest(reference, manifest)) throw corrupt(reference, 'the manifest');
    await this.lock.run(key, async () => {
      let entry = this.entries.get(key);
      if (entry?.large?.hasManifest) return;
      const directory = storePaths.large(this.directory, key);
      this.reserve(manifest.length, key);
      try {
        await onDisk('write a manifest', directory, async () => {
          await makeDirectory(directory, this.durable);
          const large = entry?.large ?? new LargeBlob(directory, reference);
          entry ??= { reference, path: directory, bytes: 0, large, usedMs: performance.now() };
          await large.writeManifest(manifest, this.temporaryPath(), this.durable);
        });
      } catch (error) {
        this.usedBytes -= manifest.length;
        throw error;
      }
      entry!.bytes += manifest.length;
      this.counts.writtenBytes += manifest.length;
      this.entries.set(key, entry!);
      this.manifests.set(key, manifest);
    });
  }

  /**
   * A chunk of the content. Throws `MESH_BLOB_CORRUPT` when it does not fit its hash, `MESH_BLOB_MISSING` when the
   * manifest is not there, `MESH_LIMIT_EXCEEDED` when there is no room. A whole blob stays in memory till its commit.
   */
  async writeChunk(reference: DataReference, chunk: number, bytes: Uint8Array): Promise<void> {
    const key = blobKey(reference);
    if (this.has(reference)) return;
    if (isWhole(reference)) {
      this.staging.add(key, reference.sizeBytes, chunk * limits.blobChunkBytes, bytes);
      return;
    }
    checkChunk(reference, chunk);
    await this.lock.run(key, async () => {
      const manifest = await this.manifestOf(reference, key);
      if (bytes.length !== chunkLength(reference, chunk) || !isChunk(manifest, chunk, bytes)) {
        throw corrupt(reference, `chunk ${chunk}`);
      }
      const entry = this.touch(key);
      const large = entry?.large;
      if (entry === undefined || large === undefined) throw missing(reference);
      if (large.has(chunk)) return;
      if (!this.shrinkTo((this.budgetBytes ?? Number.POSITIVE_INFINITY) - bytes.length, key)) {
        // A blob larger than the whole cache: it starts anew, what it had is the oldest there is.
        await onDisk('clear', entry.path, () => large.clear());
        this.account(entry, large.bytes);
      }
      this.reserve(bytes.length, key);
      try {
        await onDisk('write a chunk', entry.path, () => large.writeChunk(chunk, bytes));
      } finally {
        this.usedBytes -= bytes.length;
      }
      this.counts.writtenBytes += bytes.length;
      this.account(entry, large.bytes);
    });
  }

  /** Everything is there: makes it a blob. Throws `MESH_BLOB_MISSING` when it is not; `begin` tells what is wanted. */
  async commit(reference: DataReference): Promise<void> {
    const key = blobKey(reference);
    await this.lock.run(key, async () => {
      if (this.has(reference)) return;
      if (isWhole(reference)) {
        await this.commitWhole(reference, key);
        return;
      }
      const manifest = await this.manifestOf(reference, key);
      const entry = this.entries.get(key);
      if (entry?.large === undefined) throw missing(reference);
      try {
        await onDisk('commit a blob', entry.path, () => entry.large!.commit(manifest, this.durable));
      } finally {
        this.account(entry, entry.large.bytes);
      }
    });
  }

  /** A verified chunk. Throws `MESH_BLOB_MISSING` or `MESH_BLOB_CORRUPT`. Partial blobs give the chunks they have. */
  async readChunk(reference: DataReference, chunk: number): Promise<Uint8Array> {
    const key = blobKey(reference);
    const entry = this.touch(key);
    if (entry === undefined) throw missing(reference);
    const from = chunk * limits.blobChunkBytes;
    checkChunk(reference, chunk);
    const large = entry.large;
    if (large === undefined) {
      return (await this.readWhole(entry, key)).subarray(from, from + chunkLength(reference, chunk));
    }
    if (!large.has(chunk)) throw missing(reference);
    const manifest = this.manifests.get(key) ?? (await this.lock.run(key, () => this.manifestOf(reference, key)));
    const read = () => onDisk('read a chunk', entry.path, () => large.readChunk(chunk));
    const bytes = await read();
    if (bytes !== undefined && isChunk(manifest, chunk, bytes)) return bytes;
    await this.lock.run(key, async () => {
      // Once more, now that nobody changes it: a dropped chunk may have been put again meanwhile.
      const again = await read();
      if (!large.has(chunk) || (again !== undefined && isChunk(manifest, chunk, again))) return;
      this.counts.corrupt++;
      await onDisk('drop a chunk', entry.path, () => large.drop(chunk));
      this.account(entry, large.bytes);
    });
    throw corrupt(reference, `chunk ${chunk}`);
  }

  /** Verified bytes [start, end). Throws as `readChunk`, and `MESH_MESSAGE_MALFORMED` on a range outside the blob. */
  async read(reference: DataReference, start = 0, end: number = reference.sizeBytes): Promise<Uint8Array> {
    checkRange(reference, start, end);
    if (reference.sizeBytes === 0 && !this.has(reference)) throw missing(reference);
    if (isWhole(reference)) {
      const entry = this.touch(blobKey(reference));
      if (entry === undefined) throw missing(reference);
      return (await this.readWhole(entry, blobKey(reference))).subarray(start, end);
    }
    const parts: Uint8Array[] = [];
    for await (const part of this.stream(reference, start, end)) parts.push(part);
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** The same, a chunk at a time. */
  async *stream(reference: DataReference, start = 0, end: number = reference.sizeBytes): AsyncGenerator<Uint8Array> {
    checkRange(reference, start, end);
    for (let at = start; at < end; ) {
      const chunk = Math.floor(at / limits.blobChunkBytes);
      const from = chunk * limits.blobChunkBytes;
      const bytes = await this.readChunk(reference, chunk);
      yield bytes.subarray(at - from, Math.min(end - from, bytes.length));
      at = from + limits.blobChunkBytes;
    }
  }

  /** The verified manifest of a large blob. Throws `MESH_BLOB_MISSING`. */
  async readManifest(reference: DataReference): Promise<Uint8Array> {
    const key = blobKey(reference);
    this.touch(key);
    return this.manifests.get(key) ?? (await this.lock.run(key, () => this.manifestOf(reference, key)));
  }

  /** Removes a blob or what there is of it. Returns whether there was anything. */
  async delete(reference: DataReference): Promise<boolean> {
    const key = blobKey(reference);
    this.staging.remove(key);
    return this.lock.run(key, async () => this.remove(key));
  }

  /**
   * Removes uploads that were broken off and that nobody went on with for this long (since the store was opened, at
   * most). Returns how many. A holder that is full does so by itself with what is a day old.
   */
  removePartials(untouchedMs: number): number {
    const nowMs = performance.now();
    const stale = [...this.entries].filter(([, { large, usedMs }]) => {
      return large?.complete === false && nowMs - usedMs >= untouchedMs;
    });
    for (const [key] of stale) this.remove(key);
    return stale.length;
  }

  /** A path for a temporary file on this store's file system; whoever takes it removes the file. */
  temporaryPath(): string {
    return join(storePaths.temporary(this.directory), randomBytes(12).toString('hex'));
  }

  /** Waits for what is being removed in the background. */
  async close(): Promise<void> {
    while (this.removals.size > 0) await Promise.all(this.removals);
  }

  private async fill(description: BlobDescription, chunkAt: (chunk: number) => Promise<Uint8Array>): Promise<void> {
    const { reference, manifest } = description;
    for (let round = 1; ; round++) {
      const parts = this.begin(reference);
      if (parts.complete) return;
      try {
        for (
          let at = 0;
          manifest !== undefined && parts.manifest && at < manifest.length;
          at += limits.blobChunkBytes
        ) {
          await this.writeManifest(reference, at, manifest.subarray(at, at + limits.blobChunkBytes));
        }
        for (const chunk of parts.missing) await this.writeChunk(reference, chunk, await chunkAt(chunk));
        return await this.commit(reference);
      } catch (error) {
        // What an earlier process left behind, manifest or chunks, turned out to be damaged: now it is known to be missing.
        if (!(error instanceof MeshError && error.code === 'MESH_BLOB_MISSING') || round === 3) throw error;
      }
    }
  }

  private async commitWhole(reference: DataReference, key: string): Promise<void> {
    const bytes = reference.sizeBytes === 0 ? new Uint8Array(0) : this.staging.get(key);
    if (bytes === undefined) throw missing(reference);
    this.staging.remove(key);
    if (!isContent(reference, bytes)) throw corrupt(reference, 'the content');
    const path = storePaths.whole(this.directory, key);
    this.reserve(bytes.length, key);
    try {
      await onDisk('write a blob', path, async () => {
        await makeDirectory(dirname(path), this.durable);
        await writeInPlace(path, bytes, this.temporaryPath(), this.durable);
      });
    } catch (error) {
      this.usedBytes -= bytes.length;
      throw error;
    }
    this.counts.writtenBytes += bytes.length;
    this.entries.set(key, { reference, path, bytes: bytes.length, large: undefined, usedMs: performance.now() });
  }

  private async readWhole(entry: StoreEntry, key: string): Promise<Uint8Array> {
    const bytes = await onDisk('read a blob', entry.path, () =>
      readFile(entry.path).catch((error) => {
        if (systemCode(error) === 'ENOENT') return undefined;
        throw error;
      }),
    );
    if (bytes !== undefined && isContent(entry.reference, bytes)) return bytes;
    if (this.entries.get(key) !== entry) throw missing(entry.reference);
    this.counts.corrupt++;
    this.remove(key);
    throw corrupt(entry.reference, 'the content');
  }

  /** Under the lock of its key. */
  private async manifestOf(reference: DataReference, key: string): Promise<Uint8Array> {
    const known = this.manifests.get(key);
    if (known !== undefined) return known;
    const entry = this.entries.get(key);
    const manifest = await onDisk('read a manifest', entry?.path ?? key, async () => entry?.large?.readManifest());
    if (entry?.large !== undefined) this.account(entry, entry.large.bytes);
    if (manifest === undefined) throw missing(reference);
    this.manifests.set(key, manifest);
    return manifest;
  }

  private touch(key: string): StoreEntry | undefined {
    const entry = this.entries.get(key);
    if (entry !== undefined) {
      this.entries.delete(key);
      this.entries.set(key, entry);
      entry.usedMs = performance.now();
    }
    return entry;
  }

  private account(entry: StoreEntry, bytes: number): void {
    if (this.entries.get(blobKey(entry.reference)) !== entry) return; // evicted meanwhile
    this.usedBytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  private checkRoom(bytes: number): void {
    const limit = this.limitBytes ?? Number.POSITIVE_INFINITY;
    if (this.usedBytes + bytes > limit) this.removePartials(staleMs);
    if (this.usedBytes + bytes > limit) {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `limitBytes of the blob store is ${limit}, ${bytes} more do not fit`, {
        where: this.directory,
        mend: 'let old jobs expire sooner, or give the store more room',
      });
    }
  }

  /** Takes room for these bytes, which belong to `key`. */
  private reserve(bytes: number, key: string): void {
    this.checkRoom(bytes);
    if (!this.shrinkTo((this.budgetBytes ?? Number.POSITIVE_INFINITY) - bytes, key)) {
      throw new MeshError(
        'MESH_LIMIT_EXCEEDED',
        `budgetBytes of the cache is ${this.budgetBytes}, ${bytes} do not fit`,
      );
    }
    this.usedBytes += bytes;
  }

  /** Evicts the least recently used, but never `keep`. Returns whether that was enough. */
  private shrinkTo(bytes: number, keep: string | undefined): boolean {
    for (const key of this.entries.keys()) {
      if (this.usedBytes <= bytes) break;
      if (key === keep) continue;
      this.remove(key);
      this.counts.evicted++;
    }
    return this.usedBytes <= bytes;
  }

  /** Gone at once, by one rename; the bytes follow in the background. Reads under way end with what they have open. */
  private remove(key: string): boolean {
    const entry = this.entries.get(key);
    if (entry === undefined) return false;
    this.entries.delete(key);
    this.manifests.delete(key);
    this.usedBytes -= entry.bytes;
    const trash = this.temporaryPath();
    try {
      renameSync(entry.path, trash);
    } catch {
      return true; // Already gone from the disk, or the disk is failing: nothing of it is served any more.
    }
    const removal: Promise<void> = rm(trash, { recursive: true, force: true })
      .catch(() => undefined)
      .finally(() => this.removals.delete(removal));
    this.removals.add(removal);
    return true;
  }
}
