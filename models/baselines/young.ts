import type { QuantileCurves, SeriesRange } from '../forecaster.ts';

/** A series of fewer values may still do anything, whatever it did so far. */
const youngValues = 12;

/**
 * Bands of a series of `count` values, at least one, of which none was farther from 0 than `size`: while it is young, drawn towards the ends of its range, the
 * more so the fewer there are. Towards an open end it goes as far as the series is large; as 1 of its units where it was always 0, which tells of no size.
 */
export function widened(curves: QuantileCurves, range: SeriesRange, count: number, size: number): QuantileCurves {
  const share = Math.max(0, 1 - count / youngValues) ** 2;
  return share === 0 ? curves : towardsEnds(curves, range, share, size);
}

/** The same by a share of the way, 0 to 1. */
export function towardsEnds(curves: QuantileCurves, range: SeriesRange, share: number, size: number): QuantileCurves {
  const { low, high } = range;
  const open = size === 0 ? 1 : size;
  // As means, each operation of which keeps the order: a band that is wider stays so to the last bit.
  const mean = (value: number, end: number) => (1 - share) * value + share * end;
  const down = (value: number) =>
    Number.isFinite(low) ? Math.max(low, Math.min(value, mean(value, low))) : value - share * open;
  const up = (value: number) =>
    Number.isFinite(high) ? Math.min(high, Math.max(value, mean(value, high))) : value + share * open;
  return { ...curves, q10: curves.q10.map(down), q90: curves.q90.map(up) };
}
