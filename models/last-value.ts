import type { ForecasterFactory } from './forecaster.ts';

/** Changes remembered for the width of the bands. */
const memory = 64;
/** Standard normal quantile at 0.9. */
const z90 = 1.2816;

/**
 * The random walk ("naive"; Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 5.2): the median is the
 * last value, and the bands widen with the square root of the step by the root mean square of the recent changes.
 */
export const lastValue: ForecasterFactory = ({ intervalMs, range }) => {
  const clip = (value: number) => Math.min(range.high, Math.max(range.low, value));
  const squares: number[] = [];
  let last = Number.NaN;
  return {
    model: 'last-value',
    observe(value) {
      if (!Number.isFinite(value)) return;
      const clipped = clip(value);
      if (!Number.isNaN(last)) squares.push((clipped - last) ** 2);
      if (squares.length > memory) squares.shift();
      last = clipped;
    },
    forecast(steps) {
      const q10: number[] = [];
      const q50: number[] = [];
      const q90: number[] = [];
      const known = !Number.isNaN(last);
      const sigma = squares.length === 0 ? 0 : Math.sqrt(squares.reduce((sum, each) => sum + each, 0) / squares.length);
      for (let step = 1; step <= steps; step += 1) {
        const half = z90 * sigma * Math.sqrt(step);
        q10.push(known ? clip(last - half) : range.low);
        q50.push(known ? last : clip((range.low + Math.min(range.high, Number.MAX_VALUE)) / 2));
        q90.push(known ? clip(last + half) : range.high);
      }
      return { intervalMs, q10, q50, q90 };
    },
  };
};
