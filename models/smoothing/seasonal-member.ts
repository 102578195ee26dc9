import type { Take } from '../engine/slab.ts';
import type { PeriodBins } from '../season/profile.ts';

/** Weights of one member, each the share of an error that is learned. */
export interface SmoothingWeights {
  readonly level: number;
  readonly trend: number;
  /** Per period, shortest first. A member without a second one ignores a second period. */
  readonly seasons: readonly number[];
  /** What of the last error is expected again (Taylor 2003: autoregression of the first order). */
  readonly carried: number;
}

/** Share of the trend that is left after each step (Gardner and McKenzie 1985). */
const damping = 0.98;

/**
 * Exponential smoothing with a damped trend and up to two seasons, additive, and an autoregressive error (Winters 1960; Taylor
 * 2003), in error-correction form. With weights of 0 for the level and 1 for a season it is the seasonal naive forecast.
 */
export class SeasonalMember {
  readonly #weights: SmoothingWeights;
  readonly #bins: readonly PeriodBins[];
  readonly #profiles: readonly Float32Array[];
  /** What is learned per step of each season, so that a bin of several steps learns its weight per period. */
  readonly #gains: readonly number[];
  #level: number;
  #trend = 0;
  #residual = 0;

  /** `profiles` begin the seasons; those that the weights do not use are left out. */
  constructor(
    weights: SmoothingWeights,
    bins: readonly PeriodBins[],
    level: number,
    profiles: readonly Float32Array[],
    take: Take,
  ) {
    this.#weights = weights;
    this.#bins = bins.slice(0, weights.seasons.length);
    this.#profiles = profiles.slice(0, weights.seasons.length).map((profile) => {
      const own = take(profile.length);
      own.set(profile);
      return own;
    });
    this.#gains = this.#bins.map(({ count, period }, season) => 1 - (1 - weights.seasons[season]!) ** (count / period));
    this.#level = level;
  }

  /** How many it knows. */
  get seasons(): number {
    return this.#bins.length;
  }

  /** `index` is that of the value in the series. NaN: missing. */
  observe(value: number, index: number): void {
    const { level, trend, carried } = this.#weights;
    const expected = this.#level + damping * this.#trend;
    this.#trend *= damping;
    if (Number.isNaN(value)) {
      this.#level = expected;
      this.#residual *= carried;
      return;
    }
    const residual = value - expected - this.#seasonal(index);
    const error = residual - carried * this.#residual;
    this.#residual = residual;
    this.#level = expected + level * error;
    this.#trend += trend * error;
    for (let season = 0; season < this.#bins.length; season += 1)
      this.#profiles[season]![this.#bins[season]!.at(index)]! += this.#gains[season]! * error;
  }

  /** What is expected at `steps` steps after the value with index `last`. */
  expected(steps: number, last: number): number {
    const trend = (this.#trend * damping * (1 - damping ** steps)) / (1 - damping);
    return this.#level + trend + this.#seasonal(last + steps) + this.#residual * this.#weights.carried ** steps;
  }

  #seasonal(index: number): number {
    let sum = 0;
    for (let season = 0; season < this.#bins.length; season += 1)
      sum += this.#profiles[season]![this.#bins[season]!.at(index)]!;
    return sum;
  }
}
