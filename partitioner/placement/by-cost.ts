import type { CapacityCurve } from '../scheduling/capacity.ts';
import { type CostWeights, type ExpectedCost, expectedCost } from './cost.ts';
import { type Device, type PlaceableTask, type Refusal, refusalForGood } from './current-room.ts';
import type { Quantiles, SlotCapacity } from './expected-finish.ts';

/** A device, and what is expected of it. Seconds count from now. */
export interface ForeseenDevice extends Device {
  readonly capacity: SlotCapacity;
  readonly leavesPerSecond: number;
  /** What its link carries. */
  readonly bytesPerSecond: number;
  /** Of the input of every task of the group: what it need not fetch. */
  readonly nearBytes: number;
  /** When each of its slots is free of all that runs, waits or is planned there; Infinity: nobody knows. Planning changes it. */
  readonly slotsFreeSeconds: number[];
  /** What it is expected to have free for more tasks, bytes; as much as now unless said. */
  readonly memoryFree?: CapacityCurve;
}

export interface ForeseenTask extends PlaceableTask {
  readonly workSeconds: Quantiles;
  readonly inputBytes: number;
  /** False: it has waited for better long enough, and takes the best of what is free now. */
  readonly mayWait: boolean;
}

/** What it would cost on one of the devices that could take it. */
export interface Alternative {
  readonly device: string;
  readonly expected: ExpectedCost;
}

export type ForeseenPlacement =
  /** On a device, now; the alternatives, that device first, the others by what they cost. */
  | { readonly task: string; readonly device: string; readonly alternatives: readonly Alternative[] }
  /** It waits for room that is not there yet, being better off with that; without it, nobody knows when there is any. */
  | { readonly task: string; readonly waitsFor?: Alternative }
  | {
      readonly task: string;
      readonly refusals: readonly { readonly device: string; readonly refusal: Refusal }[];
    };

/** Of devices that differ by less than this in what they cost, the emptiest: calibrated speeds of equal machines differ by as much. */
const equalFactor = 1.05;
/** A device counts as free of its own work when a slot gives this part of what it can. */
const freePart = 0.9;

interface Candidate {
  readonly device: ForeseenDevice;
  /** The slot that is free first, and since when or from when. */
  slot: number;
  expected: ExpectedCost;
}

/**
 * Places tasks, in the order given, each where it is expected to cost least, be it that a slot there has yet to become free, or the device to
 * have done with its own work: then it waits, and what comes after it sees the slot taken until it ends (list scheduling by earliest
 * finish, as in HEFT by Topcuoglu, Hariri and Wu 2002, without insertion, and by cost). Ends when no device has a free slot, or
 * `waitingMost` tasks wait: so many of the first tasks are answered for. Takes what it gives off the devices (`free...` and `slotsFree...`
 * are changed). Deterministic: ties go to the emptiest device, then the first.
 *
 * A group of equal tasks costs one look at each device, and one more for each task.
 */
export function placeByCost(
  tasks: readonly ForeseenTask[],
  devices: readonly ForeseenDevice[],
  weights: CostWeights,
  options: { readonly waitingMost: number; readonly alternativesKept: number },
): ForeseenPlacement[] {
  const placements: ForeseenPlacement[] = [];
  let candidates: Candidate[] = [];
  let before: ForeseenTask | undefined;
  let waiting = 0;
  for (const task of tasks) {
    if (waiting >= options.waitingMost || devices.every(({ freeSlots }) => freeSlots <= 0)) break;
    if (before === undefined || !isAlike(task, before)) candidates = candidatesOf(task, devices, weights);
    before = task;
    const avoided = candidates.filter(({ device }) => !task.avoid.includes(device.device));
    const allowed = avoided.length > 0 ? avoided : candidates;
    if (allowed.length === 0) {
      placements.push({ task: task.task, refusals: devices.map((device) => refusalOf(task, device)) });
      continue;
    }
    const best = pick(task, allowed);
    if (best === undefined) {
      waiting += 1;
      placements.push({ task: task.task });
      continue;
    }
    const { device } = best;
    if (startsNow(best)) {
      const alternatives = alternativesOf(best, allowed, options.alternativesKept);
      placements.push({ task: task.task, device: device.device, alternatives });
      device.freeSlots -= 1;
      device.freeMemoryBytes -= task.memoryBytes;
    } else {
      waiting += 1;
      placements.push({ task: task.task, waitsFor: alternativeOf(best) });
    }
    device.slotsFreeSeconds[best.slot] = best.expected.terms.finishSeconds;
    Object.assign(best, candidateOf(task, device, weights));
  }
  return placements;
}

