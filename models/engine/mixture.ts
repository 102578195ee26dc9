/** Losses beyond this many scales are outliers: they count as this much. */
const lossMost = 5;

/**
 * Weights of experts by exponentiated gradients: a weighted mean of their quantiles competes with the best fixed mean
 * (Kivinen and Warmuth 1997; the gradient trick and second-order rates of Wintenberger 2017, "BOA", and Gaillard et al. 2014). One
 * row of experts per cell, a cell being an anchor and a level. Old losses fade, so that weights follow the series.
 */
export class Mixture {
  readonly experts: number;
  /** Per cell and expert; each row sums to 1. */
  readonly weights: Float32Array;
  readonly #regrets: Float32Array;
  readonly #squares: Float32Array;
  /** The greatest squared loss of the last call of `learn`. */
  lastSquare = 0;

  constructor(cells: number, experts: number) {
    this.experts = experts;
    this.weights = new Float32Array(cells * experts).fill(1 / experts);
    this.#regrets = new Float32Array(cells * experts);
    this.#squares = new Float32Array(cells);
  }

  /** Sum of squared losses that the weights of a cell rest on. */
  squares(cell: number): number {
    return this.#squares[cell]!;
  }

  /**
   * @param slope derivative of the pinball loss at the mixed forecast: -level, or 1 - level where the value was below
   * @param forecasts of the experts, from `at` on
   * @param mixed their weighted mean
   * @param unit of the losses
   * @param keep what old losses fade by
   */
  learn(cell: number, slope: number, forecasts: Float32Array, at: number, mixed: number, unit: number, keep: number): void {
    const base = cell * this.experts;
    let most = 0;
    for (let expert = 0; expert < this.experts; expert += 1) {
      const raw = (slope * (forecasts[at + expert]! - mixed)) / unit;
      const loss = Math.min(lossMost, Math.max(-lossMost, raw));
      this.#regrets[base + expert] = keep * this.#regrets[base + expert]! + loss;
      most = Math.max(most, loss * loss);
    }
    this.lastSquare = most;
    this.#squares[cell] = keep * this.#squares[cell]! + most;
  }

  /** Weights anew, from those of `prior` (or equal ones) and `doubt`, the squared losses that the prior is worth. */
  weigh(cell: number, rate: number, prior: Float32Array | undefined, doubt: number): void {
    const base = cell * this.experts;
    const eta = rate * Math.sqrt(Math.log(this.experts) / (this.#squares[cell]! + doubt + 1e-9));
    let best = Number.NEGATIVE_INFINITY;
    for (let expert = 0; expert < this.experts; expert += 1)
      best = Math.max(best, -eta * this.#regrets[base + expert]!);
    let sum = 0;
    for (let expert = 0; expert < this.experts; expert += 1) {
      const weight = Math.exp(-eta * this.#regrets[base + expert]! - best) * (prior?.[base + expert] ?? 1) + 1e-9;
      this.weights[base + expert] = weight;
      sum += weight;
    }
    for (let expert = 0; expert < this.experts; expert += 1) this.weights[base + expert]! /= sum;
  }
}
