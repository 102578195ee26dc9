import { type RecordIndex, recordIndexProblem } from '@foremesh/partitioner';
import { type DataReference, type IndexedBy, limits, MeshError } from '../contract/index.ts';
import { BlobFetch } from './blob-fetch.ts';
import { BlobRequests, type BlobRequestsOptions } from './blob-requests.ts';
import type { BlobStore } from './blob-store.ts';
import { type TransferOptions, uploadTo } from './blob-upload.ts';
import type { UploadSource } from './bytes-source.ts';
import { blobKey } from './hash.ts';
import { HolderChoice } from './holder-choice.ts';
import { saveFile } from './local-files.ts';
import { RecentMap } from './recent-map.ts';
import { type BlobSource, openSource } from './upload-source.ts';
import { mapAhead } from './windowed.ts';

export interface BlobClientOptions extends BlobRequestsOptions {
  /** Who holds blobs, the first choice first. */
  readonly holders: readonly string[] | (() => readonly string[]);
  /** What was fetched is kept here, and looked for here first. */
  readonly cache?: BlobStore;
  /** For how long a blob that a holder confirmed is not asked about again (60000). */
  readonly confirmedMs?: number;
}

const confirmedMost = 1_024;

/**
 * Blobs by name, wherever they are held. Transfers outlive the connection: they pause while there is none and go on with
 * the next, and give up with `MESH_UNREACHABLE` after `silenceMs` without a sign of life.
 */
export class BlobClient {
  private readonly options: BlobClientOptions;
  private readonly requests: BlobRequests;
  private readonly choice: HolderChoice;
  private readonly fetch: BlobFetch;
  private readonly uploads = new Map<string, Promise<void>>();
  /** Until when a blob counts as held without asking. */
  private readonly confirmedUntilMs = new RecentMap<number>(confirmedMost);

  constructor(options: BlobClientOptions) {
    this.options = options;
    this.requests = new BlobRequests(options);
    this.choice = new HolderChoice(options.holders);
    const report = options.onProblem ?? (() => undefined);
    this.fetch = new BlobFetch(this.requests, this.choice, options.cache, report);
  }

  /**
   * Brings bytes, a file (by its path), a stream or a `Blob` to a holder; durable there when it resolves. What the holder has
   * already is not sent again, neither the whole blob nor the chunks of an upload that was broken off.
   *
   * Throws `MESH_UNREACHABLE`, `MESH_LIMIT_EXCEEDED` (too large, or every holder is full), `MESH_STORAGE_FAILED`,
   * `MESH_INPUT_INVALID` (the file changed meanwhile), or the signal's reason.
   */
  async put(source: BlobSource, options: TransferOptions = {}): Promise<DataReference> {
    const opened = await openSource(source, this.options.cache?.temporaryPath());
    try {
      await this.upload(opened, options);
      return opened.reference;
    } finally {
      await opened.close();
    }
  }

  /**
   * All bytes of a blob, in memory. Throws `MESH_BLOB_MISSING`, `MESH_BLOB_CORRUPT` (every holder that has it gives wrong
   * bytes), `MESH_UNREACHABLE`, or the signal's reason.
   */
  get(reference: DataReference, options: TransferOptions = {}): Promise<Uint8Array> {
    return this.getRange(reference, 0, reference.sizeBytes, options);
  }

  /** Bytes [start, end), verified like the whole; of a large blob only the chunks that they touch are fetched. */
  async getRange(
    reference: DataReference,
    start: number,
    end: number,
    options: TransferOptions = {},
  ): Promise<Uint8Array> {
    checkRange(reference, start, end);
    const all = new Uint8Array(end - start);
    let at = 0;
    for await (const bytes of this.stream(reference, start, end, options)) {
      all.set(bytes, at);
      at += bytes.length;
    }
    return all;
  }

  /** Bytes [start, end) in pieces of up to `blobChunkBytes`, a few read ahead. They are not to be written to. */
  async *stream(
    reference: DataReference,
    start = 0,
    end: number = reference.sizeBytes,
    options: TransferOptions = {},
  ): AsyncGenerator<Uint8Array> {
    checkRange(reference, start, end);
    const { onProgress, signal } = options;
    const first = Math.floor(start / limits.blobChunkBytes);
    const behind = end === start ? first : Math.ceil(end / limits.blobChunkBytes);
    const chunks = Array.from({ length: behind - first }, (_, i) => first + i);
    let doneBytes = 0;
    onProgress?.({ doneBytes, totalBytes: end - start });
    const pieces = mapAhead(chunks, limits.blobWindowRequests, async (chunk) => {
      signal?.throwIfAborted();
      const bytes = await this.fetch.chunk(reference, chunk);
      const from = chunk * limits.blobChunkBytes;
      return bytes.subarray(Math.max(0, start - from), Math.min(end - from, bytes.length));
    });
    for await (const piece of pieces) {
      yield piece;
      doneBytes += piece.length;
      onProgress?.({ doneBytes, totalBytes: end - start });
    }
  }

