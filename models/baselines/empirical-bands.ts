import type { Forecaster, ForecasterFactory, QuantileCurves, SeriesRange } from '../forecaster.ts';
import { quantileLevels } from '../forecaster.ts';
import { Recent } from './recent.ts';
import { SortedWindow } from './sorted-window.ts';

/** Values that a baseline is fitted on. */
export const historyLength = 288;
/** Forecast errors, per step ahead, whose quantiles make the bands. */
const errorsKept = 144;
/** Errors count from here on, where the history is long enough: those of a method that has seen less say little. */
const firstOrigin = 12;
/** Values beyond this are no measurements: they are taken for this, so that sums of them stay finite. */
export const magnitudeMost = 1e30;

/** What a method would have said `step` values ahead after the first `origin` values of its history (1 to all). */
export type PointForecast = (origin: number, step: number) => number;
/** Fits a method to a history that is not empty, oldest value first. */
export type PointMethod = (history: Float64Array) => PointForecast;

/** A number of the range, or undefined for what is none. */
export function measured(value: number, { low, high }: SeriesRange): number | undefined {
  return Number.isFinite(value) ? Math.min(high, magnitudeMost, Math.max(low, -magnitudeMost, value)) : undefined;
}

/** The curves of a series of which nothing is known: anywhere in the range. */
export function wholeRange(intervalMs: number, range: SeriesRange, steps: number): QuantileCurves {
  const middle = (range.low + Math.min(range.high, Number.MAX_VALUE)) / 2;
  const flat = (value: number) => new Array<number>(steps).fill(value);
  return { intervalMs, q10: flat(range.low), q50: flat(middle), q90: flat(range.high) };
}

/**
 * A point method with the empirical quantiles of its own errors at each step ahead as bands, from the last 288 values: its
 * fit and errors are made when a forecast is asked for, and kept until the next value.
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
  for (let step = 1; step <= steps; step += 1) {
    const middle = point(history.length, step);
    const errors = errorsAt(history, point, step);
    for (const [index, level] of quantileLevels.entries()) curves[index]!.push(clip(middle + errors.quantile(level)));
    points.push(clip(middle));
  }
  return { intervalMs, q10: curves[0], q50: curves[1], q90: curves[2], point: points };
}

/** Errors of the last origins; where the history is shorter than the step, those of the longest step that it has. */
function errorsAt(history: Float64Array, point: PointForecast, step: number): SortedWindow {
  const reach = Math.min(step, history.length - 1);
  const last = history.length - reach;
  const errors = new SortedWindow(errorsKept);
  for (let origin = Math.max(1, Math.min(firstOrigin, last), last - errorsKept + 1); origin <= last; origin += 1)
    if (reach > 0) errors.insert(history[origin + reach - 1]! - point(origin, reach));
  if (errors.size === 0) errors.insert(0);
  return errors;
}
