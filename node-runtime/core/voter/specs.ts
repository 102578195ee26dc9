import { limits } from '../../contract/index.ts';
import { jobKeyOf } from '../job-plan.ts';

/** A spec as it was published, and the hash of what it means. */
export interface JobSpecBytes {
  readonly account: string;
  readonly job: string;
  readonly specHash: string;
  readonly payload: Uint8Array;
}

/**
 * Specs that the log has not answered for yet. Every voter holds them, so that a job which is published while nobody leads,
 * or whose leader dies before it is in the log, is taken in by the next leader. Bounded: a client that wants certainty
 * repeats until it hears `accepted`.
 */
export class HeldSpecs {
  readonly #specs = new Map<string, JobSpecBytes>();
  #bytes = 0;

  get size(): number {
    return this.#specs.size;
  }

  hold(spec: JobSpecBytes): void {
    const key = `${jobKeyOf(spec.account, spec.job)}#${spec.specHash}`;
    if (this.#specs.has(key)) return;
    if (this.#specs.size >= limits.specsHeld || this.#bytes + spec.payload.length > limits.specsHeldBytes) return;
    this.#specs.set(key, spec);
    this.#bytes += spec.payload.length;
  }

  /** All of a job: its id is settled. */
  drop(account: string, job: string): void {
    for (const [key, spec] of this.#specs) {
      if (spec.account !== account || spec.job !== job) continue;
      this.#specs.delete(key);
      this.#bytes -= spec.payload.length;
    }
  }

  all(): JobSpecBytes[] {
    return [...this.#specs.values()];
  }
}
