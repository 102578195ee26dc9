import type { ForecasterFactory } from '../forecaster.ts';
import { quantileLevels } from '../forecaster.ts';
import { historyLength, measured, wholeRange } from './empirical-bands.ts';
import { Recent } from './recent.ts';
import { SortedWindow } from './sorted-window.ts';
import { widened } from './young.ts';

/** The future is distributed as the last 288 values were, at every step alike; a young series may do more (`widened`). */
export const climatology: ForecasterFactory = ({ intervalMs, range }) => {
  const values = new Recent(new Float64Array(historyLength));
  const sorted = new SortedWindow(historyLength);
  return {
    model: 'climatology',
    observe(value) {
      const number = measured(value, range);
      if (number === undefined) return;
      sorted.replace(number, values.size === 0 ? 0 : values.back(values.size));
      values.push(number);
    },
    forecast(steps) {
      if (sorted.size === 0) return wholeRange(intervalMs, range, steps);
      const clip = (value: number) => Math.min(range.high, Math.max(range.low, value));
      const [q10, q50, q90] = quantileLevels.map((level) =>
        new Array<number>(steps).fill(clip(sorted.quantile(level))),
      );
      const size = Math.max(Math.abs(sorted.quantile(0)), Math.abs(sorted.quantile(1)));
      return widened({ intervalMs, q10: q10!, q50: q50!, q90: q90! }, range, sorted.size, size);
    },
  };
};
