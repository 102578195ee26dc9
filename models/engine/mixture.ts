import { type Take, takeAlone } from './slab.ts';

/** With one rate, losses beyond this many units are outliers: they count as this much. */
const lossMost = 5;
/** With own rates, they count in full, as far as the sums of their squares stay numbers. */
const ownLossMost = 1e6;

export interface MixtureState {
  readonly regrets: readonly number[];
  readonly squares: readonly number[];
}

/**
 * Weights of experts by exponentiated gradients: a weighted mean of their quantiles competes with the best fixed mean
 * (Kivinen and Warmuth 1997; rates by the squares of past losses as in Gaillard, Stoltz and van Erven 2014). One row of experts per
 * cell, a cell being an anchor and a level: near and far steps, low and high quantiles have the weights that suit them. Old losses
 * fade, so that the weights follow the series.
 *
 * A row has one rate, by the greatest squares, or one of each expert, by its own ("A second-order bound with excess losses"): where few
 * bursts make nearly all of the loss, they count in full then, and leave it to everyday losses to tell those apart who did not differ about them.
 */
export class Mixture {
  readonly #experts: number;
  /** Rates of a cell: 1, or one of each expert. */
  readonly rates: number;
  readonly #logarithm: number;
  /** Per cell and expert; each row sums to 1. */
  readonly weights: Float32Array;
  readonly #regrets: Float32Array;
  /** Per cell and rate. */
  readonly #squares: Float32Array;

  /**
   * @param sleepers of the experts, those that mostly sleep: the others learn as fast as without them
   * @param ownRates of each expert, and losses in full
   * @param weights of cells and experts; mixtures that always `weigh` before they `mix` can share them
   */
  constructor(
    cells: number,
    experts: number,
    sleepers = 0,
    ownRates = false,
    weights: Float32Array = new Float32Array(cells * experts),
    take: Take = takeAlone,
  ) {
    this.#experts = experts;
    this.rates = ownRates ? experts : 1;
    this.#logarithm = Math.log(experts - sleepers);
    this.weights = weights.fill(1 / experts);
    this.#regrets = take(cells * experts);
    this.#squares = take(cells * this.rates);
  }

  /**
   * The weighted mean of what the experts say for `cell`, from `at` on in `forecasts`. One that says NaN, or is `asleep`, has no weight in the mean. Who says NaN in
   * `learn` neither wins nor loses weight for when it wakes (Freund, Schapire, Singer and Warmuth 1997, experts that specialize). The first never sleeps.
   */
  mix(cell: number, forecasts: Float32Array, at: number, asleep?: Uint8Array): number {
    const base = cell * this.#experts;
    let sum = 0;
    let weights = 0;
    for (let expert = 0; expert < this.#experts; expert += 1) {
      const forecast = forecasts[at + expert]!;
      if (Number.isNaN(forecast) || asleep?.[expert] === 1) continue;
      weights += this.weights[base + expert]!;
      sum += this.weights[base + expert]! * forecast;
    }
    return sum / weights;
  }

  /**
   * @param slope of the pinball loss at `mixed`, what the experts' forecasts were mixed to
   * @param unit of the losses
   * @param keep what old losses fade by
   * @param newSquares gets the squared losses, one per rate: the greatest of those who share it
   */
  learn(
    cell: number,
    slope: number,
    forecasts: Float32Array,
    at: number,
    mixed: number,
    unit: number,
    keep: number,
    newSquares: Float64Array,
  ): void {
    const { rates } = this;
    const base = cell * this.#experts;
    const most = rates > 1 ? ownLossMost : lossMost;
    newSquares.fill(0);
    for (let expert = 0; expert < this.#experts; expert += 1) {
      const forecast = forecasts[at + expert]!;
      const raw = Number.isNaN(forecast) ? 0 : (slope * (forecast - mixed)) / unit;
      const loss = Math.min(most, Math.max(-most, raw));
      this.#regrets[base + expert] = keep * this.#regrets[base + expert]! + loss;
      newSquares[expert % rates] = Math.max(newSquares[expert % rates]!, loss * loss);
    }
    for (let rate = 0, square = cell * rates; rate < rates; rate += 1, square += 1)
      this.#squares[square] = keep * this.#squares[square]! + newSquares[rate]!;
  }

  /**
   * Weights anew, from those of `prior` (or equal ones), which is worth `doubt` losses of the squares `meanSquares`, per cell and rate. A higher
   * `pace` moves them farther for the same losses.
   */
  weigh(cell: number, pace = 1, prior?: Mixture, doubt = 0, meanSquares?: Float64Array): void {
    const { weights, rates } = this;
    const experts = this.#experts;
    const base = cell * experts;
    let rate = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let expert = 0; expert < experts; expert += 1) {
      if (expert < rates) rate = this.#rate(cell * rates + expert, pace, doubt, meanSquares);
      most = Math.max(most, -rate * this.#regrets[base + expert]!);
    }
    let sum = 0;
    for (let expert = 0, at = base; expert < experts; expert += 1, at += 1) {
      if (expert < rates) rate = this.#rate(cell * rates + expert, pace, doubt, meanSquares);
      const weight = Math.exp(-rate * this.#regrets[at]! - most) * (prior?.weights[at] ?? 1) + 1e-9;
      weights[at] = weight;
      sum += weight;
    }
    for (let at = base; at < base + experts; at += 1) weights[at]! /= sum;
  }

  /** Gives an expert at least that share of the weights of a cell, after `weigh` and until the next one. */
  lift(cell: number, expert: number, share: number): void {
    const base = cell * this.#experts;
    const own = this.weights[base + expert]!;
    if (own >= share) return;
    for (let at = base; at < base + this.#experts; at += 1) this.weights[at]! *= (1 - share) / (1 - own);
    this.weights[base + expert] = share;
  }

  #rate(at: number, pace: number, doubt: number, meanSquares: Float64Array | undefined): number {
    return pace * Math.sqrt(this.#logarithm / (this.#squares[at]! + doubt * (meanSquares?.[at] ?? 0) + 1e-9));
  }

  save(): MixtureState {
    return { regrets: [...this.#regrets], squares: [...this.#squares] };
  }

  restore({ regrets, squares }: MixtureState): void {
    this.#regrets.set(regrets);
    this.#squares.set(squares);
    for (let cell = 0; cell < squares.length / this.rates; cell += 1) this.weigh(cell);
  }
}

/** Derivative of the pinball loss at `forecast`; none where the value is met exactly. */
export function slopeAt(level: number, value: number, forecast: number): number {
  if (value === forecast) return 0;
  return value < forecast ? 1 - level : -level;
}
