import { withEmpiricalBands } from '../baselines/empirical-bands.ts';

/** Weights of the newest value that are tried: 0.05, 0.1, ... 1. */
const alphas = Array.from({ length: 20 }, (_, index) => (index + 1) / 20);

/**
 * Simple exponential smoothing (Brown 1959; Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 8.1): a level that
 * begins at the first value, with the weight of the least squared error one step ahead.
 */
export const simpleSmoothing = withEmpiricalBands('simple-smoothing', (history) => {
  let best = levelsOf(history, 1);
  for (const alpha of alphas) {
    const tried = levelsOf(history, alpha);
    if (tried.squares < best.squares) best = tried;
  }
  const { levels } = best;
  return (origin) => levels[origin - 1]!;
});

function levelsOf(history: Float64Array, alpha: number) {
  const levels = new Float64Array(history.length);
  let level = history[0]!;
  let squares = 0;
  for (const [index, value] of history.entries()) {
    const error = value - level;
    squares += error * error;
    level += alpha * error;
    levels[index] = level;
  }
  return { levels, squares };
}
