import type { Quantiles, SlotCapacity } from '../placement/expected-finish.ts';
import type { CapacityCurve } from '../scheduling/capacity.ts';

/** How many standard deviations of a normal distribution lie between its middle and its quantile 0.9. */
const deviationsAt90 = 1.2815515655446004;
/** A quantile is taken for at most so many times the middle: beyond that nothing is known anyway. */
const ratioMost = 1_000;

/**
 * The value so many standard deviations from the middle, of what spreads by a factor: log-normal on both sides of the middle, each
 * side with the spread that its quantile says.
 */
export function spreadBy({ q10, q50, q90 }: Quantiles, deviations: number): number {
  if (q50 <= 0) return deviations <= 0 ? 0 : q90 * Math.min(1, deviations / deviationsAt90);
  const ratio = deviations < 0 ? q50 / Math.max(q10, q50 / ratioMost) : Math.min(q90 / q50, ratioMost);
  return q50 * ratio ** (deviations / deviationsAt90);
}

/**
 * The curve so many standard deviations from the middle one (above: the device gives more), by straight lines through the three,
 * which have their steps at the same times.
 */
export function curveAt({ q10, q50, q90 }: SlotCapacity, deviations: number): CapacityCurve {
  if (deviations === 0) return q50;
  const share = deviations / deviationsAt90;
  const length = q50.rates.length;
  const rates = new Float64Array(length);
  for (let step = 0; step < length; step += 1) {
    const middle = q50.rates[step]!;
    const rate = middle + (share < 0 ? (middle - q10.rates[step]!) * share : (q90.rates[step]! - middle) * share);
    // Nobody is starved for ever: a plan that never ends would say nothing.
    rates[step] = Math.max(middle * rateLeast, Math.min(Math.max(1, q90.rates[step]!), rate));
  }
  return { untilSeconds: q50.untilSeconds, rates };
}

/** The least share of the middle that a slot gives at its worst. */
const rateLeast = 0.02;

/** So many standard deviations below which what happens stays with that probability, as far as three quantiles tell: 0.5 is 0, 0.9 is 1.28. */
export function deviationsFor(confidence: number): number {
  return (Math.max(-1, Math.min(1, (confidence - 0.5) / 0.4)) || 0) * deviationsAt90;
}

/** Draws from the standard normal distribution (Box and Muller 1958). */
export function normalSource(random: () => number): () => number {
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
