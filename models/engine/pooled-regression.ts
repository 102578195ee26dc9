import { fitQuantile } from './quantile-regression.ts';
import { baseColumns, bases, levelColumns, levels, spreadColumns, type Track } from './track.ts';

/** Origins, of all series together, that are kept to learn from. */
const rowsMost = 4_000;
/** Origins that must have been seen before the first fit. */
const rowsLeast = 400;
/** Of old and new origins the reservoir keeps a sample that is uniform over about this many. */
const seenMost = 128 * rowsMost;
/** Origins after which a fit is due again at the latest. */
const seenBetweenFits = 32 * rowsMost;
/** Regressors and targets beyond this many scales are cut to it: a series that stood still has a tiny scale when it moves. */
const scalesMost = 1_000;
/** A pull to the prior that is worth about this many origins. */
const priorOrigins = 10;
/** Steps of a fit, which begins at the one before: to stop early keeps coefficients small. */
const iterationsMost = 20;

const narrow = spreadColumns + 1 + baseColumns;
const wide = narrow + levelColumns;
/** The two regressions: on the quantiles of the bases alone, and on what is known of the series besides. */
const models = [
  { model: 'pooled-stack', columns: narrow },
  { model: 'pooled-regression', columns: wide },
] as const;
export const pooledModels: readonly string[] = models.map(({ model }) => model);

/** Coefficients by model, anchor and level; null before the first fit. */
export type PooledCoefficients = readonly (readonly number[])[] | null;

/**
 * Linear quantile regressions that all series of a kind share. Regressors are shifted by the series' centre and divided by
 * its scale, losses are weighted by the scale: so one map serves quiet and busy series, and is right in the series' own unit.
 * Origins are kept in a reservoir (Vitter 1985, algorithm R), a uniform sample of all that were ever seen.
 */
export class PooledRegression {
  readonly #anchors: readonly number[];
  readonly #rowLength: number;
  /** `rowsMost` rows, of which the system gives memory as they are written. */
  readonly #rows: Float32Array;
  readonly #stamps: number[] = [];
  #coefficients: Float64Array[] = [];
  readonly #row = new Float32Array(wide);
  #seen = 0;
  #seenAtFit = 0;
  #random = 0x9e3779b9;

  constructor(anchors: readonly number[]) {
    this.#anchors = anchors;
    // spreads, 1, levels | bases by anchor | weight | targets by anchor
    this.#rowLength = spreadColumns + 1 + levelColumns + anchors.length * (baseColumns + 1) + 1;
    this.#rows = new Float32Array(rowsMost * this.#rowLength);
  }

  get learned(): boolean {
    return this.#coefficients.length > 0;
  }

  /** A fit is due when twice as much has been seen as at the last one, and then every so often. */
  get due(): boolean {
    return (
      this.#seen >= rowsLeast && (this.#seen >= 2 * this.#seenAtFit || this.#seen >= this.#seenAtFit + seenBetweenFits)
    );
  }

