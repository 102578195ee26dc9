// The protocol's scores of one model on one set.
import {
  countCovered,
  type GlobalModel,
  meanAbsoluteError,
  meanPinballLoss,
  type QuantileCurves,
  quantileLevels,
  type SeriesWindow,
} from '@foremesh/models';
import { horizon, type TraceSet } from '../forecast/traces.ts';
import { round } from '../spine/statistics.ts';

/** What a model may see at an origin. */
const historyMost = 288;
/** Errors per step that the quantiles of `last` are made from. */
const errorOrigins = 144;

export interface Row {
  /** Mean pinball loss; of the network sets in shares of each series' 99th percentile before its first origin, as the error is. */
  readonly pinballLoss: number;
  /** Of the median. */
  readonly absoluteError: number;
  /** Share of values within the 80 % band or on its edge. */
  readonly coverage: number;
}

/** All values of each series before its first origin, at most the last `most`. */
export function historiesOf({ series, originsOf, range, intervalMs }: TraceSet, most = Infinity): SeriesWindow[] {
  return [...series.values()].flatMap((values) => {
    const [first] = originsOf(values.length);
    if (first === undefined) return [];
    return [{ values: values.subarray(Math.max(0, first - most), first), range, intervalMs }];
  });
}

export function rowOf(set: TraceSet, predict: GlobalModel['predict']): Row {
  const { series, originsOf, range, intervalMs } = set;
  let [loss, error, covered, windows] = [0, 0, 0, 0];
  for (const values of series.values()) {
    const origins = originsOf(values.length);
    const unit = Number.isFinite(range.high) ? 1 : percentile99(values.subarray(0, origins[0]));
    if (!(unit > 0)) continue;
    const seen = origins.map((origin) => ({
      values: values.subarray(Math.max(0, origin - historyMost), origin),
      range,
      intervalMs,
    }));
    for (const [index, curves] of predict(seen).entries()) {
      const actual = values.subarray(origins[index]!, origins[index]! + horizon);
      loss += meanPinballLoss(curves, actual) / unit;
      error += meanAbsoluteError(curves, actual) / unit;
      const { within, onEdge } = countCovered(curves, actual);
      covered += (within + onEdge) / horizon;
      windows += 1;
    }
  }
  return {
    pinballLoss: round(loss / windows, 4),
    absoluteError: round(error / windows, 4),
    coverage: round(covered / windows, 3),
  };
}

/** The last value, and as quantiles those of its own errors h steps ahead. */
export function predictLast(windows: readonly SeriesWindow[]): QuantileCurves[] {
  return windows.map(({ values, range, intervalMs }) => {
    const last = values.at(-1)!;
    const bands = Array.from({ length: horizon }, (_, index) => {
      const distance = index + 1;
      const from = Math.max(0, values.length - distance - errorOrigins);
      const errors = values.subarray(from + distance).map((value, at) => value - values[from + at]!);
      errors.sort();
      return quantileLevels.map((level) => Math.min(range.high, Math.max(range.low, last + between(errors, level))));
    });
    const curve = (level: number) => bands.map((band) => band[level]!);
    return { intervalMs, q10: curve(0), q50: curve(1), q90: curve(2) };
  });
}

/** Between the neighbours, as type 7 of Hyndman and Fan has it. */
function between(sorted: Float64Array, level: number): number {
  const rank = level * (sorted.length - 1);
  const below = Math.floor(rank);
  const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  return low + (rank - below) * (high - low);
}

function percentile99(values: Float64Array): number {
  return between(values.slice().sort(), 0.99);
}
