import type { TaskGraph } from '../graph/task-graph.ts';
import type { SchedulingProblem } from './problem.ts';

/** Mean seconds per byte between two different devices; 0 with a single one. */
function meanSecondsPerByte({ devices, secondsPerByte }: SchedulingProblem): number {
  if (devices < 2) return 0;
  let sum = 0;
  for (const each of secondsPerByte) sum += each;
  return sum / (devices * (devices - 1));
}

/** Mean cost of each task over the devices that can run it. */
function meanCosts({ graph, devices, costSeconds }: SchedulingProblem): Float64Array {
  const means = new Float64Array(graph.size);
  for (let task = 0; task < graph.size; task += 1) {
    let sum = 0;
    let able = 0;
    for (let device = 0; device < devices; device += 1) {
      const cost = costSeconds[task * devices + device]!;
      if (cost === Number.POSITIVE_INFINITY) continue;
      sum += cost;
      able += 1;
    }
    means[task] = sum / Math.max(1, able);
  }
  return means;
}

/** Upward rank (Topcuoglu, Hariri and Wu 2002): the longest way from a task to the end, itself included, by mean costs. */
export function upwardRanks(problem: SchedulingProblem, costs = meanCosts(problem)): Float64Array {
  const { order, successorOffsets, successors, successorBytes } = problem.graph;
  const perByte = meanSecondsPerByte(problem);
  const ranks = new Float64Array(problem.graph.size);
  for (let at = order.length - 1; at >= 0; at -= 1) {
    const task = order[at]!;
    let longest = 0;
    for (let edge = successorOffsets[task]!; edge < successorOffsets[task + 1]!; edge += 1)
      longest = Math.max(longest, successorBytes[edge]! * perByte + ranks[successors[edge]!]!);
    ranks[task] = costs[task]! + longest;
  }
  return ranks;
}

/** Downward rank: the longest way from the beginning to a task, itself not included. */
export function downwardRanks(problem: SchedulingProblem, costs = meanCosts(problem)): Float64Array {
  const { order, predecessorOffsets, predecessors, predecessorBytes } = problem.graph;
  const perByte = meanSecondsPerByte(problem);
  const ranks = new Float64Array(problem.graph.size);
  for (const task of order) {
    let longest = 0;
    for (let edge = predecessorOffsets[task]!; edge < predecessorOffsets[task + 1]!; edge += 1) {
      const before = predecessors[edge]!;
      longest = Math.max(longest, ranks[before]! + costs[before]! + predecessorBytes[edge]! * perByte);
    }
    ranks[task] = longest;
  }
  return ranks;
}

/**
 * The optimistic cost table of PEFT (Arabnejad and Barbosa 2014): at `task * devices + device` the longest way from the end
 * of the task there to the end of the graph, every later task where that way is shortest.
 */
export function optimisticCosts(problem: SchedulingProblem): Float64Array {
  const { graph, devices, costSeconds } = problem;
  const { order, successorOffsets, successors, successorBytes } = graph;
  const perByte = meanSecondsPerByte(problem);
  const table = new Float64Array(graph.size * devices);
  for (let at = order.length - 1; at >= 0; at -= 1) {
    const task = order[at]!;
    for (let edge = successorOffsets[task]!; edge < successorOffsets[task + 1]!; edge += 1) {
      const row = successors[edge]! * devices;
      const transfer = successorBytes[edge]! * perByte;
      let elsewhere = Number.POSITIVE_INFINITY;
      for (let device = 0; device < devices; device += 1)
        elsewhere = Math.min(elsewhere, table[row + device]! + costSeconds[row + device]!);
      elsewhere += transfer;
      for (let device = 0; device < devices; device += 1) {
        const way = Math.min(table[row + device]! + costSeconds[row + device]!, elsewhere);
        const mine = task * devices + device;
        if (way > table[mine]!) table[mine] = way;
      }
    }
  }
  return table;
}

/** Tasks by rank, highest first, each after all that it needs (ranks of 0 may tie); ties go to the lower number. */
export function byRank(graph: TaskGraph, ranks: Float64Array): Int32Array {
  const place = new Int32Array(graph.size);
  for (const [at, task] of graph.order.entries()) place[task] = at;
  return Int32Array.from(graph.order).sort((one, other) => ranks[other]! - ranks[one]! || place[one]! - place[other]!);
}
