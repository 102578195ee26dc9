import type { SeriesRange } from '../forecaster.ts';

/** Where a window lies and how far it spreads: what makes windows of different machines comparable. */
export interface WindowScale {
  readonly mean: number;
  /** Standard deviation, at least the floor of the range; above 0. */
  readonly spread: number;
}

/** The least spread as a share of the range: 0.5 on a scale from 0 to 100. */
const floorOfSpan = 1 / 200;
/** Without an upper end: as a share of the window's own mean. */
const floorOfMean = 1 / 200;
const floorLeast = 1e-6;

/** The scale of `values[start, end)`, which must be finite. */
export function scaleOf(values: Float64Array, start: number, end: number, range: SeriesRange): WindowScale {
  let sum = 0;
  for (let index = start; index < end; index += 1) sum += values[index]!;
  const mean = sum / (end - start);
  let squares = 0;
  for (let index = start; index < end; index += 1) squares += (values[index]! - mean) ** 2;
  const span = range.high - range.low;
  const floor = Number.isFinite(span) ? span * floorOfSpan : Math.abs(mean) * floorOfMean;
  return { mean, spread: Math.max(Math.sqrt(squares / (end - start)), floor, floorLeast) };
}

/** The indices at which `before` values precede and `after` follow without a gap, oldest first; of all positions every `stride`th. */
export function originsIn(values: Float64Array, before: number, after: number, stride = 1): number[] {
  const origins: number[] = [];
  let whole = 0;
  for (let index = 0; index < values.length; index += 1) {
    whole = Number.isFinite(values[index]) ? whole + 1 : 0;
    if (whole >= before + after && (index + 1 - before - after) % stride === 0) origins.push(index + 1 - after);
  }
  return origins;
}
