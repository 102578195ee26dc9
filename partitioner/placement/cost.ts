import type { CapacityCurve } from '../scheduling/capacity.ts';
import { finishQuantiles, meanOf, type Quantiles, quantileAt, type SlotCapacity } from './expected-finish.ts';

/** How much a second of each kind counts. At least 0; at 0 it counts for nothing. */
export interface CostWeights {
  /** A second until the task ends. */
  readonly makespan: number;
  /** A second of CPU that the device's own work would lose. */
  readonly contention: number;
  /** A second for which input is on a link; that it delays the end is in `makespan` besides. */
  readonly transfer: number;
  /** A second of work that is expected to be lost because the device leaves. */
  readonly risk: number;
}

/** What a job wants of its placements. */
export interface CostWishes extends CostWeights {
  /** How sure it wants to be of the end of a task, 0 to 1, since it has a deadline: then the end is when it is over with that probability, and not when it is over on average. */
  readonly confidence?: number;
}

/**
 * A second is a second, whoever waits for it: the job, the owner of the device, the others on its link, or whoever does lost work again.
 * Every other choice would favour one of them without being asked to; a job asks by `weights`.
 */
export const costWeightsDefault: CostWeights = { makespan: 1, contention: 1, transfer: 1, risk: 1 };

/** What it costs to run a task on a device, in seconds, each before its weight; `total` is the sum, weighted. */
export interface CostTerms {
  /** From now to the expected end. */
  readonly finishSeconds: number;
  readonly contentionSeconds: number;
  readonly transferSeconds: number;
  readonly riskSeconds: number;
  readonly total: number;
}

export interface CostQuestion {
  /** On a core of speed 1. */
  readonly workSeconds: Quantiles;
  readonly capacity: SlotCapacity;
  /** Of a core of the device for the engine of the task; above 0. */
  readonly speed: number;
  /** From now until the slot is free of what runs and waits there. */
  readonly startSeconds: number;
  /** Input that is not near the device, and what its link carries. */
  readonly inputBytes: number;
  readonly bytesPerSecond: number;
  /** How often a device like it leaves, per second. */
  readonly leavesPerSecond: number;
}

export interface ExpectedCost {
  readonly terms: CostTerms;
  /** Seconds from now. */
  readonly finish: Quantiles;
  readonly startSeconds: number;
}

export type CostFunction = (question: CostQuestion, wishes?: CostWishes) => ExpectedCost;

/** What it costs to run a task on a device; Infinity where it never ends. */
export function expectedCost(question: CostQuestion, weights: CostWishes = costWeightsDefault): ExpectedCost {
  const { workSeconds, capacity, speed, startSeconds, inputBytes, bytesPerSecond, leavesPerSecond } = question;
  const transferSeconds = inputBytes / bytesPerSecond;
  const beginSeconds = startSeconds + transferSeconds;
  const finish = finishQuantiles(workSeconds, capacity, speed, beginSeconds);
  const { confidence } = weights;
  const finishSeconds = confidence === undefined ? meanOf(finish) : quantileAt(finish, confidence);
  // Each way to its end by itself: the owner's work suffers where little is free for long.
  const contentionSeconds = meanOf({
    q10: lackUnder(capacity.q90, beginSeconds, finish.q10, capacity.demand),
    q50: lackUnder(capacity.q50, beginSeconds, finish.q50, capacity.demand),
    q90: lackUnder(capacity.q10, beginSeconds, finish.q90, capacity.demand),
  });
  const riskSeconds = lostSeconds(finishSeconds - beginSeconds, leavesPerSecond);
  const terms = { finishSeconds, contentionSeconds, transferSeconds, riskSeconds };
  return { terms: withTotal(terms, weights), finish, startSeconds };
}

/** With their weighted sum. */
export function withTotal(
  { finishSeconds, contentionSeconds, transferSeconds, riskSeconds }: Omit<CostTerms, 'total'>,
  weights: CostWeights,
): CostTerms {
  const total =
    weighted(weights.makespan, finishSeconds) +
    weighted(weights.contention, contentionSeconds) +
    weighted(weights.transfer, transferSeconds) +
    weighted(weights.risk, riskSeconds);
  return { finishSeconds, contentionSeconds, transferSeconds, riskSeconds, total };
}

/** What does not count does not count without end either. */
function weighted(weight: number, seconds: number): number {
  return weight === 0 ? 0 : weight * seconds;
}

/** The integral of what `demand` is above the curve, between two times. */
function lackUnder({ untilSeconds, rates }: CapacityCurve, from: number, to: number, demand: number): number {
  if (to === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  const last = untilSeconds.length;
  let lack = 0;
  let at = from;
  for (let phase = 0; phase <= last && at < to; phase += 1) {
    const until = phase < last ? Math.min(to, untilSeconds[phase]!) : to;
    if (until <= at) continue;
    lack += (until - at) * Math.max(0, demand - rates[phase]!);
    at = until;
  }
  return lack;
}

/** Work that is expected to be lost of a run of that length, where departures come by a Poisson process and each loses all since the beginning. */
function lostSeconds(runSeconds: number, leavesPerSecond: number): number {
  if (leavesPerSecond === 0) return 0;
  if (!(runSeconds < Number.POSITIVE_INFINITY)) return 1 / leavesPerSecond; // also of one that never begins
  const expected = leavesPerSecond * runSeconds;
  // The integral of rate x exp(-rate x t) x t; where `expected` is small the difference below would be rounding alone.
  if (expected < 1e-4) return (expected * runSeconds) / 2;
  return (1 - Math.exp(-expected) * (1 + expected)) / leavesPerSecond;
}
