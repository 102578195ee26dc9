import { magnitudeMost } from '../baselines/empirical-bands.ts';
import type { SeriesRange } from '../forecaster.ts';

/** Where a window lies and how far it spreads: what makes windows of different machines comparable. */
export interface WindowScale {
  readonly mean: number;
  /** Standard deviation, or a floor; above 0. */
  readonly spread: number;
}

/** The spread where nothing tells how large the series is: of zeros in an open range, or of a range of one value. Below whatever is measured. */
const spreadOfNone = 1 / magnitudeMost;

/**
 * The scale of `values[start, end)`, which must be finite. The spread is at least the share `floor` of the range; of the window's own mean where the
 * range has no end. It is at least `least`, too.
 */
export function scaleOf(
  values: Float64Array,
  start: number,
  end: number,
  { low, high }: SeriesRange,
  floor: number,
  least = spreadOfNone,
): WindowScale {
  let sum = 0;
  for (let index = start; index < end; index += 1) sum += values[index]!;
  const mean = sum / (end - start);
  let squares = 0;
  for (let index = start; index < end; index += 1) squares += (values[index]! - mean) ** 2;
  const whole = Number.isFinite(high - low) ? high - low : Math.abs(mean);
  return { mean, spread: Math.max(Math.sqrt(squares / (end - start)), floor * whole, least) };
}

/** The indices at which `before` values precede and `after` follow without a gap, oldest first; of all positions every `stride`th. */
export function originsIn(values: Float64Array, before: number, after: number, stride = 1): Uint32Array {
  const origins = new Uint32Array(Math.ceil(values.length / stride));
  let [count, whole] = [0, 0];
  for (let index = 0; index < values.length; index += 1) {
    whole = Number.isFinite(values[index]) ? whole + 1 : 0;
    if (whole < before + after || (index + 1 - before - after) % stride !== 0) continue;
    origins[count] = index + 1 - after;
    count += 1;
  }
  return origins.slice(0, count);
}
