import { z90 } from '../constants.ts';

/** Mean and variance of values that a few wild ones cannot move far; and the values in rising order. */
export interface RobustMoments {
  readonly count: number;
  readonly mean: number;
  /** Of one value, with `count - 1` below it; 0 for fewer than two. */
  readonly variance: number;
  readonly sorted: readonly number[];
}

/** Of a normal distribution: standard deviation over median absolute deviation. */
const madScale = 1.4826;
const clippedAt = 3;
/** Natural logarithms closer than this are never wild. */
const clipLeast = 0.3;

/**
 * Values further than three standard deviations from the median count as if they were that far (Winsorised: Huber 1981, section 1.7),
 * where the standard deviation is told by the median absolute deviation.
 */
export function robustMoments(values: readonly number[]): RobustMoments {
  const sorted = [...values].sort((a, b) => a - b);
  const count = sorted.length;
  const median = orderStatistic(sorted, 0.5);
  const deviation = madScale * middleOf(sorted.map((value) => Math.abs(value - median)));
  // Of few values the median deviation is often far too small.
  const reach = Math.max(clipLeast, clippedAt * deviation * (1 + 3 / count));
  let sum = 0;
  let squares = 0;
  for (const value of sorted) {
    const offset = Math.min(reach, Math.max(-reach, value - median));
    sum += offset;
    squares += offset * offset;
  }
  const variance = count < 2 ? 0 : Math.max(0, (squares - (sum * sum) / count) / (count - 1));
  return { count, mean: median + sum / count, variance, sorted };
}

/** The median. */
export function middleOf(values: readonly number[]): number {
  return orderStatistic(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

/** The value at rank `(count + 1) * level`, between two by proportion: of a new value it is exceeded with probability `1 - level`. */
export function orderStatistic(sorted: readonly number[], level: number): number {
  const rank = Math.min(sorted.length, Math.max(1, (sorted.length + 1) * level));
  const below = sorted[Math.floor(rank) - 1]!;
  const above = sorted[Math.ceil(rank) - 1]!;
  return below + (rank - Math.floor(rank)) * (above - below);
}

/** The 0.9 quantile of Student's t, at least 4 degrees of freedom: Abramowitz and Stegun 26.7.5, right to 0.001. */
export function studentQuantile90(freedom: number): number {
  const z = z90;
  const square = z * z;
  const first = (z * (square + 1)) / 4;
  const second = (z * ((5 * square + 16) * square + 3)) / 96;
  const third = (z * (((3 * square + 19) * square + 17) * square - 15)) / 384;
  return z + first / freedom + second / freedom ** 2 + third / freedom ** 3;
}

/** Of a value that is not known exactly: the variance is that of the mean. */
export interface Estimate {
  readonly mean: number;
  readonly variance: number;
}

/** The mean of values that lie `between` apart (a variance), each weighted by what its estimate is worth. */
export function poolMeans(estimates: readonly Estimate[], between: number): Estimate {
  let weights = 0;
  let sum = 0;
  for (const { mean, variance } of estimates) {
    const weight = 1 / (variance + between);
    weights += weight;
    sum += weight * mean;
  }
  return { mean: sum / weights, variance: 1 / weights };
}
