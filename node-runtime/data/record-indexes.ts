import { createRecordScanner, type RecordIndex, RecordsError } from '@foremesh/partitioner';
import { type DataReference, type IndexedBy, limits, MeshError } from '../contract/index.ts';
import type { BlobStore } from './blob-store.ts';
import { blobKey } from './hash.ts';
import { KeyedLock } from './keyed-lock.ts';
import { RecentMap } from './recent-map.ts';

/**
 * Where the records of a stream begin. Throws `MESH_INPUT_INVALID` when it is not what `by` says, and
 * `MESH_LIMIT_EXCEEDED` when a record is larger than `recordBytes`.
 */
export async function indexRecords(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  by: IndexedBy,
): Promise<RecordIndex> {
  const scanner = createRecordScanner(by, { maxMarks: limits.indexMarks, maxRecordBytes: limits.recordBytes });
  try {
    for await (const chunk of chunks) scanner.push(chunk);
    return scanner.finish();
  } catch (error) {
    if (!(error instanceof RecordsError)) throw error;
    if (error.kind === 'too-large') {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `recordBytes is ${limits.recordBytes}: ${error.message}`, {
        cause: error,
        mend: 'use smaller records, or do not split this stage',
      });
    }
    throw new MeshError('MESH_INPUT_INVALID', `cannot split by ${by}: ${error.message}`, {
      cause: error,
      mend:
        by === 'files' ? 'give files (`input: [PATHS]`), or an archive of tar' : 'mend the input, or split by lines',
    });
  }
}

const held = 64;

/** Record indexes of the blobs of a store, made when they are asked for, one at a time, and kept in memory. */
export class RecordIndexes {
  private readonly store: BlobStore;
  private readonly known = new RecentMap<Promise<RecordIndex>>(held);
  private readonly lock = new KeyedLock();

  constructor(store: BlobStore) {
    this.store = store;
  }

  /** Throws as `indexRecords`, and what reading the blob throws. */
  of(reference: DataReference, by: IndexedBy): Promise<RecordIndex> {
    if (!this.store.has(reference)) {
      return Promise.reject(new MeshError('MESH_BLOB_MISSING', `${reference.blob} is not in the store`));
    }
    const key = `${blobKey(reference)} ${by}`;
    const before = this.known.get(key);
    if (before !== undefined) return before;
    const index = this.lock.run('', () => indexRecords(this.store.stream(reference), by));
    this.known.set(key, index);
    index.catch((error) => {
      // What is wrong with the content stays wrong; what the disk did may pass.
      if (!(error instanceof MeshError && error.code === 'MESH_INPUT_INVALID')) this.known.delete(key);
    });
    return index;
  }
}
