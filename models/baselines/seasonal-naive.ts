import type { ForecasterFactory } from '../forecaster.ts';
import { quantileLevels } from '../forecaster.ts';
import { measured } from './empirical-bands.ts';
import { persistence } from './persistence.ts';
import { Recent } from './recent.ts';
import { SortedWindow } from './sorted-window.ts';
import { widened } from './young.ts';

/**
 * The future is what was seen `period` values before (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 5.2), with the
 * quantiles of the last `period` seasonal differences as bands. Until two periods have been seen, the future is the last value.
 * A season of fewer than six values is widened like any young series (`widened`). A missing value leaves its place in the season to the value before it.
 */
export const seasonalNaive =
  (period: number): ForecasterFactory =>
  (options) => {
    const { intervalMs, range } = options;
    const values = new Recent(new Float64Array(2 * period));
    const differences = new SortedWindow(period);
    const young = persistence(options);
    let count = 0;
    return {
      model: 'seasonal-naive',
      observe(value) {
        young.observe(value);
        const number = measured(value, range) ?? (values.size === 0 ? undefined : values.back(1));
        if (number === undefined) return;
        count += 1;
        if (values.size >= period) {
          const oldest = values.size < 2 * period ? 0 : values.back(period) - values.back(2 * period);
          differences.replace(number - values.back(period), oldest);
        }
        values.push(number);
      },
      forecast(steps) {
        if (!differences.full) return young.forecast(steps);
        const point = Array.from({ length: steps }, (_, step) => values.back(period - (step % period)));
        const [q10, q50, q90] = quantileLevels.map((level) =>
          point.map((each) => Math.min(range.high, Math.max(range.low, each + differences.quantile(level)))),
        );
        const known = values.toArray();
        const size = known.reduce((greatest, value) => Math.max(greatest, Math.abs(value)), 0);
        return widened({ intervalMs, q10: q10!, q50: q50!, q90: q90!, point }, range, count, size);
      },
    };
  };