function isAlike(one: ForeseenTask, other: ForeseenTask): boolean {
  return one.workSeconds === other.workSeconds && one.inputBytes === other.inputBytes && one.mayWait === other.mayWait;
}

function candidatesOf(task: ForeseenTask, devices: readonly ForeseenDevice[], weights: CostWeights): Candidate[] {
  return devices
    .filter((device) => refusalForGood(task, device) === undefined)
    .map((device) => candidateOf(task, device, weights));
}

function candidateOf(task: ForeseenTask, device: ForeseenDevice, weights: CostWeights): Candidate {
  const { capacity, slotsFreeSeconds, leavesPerSecond, bytesPerSecond, nearBytes } = device;
  const free = Math.min(...slotsFreeSeconds);
  const slot = slotsFreeSeconds.indexOf(free);
  const costFrom = (startSeconds: number) =>
    expectedCost(
      {
        workSeconds: task.workSeconds,
        capacity,
        speed: device.speed[task.engine] ?? 1,
        startSeconds,
        inputBytes: Math.max(0, task.inputBytes - nearBytes),
        bytesPerSecond,
        leavesPerSecond,
      },
      weights,
    );
  // One that waits no longer takes also what those before it would rather have later.
  const expected = costFrom(!task.mayWait && device.freeSlots > 0 ? 0 : free);
  if (!task.mayWait || expected.terms.contentionSeconds === 0) return { device, slot, expected };
  const calm = calmFrom(capacity, free);
  const later = calm === undefined ? expected : costFrom(calm);
  return { device, slot, expected: later.terms.total < expected.terms.total ? later : expected };
}

/** When the device will have done with its own work, if it has not at that time. */
function calmFrom({ q50, demand }: SlotCapacity, fromSeconds: number): number | undefined {
  const { untilSeconds, rates } = q50;
  for (let phase = 1; phase < rates.length; phase += 1)
    if (untilSeconds[phase - 1]! > fromSeconds && rates[phase]! >= freePart * demand) return untilSeconds[phase - 1];
  return undefined;
}

function startsNow({ device, expected }: Candidate): boolean {
  return expected.startSeconds === 0 && device.freeSlots > 0;
}

function pick(task: ForeseenTask, candidates: readonly Candidate[]): Candidate | undefined {
  let least = Number.POSITIVE_INFINITY;
  const usable = candidates.filter((candidate) => isUsable(task, candidate));
  for (const { expected } of usable) least = Math.min(least, expected.terms.total);
  let best: Candidate | undefined;
  for (const candidate of usable) {
    if (candidate.expected.terms.total > least * equalFactor) continue;
    if (best === undefined || isRather(candidate, best)) best = candidate;
  }
  return best;
}

/** Of two that cost the same. */
function isRather(one: Candidate, other: Candidate): boolean {
  if (startsNow(one) !== startsNow(other)) return startsNow(one);
  if (one.device.freeSlots !== other.device.freeSlots) return one.device.freeSlots > other.device.freeSlots;
  return one.device.isNear === true && other.device.isNear !== true;
}

function isUsable(task: ForeseenTask, candidate: Candidate): boolean {
  const { device, expected } = candidate;
  if (startsNow(candidate)) {
    if (device.freeMemoryBytes < task.memoryBytes) return false;
    if (!task.mayWait) return true;
  } else if (!task.mayWait || expected.terms.total === Number.POSITIVE_INFINITY) return false;
  return (
    device.memoryFree === undefined ||
    leastOf(device.memoryFree, expected.startSeconds, expected.finish.q50) >= task.memoryBytes
  );
}

function leastOf({ untilSeconds, rates }: CapacityCurve, from: number, to: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let phase = 0; phase < rates.length; phase += 1) {
    const begins = phase === 0 ? 0 : untilSeconds[phase - 1]!;
    const ends = untilSeconds[phase] ?? Number.POSITIVE_INFINITY;
    if (begins <= to && ends > from) least = Math.min(least, rates[phase]!);
  }
  return least;
}

function alternativeOf({ device, expected }: Candidate): Alternative {
  return { device: device.device, expected };
}

function byTotal(one: Alternative, other: Alternative): number {
  return one.expected.terms.total - other.expected.terms.total;
}

function alternativesOf(best: Candidate, candidates: readonly Candidate[], most: number): Alternative[] {
  const others = candidates.filter((candidate) => candidate !== best).map(alternativeOf);
  return [alternativeOf(best), ...others.sort(byTotal)].slice(0, most);
}

function refusalOf(task: ForeseenTask, device: ForeseenDevice) {
  return { device: device.device, refusal: refusalForGood(task, device) ?? ('busy' as const) };
}
