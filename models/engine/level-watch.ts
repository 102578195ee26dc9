import type { Recent } from '../baselines/recent.ts';
import type { Take } from './slab.ts';

/** A level is the median of so many values: a spike of two is none. */
const run = 5;
/** Levels are remembered as the least and the greatest of each of so many blocks of values: a day of five minutes in all. */
const blocks = 6;
const blockLength = 48;
/** Levels to be known before any can be new: with fewer, what is usual is taken for new too often. */
const knownLeast = blockLength;
/** A level is new beyond those known by that share of how far they reach. */
const margin = 0.25;

/**
 * Notices when a series has come to a level at which it has not been for `blocks * blockLength` values: what was learned of its past says little then of
 * how it goes on. That is over when it comes back, or when the past is that new level.
 */
export class LevelWatch {
  /** Least, then greatest level of each block. */
  readonly #bounds: Float32Array;
  /** Levels that were remembered, ever. */
  #count = 0;
  /** Values since the shift; 0 while there is none. */
  #since = 0;
  #least = 0;
  #greatest = 0;

  constructor(take: Take) {
    this.#bounds = take(2 * blocks);
    this.#forget();
  }

  /** For how many values it has been at a level that is new; 0 where it is not. */
  get since(): number {
    return this.#since;
  }

  /** @param values of the series, the newest among them */
  push(values: Recent): void {
    if (values.size < 2 * run) return;
    const level = medianOf(values, 0);
    const isNew = this.#isNew(level);
    if (this.#since === 0) {
      if (isNew) {
        this.#since = 1;
        this.#least = level;
        this.#greatest = level;
      } else this.#remember(medianOf(values, run));
      return;
    }
    this.#since += 1;
    this.#least = Math.min(this.#least, level);
    this.#greatest = Math.max(this.#greatest, level);
    const isPast = this.#since > blocks * blockLength;
    if (isNew && !isPast) return;
    if (isPast) this.#forget();
    // Where it has been is known from now on.
    this.#widen(this.#least);
    this.#widen(this.#greatest);
    this.#since = 0;
  }

  #isNew(level: number): boolean {
    if (this.#count < knownLeast) return false;
    let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let block = 0; block < blocks; block += 1) {
      least = Math.min(least, this.#bounds[2 * block]!);
      greatest = Math.max(greatest, this.#bounds[2 * block + 1]!);
    }
    const beyond = margin * (greatest - least);
    return level < least - beyond || level > greatest + beyond;
  }

  #remember(level: number): void {
    this.#count += 1;
    if (this.#count % blockLength === 1) this.#clear(this.#block);
    this.#widen(level);
  }

  #widen(level: number): void {
    const block = this.#block;
    this.#bounds[2 * block] = Math.min(this.#bounds[2 * block]!, level);
    this.#bounds[2 * block + 1] = Math.max(this.#bounds[2 * block + 1]!, level);
  }

  get #block(): number {
    return Math.floor((this.#count - 1) / blockLength) % blocks;
  }

  #clear(block: number): void {
    this.#bounds[2 * block] = Number.POSITIVE_INFINITY;
    this.#bounds[2 * block + 1] = Number.NEGATIVE_INFINITY;
  }

  #forget(): void {
    for (let block = 0; block < blocks; block += 1) this.#clear(block);
  }
}

const sorted = new Float64Array(run);

/** Of `run` values, `age` more being newer than all of them. */
function medianOf(values: Recent, age: number): number {
  for (let index = 0; index < run; index += 1) sorted[index] = values.back(age + index + 1);
  return sorted.sort()[run >> 1]!;
}
