import { historyLength } from '../baselines/empirical-bands.ts';
import { Recent } from '../baselines/recent.ts';
import { SortedWindow } from '../baselines/sorted-window.ts';
import { ErrorWindows, errorsKept } from './error-windows.ts';
import type { Take } from './slab.ts';

const meanSpans = [3, 6, 12, 24, 48, 96, 288];
const changeSpans = [3, 12, 48, 288];
const windowSpans = [12, 48, historyLength];
const windowLevels = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1];
const newest = 6;
/** Of the four averages with exponential weights; the second and the fourth are bases too. */
const smoothings = [0.1, 0.2, 0.4, 0.6];

/** Simple models whose quantiles, at each anchor, are members and regressors. */
export const bases = ['last-value', 'smoothing-slow', 'smoothing-fast', 'climatology', 'recent-climatology'] as const;
export const slowBases: readonly string[] = ['smoothing-slow', 'climatology', 'recent-climatology'];
/** The first bases: points, with the quantiles of their own errors. */
const pointBases = 3;
export const levels = [0.1, 0.5, 0.9];
export const baseColumns = bases.length * levels.length;
/** Columns of `features` that move with the level of the series, and those that move with its spread alone. */
export const levelColumns = newest + meanSpans.length + windowSpans.length * windowLevels.length + smoothings.length;
export const spreadColumns = changeSpans.length;

/** What `read` fills: tracks that are used one after the other can share it. */
export interface Reading {
  /** Per anchor, base and level. */
  readonly baseQuantiles: Float64Array;
  /** `levelColumns` and then `spreadColumns` numbers. */
  readonly features: Float64Array;
}

export function readingOf(anchors: readonly number[]): Reading {
  return {
    baseQuantiles: new Float64Array(anchors.length * baseColumns),
    features: new Float64Array(levelColumns + spreadColumns),
  };
}

/** What the engine knows of the recent past of one series, kept up to date value by value. */
export class Track implements Reading {
  readonly #anchors: readonly number[];
  readonly #values: Recent;
  /** Of each base that is a point, what it said after each value: the first says the value itself. */
  readonly #points: readonly Recent[];
  readonly #errors: ErrorWindows;
  readonly #windows: readonly SortedWindow[];
  readonly #smooth = new Float64Array(smoothings.length);
  readonly baseQuantiles: Float64Array;
  readonly features: Float64Array;
  /** Filled by `read` and `unit`: the middle of the series and the unit of its movements. */
  centre = 0;
  scale = 0;

  constructor(anchors: readonly number[], { features, baseQuantiles }: Reading, take: Take) {
    this.#anchors = anchors;
    this.features = features;
    this.baseQuantiles = baseQuantiles;
    const remembered = errorsKept + anchors.at(-1)!;
    this.#values = new Recent(take(Math.max(historyLength, remembered)));
    this.#points = Array.from({ length: pointBases }, (_, base) =>
      base === 0 ? this.#values : new Recent(take(remembered)),
    );
    this.#errors = new ErrorWindows(anchors, this.#values, this.#points, take);
    this.#windows = windowSpans.map((span) => new SortedWindow(span, take(span + 1)));
  }

  get size(): number {
    return Math.min(historyLength, this.#values.size);
  }

  get values(): Recent {
    return this.#values;
  }

  /** The greatest distance from 0 of the last 12 values, or NaN before the first. */
  get greatest(): number {
    const [shortest] = this.#windows;
    return Math.max(Math.abs(shortest!.quantile(0)), Math.abs(shortest!.quantile(1)));
  }

  push(value: number): void {
    for (let index = 0; index < this.#windows.length; index += 1) {
      const sorted = this.#windows[index]!;
      if (sorted.full) sorted.remove(this.#values.back(windowSpans[index]!));
      sorted.insert(value);
    }
    for (let index = 0; index < smoothings.length; index += 1) {
      if (this.size === 0) this.#smooth[index] = value;
      else this.#smooth[index]! += smoothings[index]! * (value - this.#smooth[index]!);
    }
    this.#values.push(value);
    this.#points[1]!.push(this.#smooth[1]!);
    this.#points[2]!.push(this.#smooth[3]!);
    this.#errors.update();
  }

  /** Brings `features`, `baseQuantiles` and `centre` up to date. */
  read(): void {
    this.#readFeatures();
    this.#readBases();
    const { features } = this;
    const last = features[0]!;
    const short = features[newest + 2]!;
    const long = features[newest + 4]!;
    this.centre = Math.max(Math.min(last, short), Math.min(Math.max(last, short), long));
  }

  /** Brings `scale` up to date after `read`: the usual width of bands and size of changes, never below `least`. */
  unit(least: number): void {
    const { baseQuantiles, features } = this;
    let spread = 0;
    for (let base = 0; base < pointBases; base += 1) spread += baseQuantiles[base * 3 + 2]! - baseQuantiles[base * 3]!;
    this.scale = least + spread / pointBases + (features[levelColumns + 2]! + features[levelColumns + 3]!) / 2;
  }

  #readFeatures(): void {
    const { features } = this;
    const values = this.#values;
    const { size } = this;
    let at = 0;
    for (let age = 1; age <= newest; age += 1) features[at++] = values.back(Math.min(age, size));
    let change = levelColumns;
    let sum = 0;
    let changes = 0;
    let nextMean = 0;
    let nextChange = 0;
    for (let age = 1; age <= size; age += 1) {
      const value = values.back(age);
      sum += value;
      if (age < size) changes += Math.abs(value - values.back(age + 1));
      if (age === meanSpans[nextMean]) {
        features[at++] = sum / age;
        nextMean += 1;
      }
      if (age === changeSpans[nextChange]) {
        features[change++] = changes / Math.min(age, Math.max(1, size - 1));
        nextChange += 1;
      }
    }
    for (; nextMean < meanSpans.length; nextMean += 1) features[at++] = sum / size;
    for (; nextChange < changeSpans.length; nextChange += 1) features[change++] = changes / Math.max(1, size - 1);
    for (const sorted of this.#windows) for (const level of windowLevels) features[at++] = sorted.quantile(level);
    for (const smooth of this.#smooth) features[at++] = smooth;
  }

  #readBases(): void {
    const { baseQuantiles } = this;
    const anchors = this.#anchors.length;
    let at = 0;
    for (let anchor = 0; anchor < anchors; anchor += 1) {
      for (let base = 0; base < pointBases; base += 1) {
        const point = this.#points[base]!.back(1);
        const known = this.#errors.size(anchor) > 0;
        for (const level of levels)
          baseQuantiles[at++] = known ? point + this.#errors.quantile(base, anchor, level) : point;
      }
      for (let index = 2; index >= 1; index -= 1)
        for (const level of levels) baseQuantiles[at++] = this.#windows[index]!.quantile(level);
    }
  }
}
