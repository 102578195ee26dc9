export interface BlobStoreOptions {
  /** A cache: above it what was used least recently goes. */
  readonly budgetBytes?: number;
  /** A holder: above it nothing more is taken (`MESH_LIMIT_EXCEEDED`). */
  readonly limitBytes?: number;
  /** Whether a commit reaches the disk before it resolves (fsync). True unless there is a budget: SD cards wear. */
  readonly durable?: boolean;
}

/** What an upload has still to send. */
export interface MissingParts {
  readonly complete: boolean;
  /** The manifest is wanted, before any chunk. */
  readonly manifest: boolean;
  readonly missing: number[];
}

export interface BlobStoreStats {
  readonly blobs: number;
  /** Uploads or cached ranges that are not whole. */
  readonly partials: number;
  readonly usedBytes: number;
  /** Since it was opened: what wears the disk. */
  readonly writtenBytes: number;
  readonly evicted: number;
  /** Blobs or chunks whose bytes on disk no longer fitted their hash, and were dropped. */
  readonly corrupt: number;
}
