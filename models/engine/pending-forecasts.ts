import { strideOf } from './anchors.ts';
import { fromBrainFloat, toBrainFloat } from './brain-float.ts';
import type { Pool } from './pool.ts';
import type { Take } from './slab.ts';
import { levels } from './track.ts';

/**
 * What stands behind the members' forecasts in a row, in this order: their mean with pooled weights; what was said with own weights; that calibrated; and, at a
 * new level, the mean with own weights of all members, and of those that follow it at once.
 */
export const mix = { pooled: 0, own: 1, given: 2, all: 3, quick: 4 } as const;
export const mixes = Object.keys(mix).length;

/** Forecasts of one series that wait for the values they are about: rings, per anchor as many origins as it is far, in its strides. */
export class PendingForecasts {
  readonly #pool: Pool;
  /** Numbers that an origin keeps of a level: the mixes, and, where there is a slot, what its model said itself, NaN where nothing. */
  readonly #kept: number;
  /** Numbers that an origin keeps at an anchor: those of its levels, then the scale, and how long the level was new. */
  readonly #length: number;
  readonly #numbers: Float32Array;
  /** How far from the mix with own weights the members are, in half the bits: they are only weighed by it. */
  readonly #spoken: Uint16Array;
  #origin = 0;

  constructor(pool: Pool, take: Take) {
    this.#pool = pool;
    const origins = pool.origins.at(-1)!;
    this.#kept = pool.row - pool.experts.length;
    this.#length = levels.length * this.#kept + 2;
    this.#numbers = take(origins * this.#length);
    const spoken = origins * levels.length * pool.experts.length;
    const { buffer, byteOffset } = take(Math.ceil(spoken / 2));
    this.#spoken = new Uint16Array(buffer, byteOffset, spoken);
  }

  /** Goes to the forecast at an anchor for the value of that number, at a whole stride; after `remember`, the newest. */
  seek(anchor: number, count: number): void {
    const { anchors, origins } = this.#pool;
    const step = anchors[anchor]!;
    this.#origin = origins[anchor]! + (count % step) / strideOf(step);
  }

  /** Of the series' movements, when the forecast was made. */
  get scale(): number {
    return this.#numbers[(this.#origin + 1) * this.#length - 2]!;
  }

  /** For how many values the level was new then. */
  get since(): number {
    return this.#numbers[(this.#origin + 1) * this.#length - 1]!;
  }

  /** What was said for a level: one of `mix`. */
  said(level: number, which: number): number {
    return this.#numbers[this.#origin * this.#length + level * this.#kept + which]!;
  }

  /** What the model in the pool's slot said itself; NaN where nothing. Only where there is a slot. */
  learned(level: number): number {
    return this.said(level, this.#kept - 1);
  }

  /** What the members said for a level, from the first place of `forecasts` on. */
  readMembers(level: number, forecasts: Float32Array): void {
    const experts = this.#pool.experts.length;
    const middle = this.said(level, mix.own);
    const spoken = (this.#origin * levels.length + level) * experts;
    for (let expert = 0; expert < experts; expert += 1)
      forecasts[expert] = middle + fromBrainFloat(this.#spoken[spoken + expert]!);
  }

  /** Puts what stands in the pool's `now` where the values that it is about will find it. */
  remember(count: number, scale: number, since: number): void {
    const { anchors, experts: names, now, row } = this.#pool;
    const experts = names.length;
    for (let anchor = 0; anchor < anchors.length; anchor += 1) {
      if (count % strideOf(anchors[anchor]!) !== 0) continue;
      this.seek(anchor, count);
      let at = this.#origin * this.#length;
      let spoken = this.#origin * levels.length * experts;
      for (let level = 0, from = anchor * levels.length * row; level < levels.length; level += 1, from += row) {
        const middle = now[from + experts + mix.own]!;
        for (let expert = 0; expert < experts; expert += 1)
          this.#spoken[spoken++] = toBrainFloat(now[from + expert]! - middle);
        for (let kept = 0; kept < this.#kept; kept += 1) this.#numbers[at++] = now[from + experts + kept]!;
      }
      this.#numbers[at] = scale;
      this.#numbers[at + 1] = since;
    }
  }

  /** Another model is in the slot: what the one before has said is not its. */
  forgetLearned(): void {
    for (let at = 0; at < this.#numbers.length; at += this.#length)
      for (let level = 1; level <= levels.length; level += 1) this.#numbers[at + level * this.#kept - 1] = Number.NaN;
  }
}
