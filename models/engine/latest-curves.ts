import type { QuantileCurves, SeriesOptions } from '../forecaster.ts';
import { placeOf } from './anchors.ts';
import type { Bends } from './bends.ts';
import { levels } from './track.ts';

/** A series of fewer values may still do anything: its bands reach towards the ends of its range. */
const youngValues = 12;

/** What a series said last. */
export interface Latest {
  readonly anchors: readonly number[];
  /** Per anchor and level. */
  readonly said: Float32Array;
  readonly bends: Bends | undefined;
  /** Values that it had, at least 1, and values that did not come since: a step ahead is farther from what is known by so many. */
  readonly count: number;
  readonly missing: number;
}

/** The curves through what was said at the anchors. */
export function curvesThrough(latest: Latest, { intervalMs, range }: SeriesOptions, steps: number): QuantileCurves {
  const { anchors, count, missing } = latest;
  const [q10, q50, q90] = [empty(steps), empty(steps), empty(steps)];
  const young = Math.max(0, 1 - count / youngValues) ** 2;
  const floor = (value: number) => (Number.isFinite(range.low) ? range.low : value - Math.abs(value));
  const ceiling = (value: number) => (Number.isFinite(range.high) ? range.high : value + Math.abs(value));
  for (let step = 0; step < steps; step += 1) {
    const ahead = step + 1 + missing;
    const { index, share } = placeOf(anchors, ahead);
    const one = saidOf(latest, range, index, share, ahead, 0);
    const two = saidOf(latest, range, index, share, ahead, 1);
    const three = saidOf(latest, range, index, share, ahead, 2);
    // In order, without an array for each step of each series.
    const first = Math.min(one, two, three);
    const third = Math.max(one, two, three);
    q10[step] = first - young * (first - floor(first));
    q50[step] = Math.max(Math.min(one, two), Math.min(Math.max(one, two), three));
    q90[step] = third + young * (ceiling(third) - third);
  }
  return { intervalMs, q10, q50, q90 };
}

/** What was said of a step `ahead`, `share` of the way from an anchor to the next. */
function saidOf(
  { said, bends }: Latest,
  { low, high }: SeriesOptions['range'],
  anchor: number,
  share: number,
  ahead: number,
  level: number,
): number {
  const at = anchor * levels.length + level;
  if (share === 0) return said[at]!;
  const line = (1 - share) * said[at]! + share * said[at + levels.length]!;
  return Math.min(high, Math.max(low, line + (bends?.at(ahead, level) ?? 0)));
}

/** Not filled with 0: V8 would make it an array of whole numbers, and another one at the first fraction. */
function empty(length: number): number[] {
  return new Array<number>(length).fill(Number.NaN);
}
