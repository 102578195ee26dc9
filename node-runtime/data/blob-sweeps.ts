import { randomBytes } from 'node:crypto';
import { type BlobAnswer, type BlobAsk, isSweeper, limits, MeshError } from '../contract/index.ts';
import type { BlobStore } from './blob-store.ts';

export type SweepAsk = Extract<BlobAsk, { op: 'unused' | 'remove' }>;
type Body<T> = T extends unknown ? Omit<T, 'v' | 'id'> : never;
type SweepAnswer = Body<Extract<BlobAnswer, { op: 'unused' | 'removed' }>>;

export interface BlobSweepsOptions {
  readonly store: BlobStore;
  readonly holder: string;
  readonly graceMs?: number;
}

export function isOfSweep(ask: BlobAsk): ask is SweepAsk {
  return ask.op === 'unused' || ask.op === 'remove';
}

/**
 * A holder knows what was not used for long, and a leader which of that no job needs. A job that is on its way into the log is
 * safe: what it names was asked for when its spec was taken in, either before the list, within the grace time, or after it; and
 * whoever removes something has read the log after the list was made.
 */
export class BlobSweeps {
  readonly #options: BlobSweepsOptions;
  /** The list that was given last, to whom, and since when nothing in it had been used. */
  #last:
    | { readonly sweep: string; readonly requester: string; readonly atMs: number; readonly sinceMs: number }
    | undefined;

  constructor(options: BlobSweepsOptions) {
    this.#options = options;
  }

  answer(requester: string, ask: SweepAsk): SweepAnswer {
    const { graceMs, holder } = this.#options;
    if (graceMs === undefined || !isSweeper(requester))
      throw new MeshError('MESH_NOT_AUTHORIZED', `${holder} lets no blobs go on the word of ${requester}`);
    return ask.op === 'unused' ? this.#list(requester, ask.skip, graceMs) : this.#remove(requester, ask);
  }

  #list(requester: string, skip: number, graceMs: number): SweepAnswer {
    const atMs = performance.now();
    const sinceMs = atMs - graceMs;
    const sweep = randomBytes(12).toString('base64url');
    this.#last = { sweep, requester, atMs, sinceMs };
    const blobs: { blob: string; sizeBytes: number }[] = [];
    let passed = 0;
    for (const { blob, sizeBytes } of this.#options.store.unusedSince(sinceMs)) {
      passed += 1;
      if (passed <= skip) continue;
      if (blobs.length === limits.blobsPerSweep) return { op: 'unused', sweep, graceMs, blobs, more: true };
      blobs.push({ blob, sizeBytes });
    }
    return { op: 'unused', sweep, graceMs, blobs, more: false };
  }

  #remove(requester: string, { sweep, blobs }: SweepAsk & { op: 'remove' }): SweepAnswer {
    const last = this.#last;
    const isLast = last !== undefined && last.sweep === sweep && last.requester === requester;
    if (!isLast || performance.now() - last.atMs > limits.blobSweepMs)
      throw new MeshError('MESH_TERM_STALE', `the list ${sweep} of unused blobs does not hold any more`);
    let removed = 0;
    for (const reference of blobs) if (this.#options.store.removeUnused(reference, last.sinceMs)) removed += 1;
    return { op: 'removed', blobs: removed };
  }
}
