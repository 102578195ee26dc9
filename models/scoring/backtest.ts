import type { ForecasterFactory, QuantileCurves, SeriesOptions } from '../forecaster.ts';
import { countCovered, meanAbsoluteError, meanPinballLoss, naiveScale } from './scores.ts';

/** A forecast that was made when the values before index `origin` were known, and nothing after. */
export interface BacktestWindow {
  readonly origin: number;
  readonly curves: QuantileCurves;
}

export interface BacktestOptions extends SeriesOptions {
  /** Steps ahead. */
  readonly horizon: number;
  /** Rising indexes; from each on there are `horizon` values. */
  readonly origins: readonly number[];
}

/** Values before an origin by which its scale is told, as the protocol of the bench has it. */
const scaleValues = 288;
/** Of the range of the values: a scale that is smaller tells nothing, and the window does not count into MASE. */
const scaleShareLeast = 1e-4;

/**
 * Up to `count` origins, evenly spread over the second half of a series, whose last window ends with it. None when the series has not
 * even one window with as much before it.
 */
export function backtestOrigins(length: number, horizon: number, count: number): number[] {
  const last = length - horizon;
  const first = Math.max(horizon, Math.floor(length / 2));
  if (last < first) return [];
  const most = Math.min(count, last - first + 1);
  return Array.from({ length: most }, (_, at) =>
    most === 1 ? last : Math.round(first + (at * (last - first)) / (most - 1)),
  );
}

/**
 * Rolling origin (Tashman 2000): one model goes over the series once, and at each origin forecasts what comes, before it has seen it.
 * NaN is a missing value.
 */
export function* backtest(
  factory: ForecasterFactory,
  values: ArrayLike<number>,
  { horizon, origins, ...series }: BacktestOptions,
): Generator<BacktestWindow> {
  const model = factory(series);
  let seen = 0;
  for (const origin of origins) {
    for (; seen < origin; seen += 1) model.observe(values[seen]!);
    yield { origin, curves: model.forecast(horizon) };
  }
}

/** Means over all windows. NaN where there was nothing to compare with. */
export interface BacktestScores {
  /** Windows with at least one value. */
  readonly windows: number;
  readonly meanAbsoluteError: number;
  /** Of that by the mean change from one value to the next before the origin: below 1 is better than "as before", one step ahead. */
  readonly meanAbsoluteScaledError: number;
  readonly meanPinballLoss: number;
  /** Share of the values within the band from the 0.1 to the 0.9 quantile, its edges included. */
  readonly coverage: number;
}

/** Values that are missing are not compared with; all others count by their window: each window counts the same. */
export function scoreBacktest(windows: readonly BacktestWindow[], values: ArrayLike<number>): BacktestScores {
  const known = Array.from(values).filter((value) => !Number.isNaN(value));
  const scaleLeast =
    scaleShareLeast * known.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY) -
    scaleShareLeast * known.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const sums = { windows: 0, error: 0, scaled: 0, scaledWindows: 0, pinball: 0, covered: 0, values: 0 };
  for (const { origin, curves } of windows) {
    const [compared, actual] = withoutMissing(curves, values, origin);
    if (actual.length === 0) continue;
    const error = meanAbsoluteError(compared, actual);
    const { within, onEdge } = countCovered(inSingle(compared), Float32Array.from(actual));
    const history = Array.from(
      { length: Math.min(origin, scaleValues) },
      (_, at) => values[origin - Math.min(origin, scaleValues) + at]!,
    );
    const scale = naiveScale(history.filter((value) => !Number.isNaN(value)));
    sums.windows += 1;
    sums.error += error;
    sums.pinball += meanPinballLoss(compared, actual);
    sums.covered += within + onEdge;
    sums.values += actual.length;
    if (!(scale > scaleLeast)) continue;
    sums.scaled += error / scale;
    sums.scaledWindows += 1;
  }
  return {
    windows: sums.windows,
    meanAbsoluteError: sums.error / sums.windows,
    meanAbsoluteScaledError: sums.scaled / sums.scaledWindows,
    meanPinballLoss: sums.pinball / sums.windows,
    coverage: sums.covered / sums.values,
  };
}

/** Some models keep what they saw in single precision: a constant that is forecast exactly is on the edge of its band, however its digits end. */
function inSingle({ intervalMs, q10, q50, q90 }: QuantileCurves): QuantileCurves {
  return { intervalMs, q10: q10.map(Math.fround), q50: q50.map(Math.fround), q90: q90.map(Math.fround) };
}

function withoutMissing(curves: QuantileCurves, values: ArrayLike<number>, origin: number): [QuantileCurves, number[]] {
  const steps = curves.q50.map((_, step) => step).filter((step) => !Number.isNaN(values[origin + step]!));
  const those = (curve: readonly number[]) => steps.map((step) => curve[step]!);
  const { intervalMs, q10, q50, q90 } = curves;
  return [
    { intervalMs, q10: those(q10), q50: those(q50), q90: those(q90) },
    steps.map((step) => values[origin + step]!),
  ];
}