  /** Offers the track's present as an origin; the row that it got, if any, takes the targets as they come. */
  offer(track: Track, weight: number): { readonly row: number; readonly stamp: number } | undefined {
    this.#seen += 1;
    const row = this.#seen <= rowsMost ? this.#seen - 1 : this.#draw(Math.min(this.#seen, seenMost));
    if (row >= rowsMost) return undefined;
    const stored = this.#stored(row);
    this.#stamps[row] = this.#seen;
    const { features, baseQuantiles, centre, scale } = track;
    let at = 0;
    for (let spread = 0; spread < spreadColumns; spread += 1) stored[at++] = features[levelColumns + spread]! / scale;
    stored[at++] = 1;
    for (let level = 0; level < levelColumns; level += 1) stored[at++] = scaled(features[level]!, centre, scale);
    for (const each of baseQuantiles) stored[at++] = scaled(each, centre, scale);
    stored[at++] = weight * scale;
    stored.fill(Number.NaN, at);
    return { row, stamp: this.#seen };
  }

  /** The value `anchor` steps after the origin; `centre` and `scale` are what the track had there. */
  complete(row: number, stamp: number, anchor: number, value: number, centre: number, scale: number): void {
    if (this.#stamps[row] !== stamp) return;
    this.#rows[(row + 1) * this.#rowLength - this.#anchors.length + anchor] = scaled(value, centre, scale);
  }

  /** Fits everything anew: seconds for a full reservoir, so a caller in a hurry takes it step by step. */
  *fit(): Generator<void> {
    this.#seenAtFit = this.#seen;
    const fitted: Float64Array[] = [];
    const features = new Float32Array(this.#stamps.length * wide);
    for (let anchor = 0; anchor < this.#anchors.length; anchor += 1) {
      const problem = this.#problem(anchor, features);
      for (let model = 0; model < models.length; model += 1) {
        for (let level = 0; level < levels.length; level += 1) {
          const { columns } = models[model]!;
          const prior = new Float64Array(columns);
          for (let base = 0; base < bases.length; base += 1)
            prior[spreadColumns + 1 + base * levels.length + level] = 1 / bases.length;
          const cell = this.#cell(model, anchor, level);
          const start = this.#coefficients[cell] ?? prior;
          const ridge = priorOrigins / Math.max(1, problem.targets.length);
          fitted[cell] = fitQuantile({
            ...problem,
            columns,
            level: levels[level]!,
            prior,
            ridge,
            start,
            iterationsMost,
          });
          yield;
        }
      }
    }
    this.#coefficients = fitted;
  }

  save(): PooledCoefficients {
    return this.learned ? this.#coefficients.map((each) => [...each]) : null;
  }

  /** Goes on with what was saved; the next fit waits until as much has been seen as a good one needs. */
  restore(coefficients: PooledCoefficients): void {
    this.#coefficients = (coefficients ?? []).map((each) => Float64Array.from(each));
    if (this.learned) this.#seenAtFit = rowsMost / 2;
  }

  #stored(row: number): Float32Array {
    return this.#rows.subarray(row * this.#rowLength, (row + 1) * this.#rowLength);
  }

  /** `features` is filled anew for each anchor, with the origins that were there when the fit began: it may be a mebibyte. */
  #problem(anchor: number, features: Float32Array) {
    const target = this.#rowLength - this.#anchors.length + anchor;
    const rows: Float32Array[] = [];
    for (let row = 0; row < features.length / wide; row += 1)
      if (!Number.isNaN(this.#stored(row)[target]!)) rows.push(this.#stored(row));
    const targets = new Float32Array(rows.length);
    const weights = new Float32Array(rows.length);
    const common = spreadColumns + 1 + levelColumns;
    for (const [index, row] of rows.entries()) {
      const base = common + anchor * baseColumns;
      features.set(row.subarray(0, spreadColumns + 1), index * wide);
      features.set(row.subarray(base, base + baseColumns), index * wide + spreadColumns + 1);
      features.set(row.subarray(spreadColumns + 1, common), index * wide + narrow);
      weights[index] = row[this.#rowLength - this.#anchors.length - 1]!;
      targets[index] = row[target]!;
    }
    return { features, targets, weights, stride: wide };
  }

  /** Writes what the models say into `out`: per anchor, level and expert (of which there are `experts`, these from `first` on). */
  predict(track: Track, out: Float32Array, experts: number, first: number): void {
    const { features, baseQuantiles, centre, scale } = track;
    const row = this.#row;
    let at = 0;
    for (let spread = 0; spread < spreadColumns; spread += 1) row[at++] = features[levelColumns + spread]! / scale;
    row[at++] = 1;
    for (let level = 0; level < levelColumns; level += 1) row[narrow + level] = scaled(features[level]!, centre, scale);
    for (let anchor = 0; anchor < this.#anchors.length; anchor += 1) {
      for (let column = 0; column < baseColumns; column += 1)
        row[at + column] = scaled(baseQuantiles[anchor * baseColumns + column]!, centre, scale);
      for (let model = 0; model < models.length; model += 1) {
        for (let level = 0; level < levels.length; level += 1) {
          const coefficients = this.#coefficients[this.#cell(model, anchor, level)]!;
          let sum = 0;
          for (let column = 0; column < coefficients.length; column += 1) sum += coefficients[column]! * row[column]!;
          out[(anchor * levels.length + level) * experts + first + model] = centre + scale * sum;
        }
      }
    }
  }

  #cell(model: number, anchor: number, level: number): number {
    return (model * this.#anchors.length + anchor) * levels.length + level;
  }

  /** A whole number below `bound`: xorshift, always the same sequence. */
  #draw(bound: number): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return Math.floor((this.#random / 2 ** 32) * bound);
  }
}

function scaled(value: number, centre: number, scale: number): number {
  return Math.min(scalesMost, Math.max(-scalesMost, (value - centre) / scale));
}
