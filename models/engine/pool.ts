import { Mixture } from './mixture.ts';
import { PooledRegression, pooledModels } from './pooled-regression.ts';
import { bases, levels } from './track.ts';

export const defaults = {
  rate: 1,
  doubt: 50,
  keep: 0.995,
  poolMemory: 300,
  pooledStep: 0.02,
  ownStep: 0.01,
  offsetDecay: 0.01,
  fade: 0.01,
};
export type Settings = typeof defaults;

/** What all series of a kind share. */
export class Pool {
  readonly anchors: readonly number[];
  readonly experts: number;
  readonly settings: Settings;
  readonly regression: PooledRegression;
  readonly mixture: Mixture;
  readonly offsets: Float32Array;
  readonly #squares: Float64Array;
  readonly #counts: Float64Array;
  size = 0;
  keep = 1;

  constructor(anchors: readonly number[], extra: number, settings: Settings) {
    this.anchors = anchors;
    this.settings = settings;
    this.experts = bases.length + pooledModels.length + extra;
    this.regression = new PooledRegression(anchors);
    const cells = anchors.length * levels.length;
    this.mixture = new Mixture(cells, this.experts);
    this.offsets = new Float32Array(cells);
    this.#squares = new Float64Array(cells);
    this.#counts = new Float64Array(cells);
  }

  join(): void {
    this.size += 1;
    this.keep = 1 - 1 / (this.settings.poolMemory * this.size);
  }

  noteSquare(cell: number, square: number): void {
    this.#squares[cell]! += square;
    this.#counts[cell]! += 1;
  }

  meanSquare(cell: number): number {
    return this.#squares[cell]! / Math.max(1, this.#counts[cell]!);
  }

  /** Once per round. */
  weigh(): void {
    for (let cell = 0; cell < this.anchors.length * levels.length; cell += 1)
      this.mixture.weigh(cell, this.settings.rate, undefined, 0);
  }
}