  /** Writes a blob to a file, which appears once it is complete. Throws as `get`, and `MESH_STORAGE_FAILED`. */
  async download(reference: DataReference, filePath: string, options: TransferOptions = {}): Promise<void> {
    await saveFile(this.stream(reference, 0, reference.sizeBytes, options), filePath);
  }

  /**
   * Where the records of a blob begin; its holder reads it. Throws `MESH_INPUT_INVALID` when it is not what `by` says,
   * `MESH_LIMIT_EXCEEDED` when a record is too large, otherwise as `get`.
   */
  async index(reference: DataReference, by: IndexedBy): Promise<RecordIndex> {
    return this.choice.first(
      async (holder) => {
        const { index } = await this.requests.ask(holder, { op: 'index', ...reference, by }, 'index');
        const wrong = index.by === by ? recordIndexProblem(index) : `it is by ${index.by}`;
        if (wrong === undefined && index.endOffset <= reference.sizeBytes) return index;
        throw new MeshError('MESH_BLOB_CORRUPT', `${holder} gave a wrong index: ${wrong ?? 'it passes the end'}`);
      },
      (error) => error.code !== 'MESH_INPUT_INVALID' && error.code !== 'MESH_LIMIT_EXCEEDED' && this.another(error),
    );
  }

  /**
   * Resolves when a holder has all of it; asks anew, whatever is in the cache, and so keeps it there for the holder's grace
   * time. Throws `MESH_BLOB_MISSING` or `MESH_UNREACHABLE`.
   */
  async checkHeld(reference: DataReference): Promise<void> {
    await this.choice.first(
      async (holder) => {
        const { complete } = await this.requests
          .ask(holder, { op: 'begin', ...reference }, 'missing')
          .catch((error) => {
            // It has no room for what it would have to take: it does not have it.
            if (error instanceof MeshError && error.code === 'MESH_LIMIT_EXCEEDED') return { complete: false };
            throw error;
          });
        if (!complete) throw new MeshError('MESH_BLOB_MISSING', `${holder} does not have ${reference.blob}`);
      },
      (error) => this.another(error),
    );
  }

  /** Asks the same holders under another name. The caller closes it. */
  requestsAs(requester: string): BlobRequests {
    return new BlobRequests({ ...this.options, requester });
  }

  /** Tells that there is a new connection, so that transfers go on at once. */
  reconnected(): void {
    this.requests.reconnected();
  }

  /** Ends transfers with `MESH_UNREACHABLE`. The cache and the connection stay open. */
  async close(): Promise<void> {
    await this.requests.close();
    await Promise.allSettled(this.uploads.values());
  }

  private async upload(source: UploadSource, options: TransferOptions): Promise<void> {
    const key = blobKey(source.reference);
    const totalBytes = source.reference.sizeBytes;
    const until = this.confirmedUntilMs.get(key);
    if (until === undefined || until <= performance.now()) {
      const before = this.uploads.get(key);
      if (before !== undefined) {
        // The same bytes are on their way; should that fail (its signal, its file), this one is there to go on.
        const done = await before.then(
          () => true,
          () => false,
        );
        if (!done) return this.upload(source, options);
      } else {
        const mine = this.choice
          .first(
            (holder) => uploadTo(holder, source, this.requests, options),
            (error) => {
              // What has a place is ours: the source cannot be read, whoever takes it.
              const ours = error.code === 'MESH_INPUT_INVALID' || error.where !== undefined;
              return !ours && this.another(error);
            },
          )
          .finally(() => this.uploads.delete(key));
        this.uploads.set(key, mine);
        await mine;
        this.confirmedUntilMs.set(key, performance.now() + (this.options.confirmedMs ?? 60_000));
        return;
      }
    }
    options.onProgress?.({ doneBytes: totalBytes, totalBytes });
  }

  /** Without a connection another holder is no nearer. */
  private another(error: MeshError): boolean {
    return error.code !== 'MESH_UNREACHABLE' || this.requests.connected;
  }
}

function checkRange({ sizeBytes }: DataReference, start: number, end: number): void {
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= sizeBytes)) {
    throw new MeshError('MESH_INPUT_INVALID', `[${start}, ${end}) is no range of ${sizeBytes} bytes`);
  }
}
