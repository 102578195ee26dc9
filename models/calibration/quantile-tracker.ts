/**
 * What the quantiles are calibrated to: a little outside, since offsets are learned while the world stands still and are needed when it
 * changes. Judged on windows that were not learned from, bands then hold about 80 %.
 */
export const aims = [0.09, 0.5, 0.91] as const;

/**
 * Adaptive conformal calibration of quantiles by online gradient steps on the pinball loss (Gibbs and Candes 2021;
 * Angelopoulos, Candes and Tibshirani 2023, "quantile tracking"): where values fall below a quantile more often than they
 * should, it moves down. Offsets are in units of the series' scale; `decay` draws them back to zero, so that they answer what
 * happens now. A value exactly on the quantile says nothing: with many values on an edge of the range (idle machines),
 * each of the two other answers would push the quantile off that edge.
 */
export class QuantileTracker {
  readonly offsets: Float32Array;
  readonly #decay: number;

  /** @param offsets one per cell, all 0 */
  constructor(offsets: Float32Array, decay: number) {
    this.offsets = offsets;
    this.#decay = decay;
  }

  learn(cell: number, level: number, value: number, quantile: number, step: number): void {
    let miss = 0;
    if (value < quantile) miss = level - 1;
    else if (value > quantile) miss = level;
    this.offsets[cell] = (1 - this.#decay) * this.offsets[cell]! + step * miss;
  }
}
