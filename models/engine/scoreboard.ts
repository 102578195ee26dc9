import type { Take } from './slab.ts';

/** Share of the newest value in a score: scores are about the last hundred values. */
const newestShare = 0.01;
/** A challenger takes over when its loss is this much of the champion's. */
const takeover = 0.95;

/** Mean pinball losses of the members on one series, with older values fading; and which member is the champion. */
export class Scoreboard {
  readonly losses: Float32Array;
  champion = 0;
  readonly #sums: Float32Array;
  #added = 0;
  #values = 0;

  /** @param entrants the members and, last, the engine itself, which is no candidate */
  constructor(entrants: number, take: Take) {
    this.losses = take(entrants);
    this.#sums = take(entrants);
  }

  /** How many values the scores are made from, at most the hundred or so that count. */
  get evidence(): number {
    return Math.min(this.#values, 1 / newestShare);
  }

  add(entrant: number, loss: number): void {
    this.#sums[entrant]! += loss;
    if (entrant === 0) this.#added += 1;
  }

  /** All losses that one value brought have been added. */
  close(): void {
    if (this.#added === 0) return;
    this.#values += 1;
    const share = Math.max(newestShare, 1 / this.#values);
    let best = this.champion;
    for (let entrant = 0; entrant < this.losses.length; entrant += 1) {
      const mean = this.#sums[entrant]! / this.#added;
      this.losses[entrant]! += share * (mean - this.losses[entrant]!);
      if (entrant < this.losses.length - 1 && this.losses[entrant]! < this.losses[best]!) best = entrant;
    }
    if (this.losses[best]! < takeover * this.losses[this.champion]!) this.champion = best;
    this.#sums.fill(0);
    this.#added = 0;
  }
}
