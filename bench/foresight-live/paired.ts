/** 0.975 quantiles of Student's t distribution, by degrees of freedom from 1; beyond the table that of the normal distribution serves. */
const studentT = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const normal = 1.96;

export interface Difference {
  readonly mean: number;
  /** The 95 % interval of the mean, by Student's t; null of a single pair. */
  readonly interval95: readonly [low: number, high: number] | null;
}

/** Of pairs: the second less the first. */
export function pairedDifference(first: readonly number[], second: readonly number[]): Difference {
  const differences = first.map((value, index) => second[index]! - value);
  const many = differences.length;
  const mean = differences.reduce((sum, each) => sum + each, 0) / many;
  if (many < 2) return { mean, interval95: null };
  const variance = differences.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (many - 1);
  const half = (studentT[many - 2] ?? normal) * Math.sqrt(variance / many);
  return { mean, interval95: [mean - half, mean + half] };
}
