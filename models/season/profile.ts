import type { LevelValues } from './history.ts';

/** A period shorter than that which is no whole number of steps has so many bins to a step: the steps at its edges are a large part of it. */
const shortPeriod = 24;
const binsPerStep = 3;

/** The bins of one period: which one a step falls into. Long periods have fewer bins than steps. */
export class PeriodBins {
  readonly period: number;
  readonly count: number;

  constructor(period: number, binsMost: number) {
    this.period = period;
    const perStep = period < shortPeriod && !Number.isInteger(period) ? binsPerStep : 1;
    this.count = Math.min(Math.round(perStep * period), binsMost);
  }

  /** The bin of the value with that index in the series. */
  at(index: number): number {
    const phase = (index / this.period) % 1;
    return Math.min(this.count - 1, Math.floor(phase * this.count + 1e-9));
  }
}

/**
 * The values of a history that a profile begins with: the finest level that holds two periods. Of the values that will be learned from
 * one by one afterwards (those from `replayFrom` on), only the first two periods.
 */
export function beginning(levels: readonly LevelValues[], period: number, replayFrom: number): LevelValues {
  const level = levels.find(({ values, stride }) => values.length * stride >= 2 * period) ?? levels.at(-1)!;
  const { values, stride, first } = level;
  const before = Math.floor((replayFrom - first) / stride);
  const count = Math.max(before, Math.ceil((2 * period) / stride));
  return { values: values.subarray(0, count), stride, first };
}

/** Means of the values per bin, shrunk to 0 as by `prior` values of 0 each; a bin without values is as the one before it. */
export function profileOf({ values, stride, first }: LevelValues, bins: PeriodBins, prior: number): Float32Array {
  const sums = new Float64Array(bins.count);
  const counts = new Float64Array(bins.count);
  for (const [index, value] of values.entries()) {
    // A block stands for all the bins that it covers.
    const start = first + index * stride;
    const bin = bins.at(start);
    const last = stride === 1 ? bin : bins.at(start + stride - 1);
    for (let at = bin; ; at = (at + 1) % bins.count) {
      sums[at]! += value;
      counts[at]! += 1;
      if (at === last) break;
    }
  }
  const profile = Float32Array.from(sums, (sum, bin) =>
    counts[bin] === 0 ? Number.NaN : sum / (counts[bin]! + prior),
  );
  let before = profile.findLast((value) => !Number.isNaN(value)) ?? 0;
  return profile.map((value) => {
    if (!Number.isNaN(value)) before = value;
    return before;
  });
}

/** The mean of a profile over `count` steps from `first` on. */
export function meanOver(profile: Float32Array, bins: PeriodBins, first: number, count: number): number {
  let sum = 0;
  for (let at = first; at < first + count; at += 1) sum += profile[bins.at(at)]!;
  return sum / count;
}
