import type { TaskGraph } from '../graph/task-graph.ts';
import { type CapacityCurve, finishUnder } from './capacity.ts';

/**
 * What a scheduler is asked (the model of Topcuoglu, Hariri and Wu 2002): each task runs on one device, one at a time, to its
 * end; what it reads has to come from where it was made, which overlaps with computing and with other transfers.
 */
export interface SchedulingProblem {
  readonly graph: TaskGraph;
  /** Number of devices. */
  readonly devices: number;
  /** Seconds that task `t` takes on device `d`, at `t * devices + d`; Infinity: it cannot run there. */
  readonly costSeconds: Float64Array;
  /** Seconds per byte from device `p` to `q`, at `p * devices + q`; 0 on the diagonal. */
  readonly secondsPerByte: Float64Array;
  /** What each device is expected to give over time; without it all give everything, always. */
  readonly capacities?: readonly CapacityCurve[];
}

/** When a task that starts then on that device is expected to end. */
export function finishOf(
  { devices, costSeconds, capacities }: SchedulingProblem,
  task: number,
  on: number,
  start: number,
): number {
  const cost = costSeconds[task * devices + on]!;
  return capacities === undefined ? start + cost : finishUnder(capacities[on]!, start, cost);
}

/** Which task runs where and when; seconds from the beginning. */
export interface Schedule {
  readonly device: Int32Array;
  readonly startSeconds: Float64Array;
  readonly finishSeconds: Float64Array;
  /** When the last task ends. */
  readonly makespanSeconds: number;
}

/** Every task by when it starts, and after all that it needs: what a plan is decoded by. */
export function orderByStart({ order }: TaskGraph, startSeconds: ArrayLike<number>): Int32Array {
  const place = new Int32Array(order.length);
  for (const [at, task] of order.entries()) place[task] = at;
  return Int32Array.from(order).sort(
    (one, other) => startSeconds[one]! - startSeconds[other]! || place[one]! - place[other]!,
  );
}

/** A problem of devices that differ in speed alone: a task of work `w` takes `w / speed`. */
export function problemBySpeeds(
  graph: TaskGraph,
  workSeconds: ArrayLike<number>,
  speeds: readonly number[],
  bandwidthBytesPerSecond: (from: number, to: number) => number,
): SchedulingProblem {
  const devices = speeds.length;
  const costSeconds = new Float64Array(graph.size * devices);
  for (let task = 0; task < graph.size; task += 1) {
    for (let device = 0; device < devices; device += 1) {
      costSeconds[task * devices + device] = workSeconds[task]! / speeds[device]!;
    }
  }
  const secondsPerByte = new Float64Array(devices * devices);
  for (let from = 0; from < devices; from += 1) {
    for (let to = 0; to < devices; to += 1) {
      if (from !== to) secondsPerByte[from * devices + to] = 1 / bandwidthBytesPerSecond(from, to);
    }
  }
  return { graph, devices, costSeconds, secondsPerByte };
}

/**
 * A time that no schedule can beat: the longest chain with every task where it is fastest and nothing moved, or all work
 * shared out evenly. With costs that differ by device in more than speed, the work of a task is what it takes where it is
 * fastest.
 *
 * @param speeds when the devices differ in speed alone: the work of a task is its time at speed 1
 */
export function lowerBoundSeconds(
  { graph, devices, costSeconds }: SchedulingProblem,
  speeds?: readonly number[],
): number {
  const { order, predecessorOffsets, predecessors } = graph;
  const finish = new Float64Array(graph.size);
  let longest = 0;
  let work = 0;
  for (const task of order) {
    let least = Number.POSITIVE_INFINITY;
    for (let device = 0; device < devices; device += 1) least = Math.min(least, costSeconds[task * devices + device]!);
    let start = 0;
    for (let edge = predecessorOffsets[task]!; edge < predecessorOffsets[task + 1]!; edge += 1)
      start = Math.max(start, finish[predecessors[edge]!]!);
    finish[task] = start + least;
    longest = Math.max(longest, finish[task]!);
    work += speeds === undefined ? least : costSeconds[task * devices]! * speeds[0]!;
  }
  const together = speeds === undefined ? devices : speeds.reduce((sum, speed) => sum + speed, 0);
  return Math.max(longest, work / together);
}

/** What is wrong with a schedule, in words; undefined: nothing. Times may be off by a billionth of the makespan. */
export function scheduleProblem(
  problem: SchedulingProblem,
  { device, startSeconds, finishSeconds, makespanSeconds }: Schedule,
): string | undefined {
  const { graph, devices, secondsPerByte } = problem;
  const slack = 1e-9 * Math.max(1, makespanSeconds);
  const perDevice: number[][] = Array.from({ length: devices }, () => []);
  for (let task = 0; task < graph.size; task += 1) {
    const name = `task "${graph.ids[task]}"`;
    const on = device[task]!;
    if (!(on >= 0 && on < devices)) return `${name} is on no device`;
    if (!(startSeconds[task]! >= 0)) return `${name} starts at ${startSeconds[task]}`;
    const finish = finishOf(problem, task, on, startSeconds[task]!);
    if (!(Math.abs(finishSeconds[task]! - finish) <= slack)) return `${name} does not end at ${finish}`;
    if (finishSeconds[task]! > makespanSeconds + slack) return `${name} ends after the makespan`;
    for (let edge = graph.predecessorOffsets[task]!; edge < graph.predecessorOffsets[task + 1]!; edge += 1) {
      const before = graph.predecessors[edge]!;
      const arrives =
        finishSeconds[before]! + graph.predecessorBytes[edge]! * secondsPerByte[device[before]! * devices + on]!;
      if (startSeconds[task]! < arrives - slack) return `${name} starts before "${graph.ids[before]}" has reached it`;
    }
    perDevice[on]!.push(task);
  }
  for (const tasks of perDevice) {
    tasks.sort(
      (one, other) => startSeconds[one]! - startSeconds[other]! || finishSeconds[one]! - finishSeconds[other]!,
    );
    for (let at = 1; at < tasks.length; at += 1) {
      const [one, next] = [tasks[at - 1]!, tasks[at]!];
      if (startSeconds[next]! < finishSeconds[one]! - slack)
        return `tasks "${graph.ids[one]}" and "${graph.ids[next]}" run on one device at once`;
    }
  }
  return undefined;
}
