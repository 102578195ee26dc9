import { magnitudeMost } from '../baselines/empirical-bands.ts';
import type { SeriesRange } from '../forecaster.ts';
import { scaleOf, type WindowScale } from '../global/scaling.ts';

/** What is read before the lags, if it is there: so many times the lags in all. */
const contextPerLags = 6;
/** Scaled values are cut to so many spreads. */
const most = 8;
/** The least spread of a window, as a share of the range. */
const floor = 1 / 2_000;
/** The last values that make the shorter level. */
const shortLevel = 12;

/** Levels that the forecast mixes: last value, mean of the last 12, of the lags (0 by scaling), of the context, its median. */
export const levelCount = 5;
/** Numbers that say what the lags do not: the levels, the context's spread and quantiles, how much it moves, where the range ends. */
export const contextFeatures = 16;

/** Where a window's numbers go: a batch of rows, filled row by row. */
export interface Batch {
  readonly rows: number;
  /** rows x lags, scaled. */
  readonly lags: Float32Array;
  /** rows x `contextFeatures`. */
  readonly context: Float32Array;
  /** rows x `levelCount`, scaled. */
  readonly levels: Float32Array;
}

export function emptyBatch(rows: number, lags: number): Batch {
  return {
    rows,
    lags: new Float32Array(rows * lags),
    context: new Float32Array(rows * contextFeatures),
    levels: new Float32Array(rows * levelCount),
  };
}

export function contextOf(lags: number): number {
  return contextPerLags * lags;
}

export interface ReadWindow extends WindowScale {
  /** How large the window's spread is among what the series can be: what an error of one spread costs. */
  readonly share: number;
}

/** Describes what precedes `origin`, and nothing after it, in row `row` of the batch. The lags must be finite. */
export function readWindow(
  values: Float64Array,
  origin: number,
  range: SeriesRange,
  lags: number,
  batch: Batch,
  row: number,
): ReadWindow {
  const context = gapless(values, origin, contextOf(lags));
  const whole = scaleOf(context, 0, context.length, range, floor);
  // By what the longer past tells where the range does not: how large the unit of the series is makes no difference.
  const least = floor * whole.spread;
  const { mean, spread } = scaleOf(values, origin - lags, origin, range, floor, least);
  const scaled = (value: number) => Math.min(most, Math.max(-most, (value - mean) / spread));
  for (let lag = 0; lag < lags; lag += 1) batch.lags[row * lags + lag] = scaled(values[origin - lags + lag]!);

  const sorted = context.slice().sort();
  const at = (level: number) => sorted[Math.round(level * (sorted.length - 1))]!;
  const short = Math.min(shortLevel, lags);
  const recent = scaleOf(values, origin - short, origin, range, floor, least);
  const levels = [values[origin - 1]!, recent.mean, mean, whole.mean, at(0.5)].map(scaled);
  batch.levels.set(levels, row * levelCount);

  const unit = Math.max(endOf(range.high, at(1)) - endOf(range.low, at(0)), spread);
  const features = [
    ...[levels[0]!, levels[1]!, levels[3]!, levels[4]!].map((level) => level / 2),
    ...[at(0.1), at(0.9), at(0), at(1)].map((value) => scaled(value) / 2),
    Math.log(recent.spread / spread),
    Math.log(whole.spread / spread),
    Math.log1p(meanChange(context, 1) / spread),
    Math.log1p(meanChange(context, short) / spread),
    scaled(range.low) / most,
    scaled(range.high) / most,
    Math.log(spread / unit) / 4,
    context.length / contextOf(lags),
  ];
  batch.context.set(features, row * contextFeatures);
  return { mean, spread, share: spread / unit };
}

/** An end of the range; what was seen farthest towards it where it is open. */
function endOf(end: number, seen: number): number {
  return Math.abs(end) <= magnitudeMost ? end : seen;
}

/** The values up to `origin`, at most `length` of them and none before a gap. */
function gapless(values: Float64Array, origin: number, length: number): Float64Array {
  let start = origin;
  while (start > 0 && start > origin - length && Number.isFinite(values[start - 1])) start -= 1;
  return values.subarray(start, origin);
}

function meanChange(values: Float64Array, distance: number): number {
  let sum = 0;
  for (let index = distance; index < values.length; index += 1)
    sum += Math.abs(values[index]! - values[index - distance]!);
  return sum / Math.max(1, values.length - distance);
}
