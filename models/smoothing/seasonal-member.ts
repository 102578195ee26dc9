import type { PeriodBins } from '../season/profile.ts';
import type { Precision } from './precision.ts';

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
  /** Codes of its seasons, one after the other. */
  readonly #profiles: ReturnType<Precision['create']>;
  readonly #precision: Precision;
  #level: number;
  #trend = 0;
  #residual = 0;

  /** `profiles` begin the seasons, in that precision; they are the member's own from now on. Bins that the weights do not use are left aside. */
  constructor(
    weights: SmoothingWeights,
    bins: readonly PeriodBins[],
    level: number,
    profiles: ReturnType<Precision['create']>,
    precision: Precision,
  ) {
    this.#weights = weights;
    this.#bins = bins;
    this.#level = level;
    this.#profiles = profiles;
    this.#precision = precision;
  }

  /** How many it knows. */
  get seasons(): number {
    return Math.min(this.#weights.seasons.length, this.#bins.length);
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
    for (let season = 0, begin = 0; season < this.seasons; season += 1) {
      const bins = this.#bins[season]!;
      // A bin of several steps learns its weight per period.
      const gain = 1 - (1 - this.#weights.seasons[season]!) ** (bins.count / bins.period);
      const at = begin + bins.at(index);
      this.#profiles[at] = this.#precision.encode(this.#precision.decode(this.#profiles[at]!) + gain * error);
      begin += bins.count;
    }
  }

  /** What is expected at `steps` steps after the value with index `last`. */
  expected(steps: number, last: number): number {
    const trend = (this.#trend * damping * (1 - damping ** steps)) / (1 - damping);
    return this.#level + trend + this.#seasonal(last + steps) + this.#residual * this.#weights.carried ** steps;
  }

  #seasonal(index: number): number {
    let sum = 0;
    for (let season = 0, begin = 0; season < this.seasons; season += 1) {
      const bins = this.#bins[season]!;
      sum += this.#precision.decode(this.#profiles[begin + bins.at(index)]!);
      begin += bins.count;
    }
    return sum;
  }
}
