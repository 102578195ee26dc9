import { type CapacityCurve, finishUnder, givenBetween } from '../scheduling/capacity.ts';
import { type CostWishes, type ExpectedCost, expectedCost } from './cost.ts';
import { type Device, type PlaceableTask, type Refusal, refusalForGood } from './current-room.ts';
import { meanOf, type Quantiles, type SlotCapacity } from './expected-finish.ts';

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
  readonly memoryFree?: CapacityCurve | undefined;
}

export interface ForeseenTask extends PlaceableTask {
  readonly workSeconds: Quantiles;
  readonly inputBytes: number;
  /** False: it takes the best of what is free now. */
  readonly mayWait: boolean;
  /**
   * It has waited for better so long, longer than it was told: what is not free now is believed to take as long again. So it waits no more than
   * about twice as long as was worth while (as who rents skis buys them when the rents come to their price: Karlin, Manasse, Rudolph and Sleator 1988). 0: not yet.
   */
  readonly overdueSeconds: number;
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
const freePart = 0.75;

interface Candidate {
  readonly device: ForeseenDevice;
  /** The slot that is free first. */
  readonly slot: number;
  readonly expected: ExpectedCost;
  /** Of `expected`: looked at for every task. */
  readonly total: number;
  readonly startsNow: boolean;
  /** It has the memory, as far as is known, and somebody knows when it has a slot. */
  readonly isUsable: boolean;
}

export interface PlacingOptions {
  /** Tasks like these that are ready, those that are placed included: where they are many, a slow device is better than to wait behind them. */
  readonly ready: number;
  /** So many are placed, and so many wait, at most. */
  readonly placedMost: number;
  readonly waitingMost: number;
  readonly alternativesKept: number;
}

/**
 * Places tasks, in the order given, each where it is expected to cost least, be it that a slot there has yet to become free, or the device to
 * have done with its own work: then it waits, and what comes after it sees the slot taken until it ends (list scheduling by earliest
 * finish, as in HEFT by Topcuoglu, Hariri and Wu 2002, without insertion, and by cost). A task takes what is free now all the same where what
 * is better cannot end all that are ready any cheaper. Ends when no device that could take it has a free slot, when a task fits
 * none, or enough are placed or wait: so many of the first tasks are answered for. Takes what it gives off the devices (`free...` and `slotsFree...` are changed). Deterministic: ties go to
 * the emptiest device, then the first.
 *
 * A group of equal tasks costs one look at each device, and one more for each task.
 */
export function placeByCost(
  tasks: Iterable<ForeseenTask>,
  devices: readonly ForeseenDevice[],
  weights: CostWishes,
  options: PlacingOptions,
): ForeseenPlacement[] {
  const placements: ForeseenPlacement[] = [];
  let candidates: Candidate[] = [];
  let free = 0;
  let before: ForeseenTask | undefined;
  let waiting = 0;
  for (const task of tasks) {
    if (before === undefined || !isAlike(task, before)) {
      candidates = candidatesOf(task, devices, weights);
      free = candidates.reduce((sum, { device }) => sum + device.freeSlots, 0);
      if (candidates.length === 0) {
        placements.push({ task: task.task, refusals: devices.map((device) => refusalOf(task, device)) });
        break;
      }
    }
    const placed = placements.length - waiting;
    if (free <= 0 || placed >= options.placedMost || waiting >= options.waitingMost) break;
    before = task;
    const allowed = without(candidates, task.avoid);
    const best = choose(task, allowed, weights, options.ready - placements.length);
    if (best?.startsNow === true) {
      const { device } = best;
      const alternatives = alternativesOf(best, allowed, options.alternativesKept);
      placements.push({ task: task.task, device: device.device, alternatives });
      device.freeSlots -= 1;
      device.freeMemoryBytes -= task.memoryBytes;
      free -= 1;
    } else {
      waiting += 1;
      placements.push(best === undefined ? { task: task.task } : { task: task.task, waitsFor: alternativeOf(best) });
    }
    if (best === undefined) continue;
    best.device.slotsFreeSeconds[best.slot] = best.expected.terms.finishSeconds;
    candidates[candidates.indexOf(best)] = candidateOf(task, best.device, weights);
  }
  return placements;
}

/** Devices on which it failed: taken only when no other could ever run it. */
function without(candidates: readonly Candidate[], avoid: readonly string[]): readonly Candidate[] {
  if (avoid.length === 0) return candidates;
  const others = candidates.filter(({ device }) => !avoid.includes(device.device));
  return others.length > 0 ? others : candidates;
}

/** The best place; where it is not free, the best that is, unless all of `ready` tasks would end cheaper at better ones. */
function choose(
  task: ForeseenTask,
  candidates: readonly Candidate[],
  weights: CostWishes,
  ready: number,
): Candidate | undefined {
  let least = Number.POSITIVE_INFINITY;
  let now: Candidate | undefined;
  for (const candidate of candidates) {
    if (!candidate.isUsable) continue;
    const { total } = candidate;
    if (total < least) least = total;
    if (candidate.startsNow && (now === undefined || total < now.total)) now = candidate;
  }
  if (now !== undefined && now.total > least * equalFactor) {
    let better = 0;
    for (const candidate of candidates) {
      if (candidate !== now) better += endingBefore(task, candidate, now.total, weights);
      if (better >= ready) break;
    }
    if (better < ready) return now;
  }
  let best: Candidate | undefined;
  for (const candidate of candidates) {
    if (!candidate.isUsable || candidate.total > least * equalFactor) continue;
    if (best === undefined || isRather(candidate, best)) best = candidate;
  }
  return best;
}

/** How many such tasks, one after the other in each of its slots, a device ends for less than that each. */
function endingBefore(
  { workSeconds, engine }: ForeseenTask,
  candidate: Candidate,
  total: number,
  weights: CostWishes,
): number {
  if (!candidate.isUsable || candidate.total >= total) return 0;
  const { device, slot, expected } = candidate;
  if (weights.makespan === 0) return Number.POSITIVE_INFINITY;
  const { finishSeconds, contentionSeconds, transferSeconds } = expected.terms;
  const { q50, demand } = device.capacity;
  const lastSeconds = finishSeconds + (total - candidate.total) / weights.makespan;
  // Those that nobody minds any more may end later for the same cost.
  const lastCalmSeconds = lastSeconds + (weights.contention * contentionSeconds) / weights.makespan;
  const first = device.slotsFreeSeconds[slot]!;
  const eachSeconds = meanOf(workSeconds) / (device.speed[engine] ?? 1);
  let tasks = 0;
  for (const freeSeconds of device.slotsFreeSeconds) {
    // As long as in the first of its slots; less where it has done with its own work by then.
    const endSeconds = Math.min(
      finishSeconds + freeSeconds - first,
      finishUnder(q50, freeSeconds + transferSeconds, eachSeconds),
    );
    if (!(endSeconds < lastSeconds)) continue;
    const seconds =
      givenBetween(q50, endSeconds, lastSeconds) + givenBetween(q50, lastSeconds, lastCalmSeconds, freePart * demand);
    tasks += Math.max(1, Math.ceil(seconds / eachSeconds));
  }
  return tasks;
}

function isAlike(one: ForeseenTask, other: ForeseenTask): boolean {
  return (
    one.workSeconds === other.workSeconds &&
    one.inputBytes === other.inputBytes &&
    one.mayWait === other.mayWait &&
    one.overdueSeconds === other.overdueSeconds
  );
}

function candidatesOf(task: ForeseenTask, devices: readonly ForeseenDevice[], weights: CostWishes): Candidate[] {
  return devices
    .filter((device) => refusalForGood(task, device) === undefined)
    .map((device) => candidateOf(task, device, weights));
}

function candidateOf(task: ForeseenTask, device: ForeseenDevice, weights: CostWishes): Candidate {
  const { capacity, slotsFreeSeconds } = device;
  const free = Math.min(...slotsFreeSeconds);
  const slot = slotsFreeSeconds.indexOf(free);
  const costLater = (seconds: number) =>
    costFrom(seconds > 0 ? Math.max(seconds, task.overdueSeconds) : 0, task, device, weights);
  // One that has waited takes also what those before it would rather have later.
  let expected = isHasty(task) && device.freeSlots > 0 ? costFrom(0, task, device, weights) : costLater(free);
  if (task.mayWait && expected.terms.contentionSeconds > 0) {
    for (const seconds of calmerFrom(capacity, free)) {
      const later = costLater(seconds);
      if (later.terms.total < expected.terms.total) expected = later;
    }
  }
  const { total } = expected.terms;
  const startsNow = expected.startSeconds === 0 && device.freeSlots > 0;
  return { device, slot, expected, total, startsNow, isUsable: isUsable(task, device, expected, startsNow) };
}

function costFrom(
  startSeconds: number,
  { workSeconds, engine, inputBytes }: ForeseenTask,
  { capacity, speed, nearBytes, bytesPerSecond, leavesPerSecond }: ForeseenDevice,
  weights: CostWishes,
): ExpectedCost {
  return expectedCost(
    {
      workSeconds,
      capacity,
      speed: speed[engine] ?? 1,
      startSeconds,
      inputBytes: Math.max(0, inputBytes - nearBytes),
      bytesPerSecond,
      leavesPerSecond,
    },
    weights,
  );
}

/** What is free now it takes, whatever is expected of the memory there. */
function isHasty({ mayWait, overdueSeconds }: ForeseenTask): boolean {
  return !mayWait || overdueSeconds > 0;
}

function isUsable(
  task: ForeseenTask,
  device: ForeseenDevice,
  { terms, startSeconds, finish }: ExpectedCost,
  startsNow: boolean,
): boolean {
  if (startsNow) {
    if (device.freeMemoryBytes < task.memoryBytes) return false;
    if (isHasty(task)) return true;
  } else if (!task.mayWait || terms.total === Number.POSITIVE_INFINITY) return false;
  return device.memoryFree === undefined || leastOf(device.memoryFree, startSeconds, finish.q50) >= task.memoryBytes;
}

/** When the device will have done with its own work, if it has not at that time; and the step before, in the midst of which it may be done. */
function calmerFrom({ q50, demand }: SlotCapacity, fromSeconds: number): number[] {
  const { untilSeconds, rates } = q50;
  for (let phase = 1; phase < rates.length; phase += 1) {
    const [before, calm] = [phase < 2 ? 0 : untilSeconds[phase - 2]!, untilSeconds[phase - 1]!];
    if (calm > fromSeconds && rates[phase]! >= freePart * demand) return before > fromSeconds ? [before, calm] : [calm];
  }
  return [];
}

/** Of two that cost the same. */
function isRather(one: Candidate, other: Candidate): boolean {
  if (one.startsNow !== other.startsNow) return one.startsNow;
  if (one.device.freeSlots !== other.device.freeSlots) return one.device.freeSlots > other.device.freeSlots;
  return one.device.isNear === true && other.device.isNear !== true;
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

/** The cheapest others, of equal ones the first: a few of many, so that all need not be put in order. */
function alternativesOf(best: Candidate, candidates: readonly Candidate[], most: number): Alternative[] {
  const others: Candidate[] = [];
  for (const candidate of candidates) {
    if (candidate === best) continue;
    let at = others.length;
    while (at > 0 && candidate.total < others[at - 1]!.total) at -= 1;
    if (at >= most - 1) continue;
    others.splice(at, 0, candidate);
    others.length = Math.min(others.length, most - 1);
  }
  return [best, ...others].map(alternativeOf);
}

function refusalOf(task: ForeseenTask, device: ForeseenDevice) {
  return { device: device.device, refusal: refusalForGood(task, device) ?? ('busy' as const) };
}
