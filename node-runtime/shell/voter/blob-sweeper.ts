import type { Logger } from 'pino';
import { asMeshError, type DataReference, limits, sweeperOf } from '../../contract/index.ts';
import { type Ledger, unneededBlobs } from '../../core/index.ts';
import type { BlobClient, BlobRequests } from '../../data/index.ts';

export interface BlobSweeperOptions {
  readonly id: string;
  readonly holders: readonly string[];
  readonly blobs: BlobClient;
  /** Undefined unless this node leads now: only then its log has all that was accepted up to now. */
  readonly ledger: () => Ledger | undefined;
  readonly log: Logger;
}

/** After the grace time of a holder: what was used just before a job was forgotten is unused then. */
const afterGraceMs = 500;

/**
 * Lets holders remove what no job needs any more: now and then, and when jobs were forgotten. Nothing of it is remembered: what
 * one leader did not get to, the next one finds; a holder lists what it has not given or taken for a while.
 */
export class BlobSweeper {
  readonly #options: BlobSweeperOptions;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  /** What holders say; until one has, a sweep finds out. */
  #graceMs = 0;
  #forgottenMs = Number.NEGATIVE_INFINITY;
  #sweeping = false;
  #leads = false;

  constructor(options: BlobSweeperOptions) {
    this.#options = options;
  }

  leads(leads: boolean): void {
    this.#leads = leads;
    clearTimeout(this.#timer);
    this.#dueMs = Number.POSITIVE_INFINITY;
    if (leads) this.#due(limits.blobSweepEveryMs);
  }

  /** A job was forgotten: what it named may be needed by none. */
  jobForgotten(): void {
    this.#forgottenMs = performance.now();
    this.#due(this.#graceMs + afterGraceMs);
  }

  close(): void {
    this.leads(false);
  }

  #due(inMs: number): void {
    const dueMs = performance.now() + Math.min(inMs, limits.blobSweepEveryMs);
    if (!this.#leads || this.#sweeping || dueMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => void this.#sweepAll(), dueMs - performance.now());
    this.#timer.unref();
  }

  async #sweepAll(): Promise<void> {
    const { id, holders, blobs, log } = this.#options;
    const name = sweeperOf(id);
    this.#dueMs = Number.POSITIVE_INFINITY;
    if (name === undefined) {
      log.warn({ id }, 'blobs do not expire while this node leads: its name is too long to ask for it');
      return;
    }
    const beganMs = performance.now();
    this.#sweeping = true;
    const requests = blobs.requestsAs(name);
    try {
      for (const holder of holders) await this.#sweep(holder, requests);
    } catch (error) {
      // Nothing is lost by it: the next sweep lists the same again.
      log.info(`blobs that no job needs were not removed: ${asMeshError(error, 'MESH_UNREACHABLE').toLine()}`);
    } finally {
      await requests.close();
      this.#sweeping = false;
    }
    const settledMs = this.#forgottenMs + this.#graceMs + afterGraceMs;
    this.#due(settledMs > beganMs ? settledMs - performance.now() : limits.blobSweepEveryMs);
  }

  async #sweep(holder: string, requests: BlobRequests): Promise<void> {
    let kept = 0;
    let removed = 0;
    for (let more = true; more; ) {
      const list = await requests.ask(holder, { op: 'unused', skip: kept }, 'unused');
      this.#graceMs = list.graceMs;
      more = list.more;
      // Read after the list was made, and by who leads now: see `BlobSweeps`.
      const ledger = this.#options.ledger();
      if (ledger === undefined) return;
      const blobs: DataReference[] = unneededBlobs(ledger, list.blobs);
      kept += list.blobs.length - blobs.length;
      if (blobs.length === 0) continue;
      const answer = await requests.ask(holder, { op: 'remove', sweep: list.sweep, blobs }, 'removed');
      removed += answer.blobs;
    }
    if (removed > 0) this.#options.log.info({ holder, removed, kept }, 'blobs that no job needs were removed');
  }
}
