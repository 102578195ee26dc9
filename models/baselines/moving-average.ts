import type { ForecasterFactory } from '../forecaster.ts';
import { withEmpiricalBands } from './empirical-bands.ts';

/** The future is the mean of the last `span` values, with the errors of such forecasts as bands. */
export const movingAverage = (span = 12): ForecasterFactory =>
  withEmpiricalBands('moving-average', (history) => {
    const means = history.map((_, index) => {
      const from = Math.max(0, index + 1 - span);
      let sum = 0;
      for (let at = from; at <= index; at += 1) sum += history[at]!;
      return sum / (index + 1 - from);
    });
    return (origin) => means[origin - 1]!;
  });
