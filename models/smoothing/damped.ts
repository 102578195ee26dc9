import { withEmpiricalBands } from '../baselines/empirical-bands.ts';

const alphas = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9];
/** Shares of alpha: the trend moves no faster than the level. */
const trendShares = [0.05, 0.2, 0.5];
const dampings = [0.8, 0.9, 0.98];

/**
 * Exponential smoothing with a damped trend (Gardner and McKenzie 1985; Hyndman and Athanasopoulos, Forecasting: Principles and Practice,
 * 8.2): level from the first value, no trend at first; of a small grid, the parameters of the least squared error one step ahead.
 */
export const dampedSmoothing = withEmpiricalBands('damped-smoothing', (history) => {
  let best: ReturnType<typeof statesOf> | undefined;
  for (const alpha of alphas)
    for (const share of trendShares)
      for (const damping of dampings) {
        const tried = statesOf(history, alpha, alpha * share, damping);
        if (best === undefined || tried.squares < best.squares) best = tried;
      }
  const { levels, trends, damping } = best!;
  return (origin, step) => {
    const reach = (damping * (1 - damping ** step)) / (1 - damping);
    return levels[origin - 1]! + reach * trends[origin - 1]!;
  };
});

function statesOf(history: Float64Array, alpha: number, beta: number, damping: number) {
  const levels = new Float64Array(history.length);
  const trends = new Float64Array(history.length);
  let level = history[0]!;
  let trend = 0;
  let squares = 0;
  for (const [index, value] of history.entries()) {
    const expected = level + damping * trend;
    const error = value - expected;
    squares += error * error;
    level = expected + alpha * error;
    trend = damping * trend + beta * error;
    levels[index] = level;
    trends[index] = trend;
  }
  return { levels, trends, squares, damping };
}
