import { measured, wholeRange } from './baselines/empirical-bands.ts';
import { widened } from './baselines/young.ts';
import { z90 } from './constants.ts';
import type { ForecasterFactory } from './forecaster.ts';

/** Changes remembered for the width of the bands. */
const memory = 64;

/**
 * The random walk ("naive"; Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 5.2): the median is the
 * last value, and the bands widen with the square root of the step by the root mean square of the recent changes; those of a young series
 * reach towards the ends of its range (`widened`).
 */
export const lastValue: ForecasterFactory = ({ intervalMs, range }) => {
  const clip = (value: number) => Math.min(range.high, Math.max(range.low, value));
  const squares: number[] = [];
  let last = Number.NaN;
  let count = 0;
  let size = 0;
  return {
    model: 'last-value',
    observe(value) {
      const number = measured(value, range);
      if (number === undefined) return;
      if (count > 0) squares.push((number - last) ** 2);
      if (squares.length > memory) squares.shift();
      last = number;
      count += 1;
      size = Math.max(size, Math.abs(number));
    },
    forecast(steps) {
      if (count === 0) return wholeRange(intervalMs, range, steps);
      const q10: number[] = [];
      const q50: number[] = [];
      const q90: number[] = [];
      const sigma = squares.length === 0 ? 0 : Math.sqrt(squares.reduce((sum, each) => sum + each, 0) / squares.length);
      for (let step = 1; step <= steps; step += 1) {
        const half = z90 * sigma * Math.sqrt(step);
        q10.push(clip(last - half));
        q50.push(last);
        q90.push(clip(last + half));
      }
      return widened({ intervalMs, q10, q50, q90 }, range, count, size);
    },
  };
};
