import { wholeRange } from '../baselines/empirical-bands.ts';
import { widened } from '../baselines/young.ts';
import type { QuantileCurves, SeriesOptions } from '../forecaster.ts';
import { placeOf } from './anchors.ts';
import type { Bends } from './bends.ts';
import { levels } from './track.ts';

/** What a series said last. */
export interface Latest {
  readonly anchors: readonly number[];
  /** Per anchor and level. */
  readonly said: Float32Array;
  readonly bends: Bends | undefined;
  /** Values that did not come since: a step ahead is farther from what is known by so many. */
  readonly missing: number;
  /** How many values it had, and how far from 0 they were; where they were all 0, how far those of its kind are. */
  readonly seen: { readonly count: number; readonly size: number };
}

/** The curves through what was said at the anchors. */
export function curvesThrough(latest: Latest, { intervalMs, range }: SeriesOptions, steps: number): QuantileCurves {
  const { anchors, missing, seen } = latest;
  if (seen.count === 0) return wholeRange(intervalMs, range, steps);
  const [q10, q50, q90] = [empty(steps), empty(steps), empty(steps)];
  for (let step = 0; step < steps; step += 1) {
    const ahead = step + 1 + missing;
    const { index, share } = placeOf(anchors, ahead);
    const one = saidOf(latest, range, index, share, ahead, 0);
    const two = saidOf(latest, range, index, share, ahead, 1);
    const three = saidOf(latest, range, index, share, ahead, 2);
    // In order, without an array for each step of each series.
    q10[step] = Math.min(one, two, three);
    q50[step] = Math.max(Math.min(one, two), Math.min(Math.max(one, two), three));
    q90[step] = Math.max(one, two, three);
  }
  return widened({ intervalMs, q10, q50, q90 }, range, seen.count, seen.size);
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
