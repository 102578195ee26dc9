import { type CapacityCurve, finishUnder } from '../scheduling/capacity.ts';

/** Not exceeded with probability 0.1, 0.5 and 0.9; never crossing. */
export interface Quantiles {
  readonly q10: number;
  readonly q50: number;
  readonly q90: number;
}

/** What one slot of a device will give, in shares of a core (0 to 1), from now on. */
export interface SlotCapacity {
  /** Little: with probability 0.9 it is more. */
  readonly q10: CapacityCurve;
  readonly q50: CapacityCurve;
  readonly q90: CapacityCurve;
  /** What an attempt in it takes if the device's own work leaves it all that the owner lends; above 0, at most 1. */
  readonly demand: number;
}

/**
 * When a task ends that begins at `beginSeconds` from now: where the integral of what the slot gives, times the device's speed for the
 * task's engine, reaches its work (`workSeconds`, on a core of speed 1). Much work meets little capacity and little work much, as if the
 * two went together: the quantiles are wider than if they were independent, never narrower.
 */
export function finishQuantiles(
  workSeconds: Quantiles,
  capacity: SlotCapacity,
  speed: number,
  beginSeconds: number,
): Quantiles {
  return {
    q10: finishUnder(capacity.q90, beginSeconds, workSeconds.q10 / speed),
    q50: finishUnder(capacity.q50, beginSeconds, workSeconds.q50 / speed),
    q90: finishUnder(capacity.q10, beginSeconds, workSeconds.q90 / speed),
  };
}

/** What is not exceeded with that probability, by straight lines between the three quantiles; outside of them the nearest. */
export function quantileAt({ q10, q50, q90 }: Quantiles, probability: number): number {
  const share = Math.max(-1, Math.min(1, (probability - 0.5) / 0.4));
  if (share === 0) return q50;
  return q50 + (share < 0 ? (q50 - q10) * share : (q90 - q50) * share);
}

/** The other way round: the probability not to exceed a value, 0 to 1, by the same lines, which go on beyond the outer quantiles until nothing is left. */
export function probabilityWithin({ q10, q50, q90 }: Quantiles, value: number): number {
  if (value === q50) return 0.5;
  const share = value < q50 ? (value - q50) / (q50 - q10) : (value - q50) / (q90 - q50);
  return Math.max(0, Math.min(1, 0.5 + 0.4 * share));
}

/** The mean of what has these quantiles, by Swanson's rule (Hurst, Brown and Swanson 2000: 0.3, 0.4, 0.3). */
export function meanOf({ q10, q50, q90 }: Quantiles): number {
  return 0.3 * q10 + 0.4 * q50 + 0.3 * q90;
}
