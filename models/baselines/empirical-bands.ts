import type { Forecaster, ForecasterFactory, QuantileCurves, SeriesRange } from '../forecaster.ts';
import { quantileLevels } from '../forecaster.ts';
import { Recent } from './recent.ts';
import { SortedWindow } from './sorted-window.ts';
import { widened } from './young.ts';

/** Values that a baseline is fitted on, and that the engine's windows reach back at most. */
export const historyLength = 288;
/** Forecast errors, per step ahead, whose quantiles make the bands. */
const errorsKept = 144;
/** Errors count from here on, where the history is long enough: those of a method that has seen less say little. */
const firstOrigin = 12;
/** Fewer errors tell little of their quantiles, and nothing of their median. */
const errorsLeast = 12;
/** Values beyond this are no measurements: they are taken for this, so that they fit into single precision, and sums of their squares stay finite. */
export const magnitudeMost = 1e30;

/** What a method would have said `step` values ahead after the first `origin` values of its history (1 to all). */
export type PointForecast = (origin: number, step: number) => number;
/** Fits a method to a history that is not empty, oldest value first. */
export type PointMethod = (history: Float64Array) => PointForecast;

/** A number of the range, or undefined for what is none. */
export function measured(value: number, { low, high }: SeriesRange): number | undefined {
  return Number.isFinite(value) ? Math.min(high, magnitudeMost, Math.max(low, -magnitudeMost, value)) : undefined;
}

/**
 * The curves of a series of which nothing is known: anywhere in the range. An open end is taken to be 1 of the series' units from the other end, or from 0 where
 * both are open: nothing is known of how large it is, and finite curves can be drawn and scored.
 */
export function wholeRange(intervalMs: number, range: SeriesRange, steps: number): QuantileCurves {
  const isOpenBelow = !Number.isFinite(range.low);
  const isOpenAbove = !Number.isFinite(range.high);
  const low = !isOpenBelow ? range.low : isOpenAbove ? -1 : range.high - 1;
  const high = !isOpenAbove ? range.high : isOpenBelow ? 1 : range.low + 1;
  const flat = (value: number) => new Array<number>(steps).fill(value);
  return { intervalMs, q10: flat(low), q50: flat((low + high) / 2), q90: flat(high) };
}

/**
 * A point method with the empirical quantiles of its own errors at each step ahead as bands, from the last 288 values: its
 * fit and errors are made when a forecast is asked for, and kept until the next value. As long as few errors are known of a step, its median is the point, and
 * its band is as much that of the values so far as errors are missing; that of a series of few values reaches towards the ends of its range (`widened`).
 */
export function withEmpiricalBands(model: string, method: PointMethod): ForecasterFactory {
  return ({ intervalMs, range }) => {
    const recent = new Recent(new Float64Array(historyLength));
    let fitted: { readonly history: Float64Array; readonly point: PointForecast } | undefined;
    const forecaster: Forecaster = {
      model,
      observe(value) {
        const number = measured(value, range);
        if (number === undefined) return;
        recent.push(number);
        fitted = undefined;
      },
      forecast(steps) {
        if (recent.size === 0) return wholeRange(intervalMs, range, steps);
        if (fitted === undefined) {
          const history = recent.toArray();
          fitted = { history, point: method(history) };
        }
        return bandsOf(fitted.history, fitted.point, steps, intervalMs, range);
      },
    };
    return forecaster;
  };
}

function bandsOf(
  history: Float64Array,
  point: PointForecast,
  steps: number,
  intervalMs: number,
  range: SeriesRange,
): QuantileCurves {
  const clip = (value: number) => Math.min(range.high, Math.max(range.low, value));
  const curves: [number[], number[], number[]] = [[], [], []];
  const points: number[] = [];
  const least = history.reduce((one, other) => Math.min(one, other));
  const most = history.reduce((one, other) => Math.max(one, other));
  for (let step = 1; step <= steps; step += 1) {
    const middle = point(history.length, step);
    const errors = errorsAt(history, point, step);
    const known = Math.min(1, errors.size / errorsLeast);
    const ends = [least - middle, 0, most - middle];
    for (const [index, level] of quantileLevels.entries()) {
      const side = index - 1;
      const error = known === 0 ? 0 : errors.quantile(level);
      // Of few, on its own side of the point.
      const own = known === 1 ? error : Math.max(0, side * error) * side;
      const spread = Math.max(0, side * ends[index]!) * side;
      curves[index]!.push(clip(middle + known * own + (1 - known) * spread));
    }
    points.push(clip(middle));
  }
  const [q10, q50, q90] = curves;
  const size = Math.max(Math.abs(least), Math.abs(most));
  return widened({ intervalMs, q10, q50, q90, point: points }, range, history.length, size);
}

/**
 * Errors of the last origins, those of the first few only where there are not enough others; where the history is shorter than the step, those of the longest
 * step that it has. None of a single value.
 */
function errorsAt(history: Float64Array, point: PointForecast, step: number): SortedWindow {
  const reach = Math.min(step, history.length - 1);
  const last = history.length - reach;
  const errors = new SortedWindow(errorsKept);
  if (reach === 0) return errors;
  const first = Math.max(1, Math.min(firstOrigin, last - errorsLeast + 1), last - errorsKept + 1);
  for (let origin = first; origin <= last; origin += 1)
    errors.insert(history[origin + reach - 1]! - point(origin, reach));
  return errors;
}
