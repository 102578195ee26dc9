import { type Take, takeAlone } from './slab.ts';

/** Losses beyond this many units count as this much, so that sums of their squares stay numbers. */
const lossMost = 1e6;

export interface MixtureState {
  readonly regrets: readonly number[];
  readonly squares: readonly number[];
}

/**
 * Weights of experts by exponentiated gradients: a weighted mean of their quantiles competes with the best fixed mean
 * (Kivinen and Warmuth 1997). Each expert has a rate of its own, by the squares of its excess losses (Gaillard, Stoltz and van Erven 2014,
 * "A second-order bound with excess losses"): a burst that makes nearly all of a series' loss moves those who differed about it as far as it
 * must, and leaves it to everyday losses to tell the others apart. One row of experts per cell, a cell being an anchor and a level: near and
 * far steps, low and high quantiles have the weights that suit them. Old losses fade, so that the weights follow the series.
 */
export class Mixture {
  readonly #experts: number;
  readonly #logarithm: number;
  /** Per cell and expert; each row sums to 1. */
  readonly weights: Float32Array;
  readonly #regrets: Float32Array;
  /** As the regrets: sums of squared excess losses. */
  readonly #squares: Float32Array;

  /**
   * @param sleepers of the experts, those that mostly sleep: the others learn as fast as without them
   * @param weights of cells and experts; mixtures that always `weigh` before they `mix` can share them
   */
  constructor(
    cells: number,
    experts: number,
    sleepers = 0,
    weights: Float32Array = new Float32Array(cells * experts),
    take: Take = takeAlone,
  ) {
    this.#experts = experts;
    this.#logarithm = Math.log(experts - sleepers);
    this.weights = weights.fill(1 / experts);
    this.#regrets = take(cells * experts);
    this.#squares = take(cells * experts);
  }

  /**
   * The weighted mean of what the experts say for `cell`, from `at` on in `forecasts`. One that says NaN sleeps: its weight in the mean is nothing, and
   * it neither wins nor loses weight for when it wakes (Freund, Schapire, Singer and Warmuth 1997, experts that specialize). The first never sleeps.
   */
  mix(cell: number, forecasts: Float32Array, at: number): number {
    const base = cell * this.#experts;
    let [sum, weights] = [0, 0];
    for (let expert = 0; expert < this.#experts; expert += 1) {
      const forecast = forecasts[at + expert]!;
      if (Number.isNaN(forecast)) continue;
      weights += this.weights[base + expert]!;
      sum += this.weights[base + expert]! * forecast;
    }
    return sum / weights;
  }

  /**
   * @param slope of the pinball loss at `mixed`, what the experts' forecasts were mixed to
   * @param unit of the losses
   * @param keep what old losses fade by
   * @param lossSquares gets the squared losses of the experts
   */
  learn(
    cell: number,
    slope: number,
    forecasts: Float32Array,
    at: number,
    mixed: number,
    unit: number,
    keep: number,
    lossSquares?: Float64Array,
  ): void {
    const base = cell * this.#experts;
    for (let expert = 0; expert < this.#experts; expert += 1) {
      const forecast = forecasts[at + expert]!;
      const raw = Number.isNaN(forecast) ? 0 : (slope * (forecast - mixed)) / unit;
      const loss = Math.min(lossMost, Math.max(-lossMost, raw));
      this.#regrets[base + expert] = keep * this.#regrets[base + expert]! + loss;
      const square = loss * loss;
      this.#squares[base + expert] = keep * this.#squares[base + expert]! + square;
      if (lossSquares !== undefined) lossSquares[expert] = square;
    }
  }

  /**
   * Weights anew, from those of `prior` (or equal ones), which is worth `doubt` losses of the squares `meanSquares`. A higher `pace` moves them
   * farther for the same losses.
   */
  weigh(cell: number, pace = 1, prior?: Mixture, doubt = 0, meanSquares?: Float64Array): void {
    const { weights } = this;
    const base = cell * this.#experts;
    const end = base + this.#experts;
    let most = Number.NEGATIVE_INFINITY;
    for (let at = base; at < end; at += 1) {
      const rate = Math.sqrt(this.#logarithm / (this.#squares[at]! + doubt * (meanSquares?.[at] ?? 0) + 1e-9));
      weights[at] = -pace * rate * this.#regrets[at]!;
      most = Math.max(most, weights[at]!);
    }
    let sum = 0;
    for (let at = base; at < end; at += 1) {
      const weight = Math.exp(weights[at]! - most) * (prior?.weights[at] ?? 1) + 1e-9;
      weights[at] = weight;
      sum += weight;
    }
    for (let at = base; at < end; at += 1) weights[at]! /= sum;
  }

  save(): MixtureState {
    return { regrets: [...this.#regrets], squares: [...this.#squares] };
  }

  restore({ regrets, squares }: MixtureState): void {
    this.#regrets.set(regrets);
    this.#squares.set(squares);
    for (let cell = 0; cell < squares.length / this.#experts; cell += 1) this.weigh(cell);
  }
}

/** Derivative of the pinball loss at `forecast`; none where the value is met exactly. */
export function slopeAt(level: number, value: number, forecast: number): number {
  if (value === forecast) return 0;
  return value < forecast ? 1 - level : -level;
}
