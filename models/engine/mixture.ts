import { type Take, takeAlone } from './slab.ts';

/** Losses beyond this many units are outliers: they count as this much. */
const lossMost = 5;

export interface MixtureState {
  readonly regrets: readonly number[];
  readonly squares: readonly number[];
}

/**
 * Weights of experts by exponentiated gradients: a weighted mean of their quantiles competes with the best fixed mean
 * (Kivinen and Warmuth 1997; rates by the squares of past losses as in Gaillard, Stoltz and van Erven 2014). One row of experts per
 * cell, a cell being an anchor and a level: near and far steps, low and high quantiles have the weights that suit them. Old losses
 * fade, so that the weights follow the series.
 */
export class Mixture {
  readonly #experts: number;
  readonly #logarithm: number;
  /** Per cell and expert; each row sums to 1. */
  readonly weights: Float32Array;
  readonly #regrets: Float32Array;
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
    this.#squares = take(cells);
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
   * @returns the greatest squared loss
   */
  learn(
    cell: number,
    slope: number,
    forecasts: Float32Array,
    at: number,
    mixed: number,
    unit: number,
    keep: number,
  ): number {
    const base = cell * this.#experts;
    let most = 0;
    for (let expert = 0; expert < this.#experts; expert += 1) {
      const forecast = forecasts[at + expert]!;
      const raw = Number.isNaN(forecast) ? 0 : (slope * (forecast - mixed)) / unit;
      const loss = Math.min(lossMost, Math.max(-lossMost, raw));
      this.#regrets[base + expert] = keep * this.#regrets[base + expert]! + loss;
      most = Math.max(most, loss * loss);
    }
    this.#squares[cell] = keep * this.#squares[cell]! + most;
    return most;
  }

  /**
   * Weights anew, from those of `prior` (or equal ones), which is worth `doubt` squared losses. A higher `pace` moves them farther
   * for the same losses.
   */
  weigh(cell: number, pace = 1, prior?: Mixture, doubt = 0): void {
    const { weights } = this;
    const base = cell * this.#experts;
    const end = base + this.#experts;
    const rate = pace * Math.sqrt(this.#logarithm / (this.#squares[cell]! + doubt + 1e-9));
    let least = Number.POSITIVE_INFINITY;
    for (let at = base; at < end; at += 1) least = Math.min(least, this.#regrets[at]!);
    let sum = 0;
    for (let at = base; at < end; at += 1) {
      const weight = Math.exp(rate * (least - this.#regrets[at]!)) * (prior?.weights[at] ?? 1) + 1e-9;
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
    for (let cell = 0; cell < squares.length; cell += 1) this.weigh(cell);
  }
}

/** Derivative of the pinball loss at `forecast`; none where the value is met exactly. */
export function slopeAt(level: number, value: number, forecast: number): number {
  if (value === forecast) return 0;
  return value < forecast ? 1 - level : -level;
}
