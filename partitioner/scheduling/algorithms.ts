import { allDevices, cpop, heft, minMin, peft, singleDevice } from './list-schedulers.ts';
import { lowerBoundSeconds, type Schedule, type SchedulingProblem } from './problem.ts';
import { upwardRanks } from './ranks.ts';
import { search } from './search.ts';

export const schedulingAlgorithms = ['heft', 'cpop', 'peft', 'min-min', 'single', 'search', 'default'] as const;
export type SchedulingAlgorithm = (typeof schedulingAlgorithms)[number];

export interface SchedulingOptions {
  readonly seed: number;
  /** Plans that the search tries. */
  readonly evaluations: number;
}

/** Placements that the search may make unless told otherwise: what bounds its time whatever the size of the graph. */
const searchPlacements = 6_000_000;
const evaluationsLeast = 50;
const evaluationsMost = 20_000;

/** How many plans the search tries for a graph of that size when nobody says. */
function evaluationsFor(tasks: number): number {
  return Math.max(evaluationsLeast, Math.min(evaluationsMost, Math.floor(searchPlacements / Math.max(1, tasks))));
}

/**
 * Plans by one algorithm. `search` begins with HEFT's plan; `default` searches from there and, where another list scheduler's plan is better,
 * from the best of those too, so that it is never worse than any of the others.
 *
 * @throws RangeError for a task that can run on no device, and for `single` where no device can run every task
 */
export function planSchedule(
  problem: SchedulingProblem,
  algorithm: SchedulingAlgorithm = 'default',
  { seed = 1, evaluations = evaluationsFor(problem.graph.size) }: Partial<SchedulingOptions> = {},
): Schedule {
  switch (algorithm) {
    case 'heft':
      return heft(problem);
    case 'cpop':
      return cpop(problem);
    case 'peft':
      return peft(problem);
    case 'min-min':
      return minMin(problem);
    case 'single': {
      const schedule = singleDevice(problem);
      if (schedule === undefined) throw new RangeError('no device can run every task');
      return schedule;
    }
    case 'search':
      return search(problem, heft(problem), searchOptions());
    case 'default':
      return bestOf(beginnings(problem).map((from) => search(problem, from, searchOptions())));
  }

  /** At the bound the search has nothing left to find; what devices give over time may be more than their nominal speed. */
  function searchOptions() {
    return problem.capacities === undefined
      ? { seed, evaluations, lowerBoundSeconds: lowerBoundSeconds(problem) }
      : { seed, evaluations };
  }
}

function bestOf(schedules: readonly Schedule[]): Schedule {
  return schedules.reduce((best, each) => (each.makespanSeconds < best.makespanSeconds ? each : best));
}

/** Where to search from: HEFT's plan, and the best of all that are made by lists, if that is a better one. */
function beginnings(problem: SchedulingProblem): Schedule[] {
  const plans = candidates(problem);
  const byHeft = plans[0]!;
  const best = bestOf(plans);
  return best === byHeft ? [best] : [best, byHeft];
}

/** The plans of all list schedulers, HEFT's first, and of HEFT on fewer devices: where links are slow, few devices are faster than many. */
function candidates(problem: SchedulingProblem): Schedule[] {
  const ranks = upwardRanks(problem);
  const single = singleDevice(problem);
  const plans = [heft(problem, allDevices(problem), ranks), peft(problem), minMin(problem), cpop(problem)];
  if (single !== undefined) plans.push(single);
  for (const few of deviceGroups(problem)) {
    try {
      plans.push(heft(problem, few, ranks));
    } catch (error) {
      // None of the few can run some task: no plan of theirs.
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return plans;
}

/** The fastest devices, and those around each fast one that can be reached best: groups of 2, 4, 8, ... */
function deviceGroups(problem: SchedulingProblem): Int32Array[] {
  const { devices, secondsPerByte } = problem;
  const speeds = meanSpeeds(problem);
  const fastest = allDevices(problem).sort((one, other) => speeds[other]! - speeds[one]! || one - other);
  const groups: Int32Array[] = [];
  for (let size = 2; size < devices; size *= 2) {
    groups.push(fastest.slice(0, size));
    for (const center of fastest.slice(0, 4)) {
      const near = allDevices(problem).sort(
        (one, other) => distance(center, one) / speeds[one]! - distance(center, other) / speeds[other]! || one - other,
      );
      groups.push(near.slice(0, size));
    }
  }
  return groups;

  function distance(from: number, to: number): number {
    return secondsPerByte[from * devices + to]! + secondsPerByte[to * devices + from]!;
  }
}

/** How fast each device is in the mean, by one over its costs; 0 for one that can run nothing. */
function meanSpeeds({ graph, devices, costSeconds }: SchedulingProblem): Float64Array {
  const sums = new Float64Array(devices);
  for (let task = 0; task < graph.size; task += 1) {
    for (let device = 0; device < devices; device += 1) {
      const cost = costSeconds[task * devices + device]!;
      if (cost > 0) sums[device]! += 1 / cost;
    }
  }
  return sums;
}
