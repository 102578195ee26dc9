import { PlanBuilder } from './plan-builder.ts';
import { finishOf, type Schedule, type SchedulingProblem } from './problem.ts';
import { byRank, downwardRanks, optimisticCosts, upwardRanks } from './ranks.ts';
import { ReadyQueue } from './ready-queue.ts';

export function allDevices({ devices }: SchedulingProblem): Int32Array {
  return Int32Array.from({ length: devices }, (_, device) => device);
}

/**
 * Insertion-based HEFT (Topcuoglu, Hariri and Wu 2002): by upward rank, each task where it ends first.
 *
 * @param allowed the devices that may be used
 */
export function heft(
  problem: SchedulingProblem,
  allowed = allDevices(problem),
  ranks = upwardRanks(problem),
): Schedule {
  const plan = new PlanBuilder(problem);
  for (const task of byRank(problem.graph, ranks)) plan.placeBest(task, allowed);
  return plan.toSchedule();
}

/** What of a plan cannot be changed any more, at a time. */
export interface Incumbent {
  readonly nowSeconds: number;
  /** 1: the task has ended, or runs. */
  readonly isFixed: Uint8Array;
  /** Of the fixed tasks. */
  readonly device: Int32Array;
  readonly startSeconds: Float64Array;
  /** When it ended, or is expected to. */
  readonly finishSeconds: Float64Array;
}

/** HEFT for what has not started yet, around what has: by upward rank, not before now. */
export function heftFrom(problem: SchedulingProblem, incumbent: Incumbent, ranks = upwardRanks(problem)): Schedule {
  const plan = new PlanBuilder(problem);
  const { isFixed, device, startSeconds, finishSeconds } = incumbent;
  for (const task of problem.graph.order)
    if (isFixed[task] === 1) plan.placeAt(task, device[task]!, startSeconds[task]!, finishSeconds[task]!);
  plan.notBefore = incumbent.nowSeconds;
  const allowed = allDevices(problem);
  for (const task of byRank(problem.graph, ranks)) if (isFixed[task] !== 1) plan.placeBest(task, allowed);
  return plan.toSchedule();
}

/** CPOP (the same paper): the tasks of the critical path on the one device that is fastest for them, others as in HEFT. */
export function cpop(problem: SchedulingProblem): Schedule {
  const { graph, devices, costSeconds } = problem;
  const upward = upwardRanks(problem);
  const downward = downwardRanks(problem);
  const priorities = upward.map((rank, task) => rank + downward[task]!);
  const length = priorities.reduce((most, each) => Math.max(most, each), 0);
  const isCritical = (task: number) => priorities[task]! >= length * (1 - 1e-9);
  const path: number[] = [];
  let task = graph.order.find(
    (each) => graph.predecessorOffsets[each] === graph.predecessorOffsets[each + 1] && isCritical(each),
  );
  while (task !== undefined) {
    path.push(task);
    const after: Int32Array = graph.successors.subarray(graph.successorOffsets[task], graph.successorOffsets[task + 1]);
    task = after.find(isCritical);
  }
  const onPath = new Set(path);
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let device = 0; device < devices; device += 1) {
    const sum = path.reduce((total, each) => total + costSeconds[each * devices + device]!, 0);
    if (sum >= least) continue;
    best = device;
    least = sum;
  }
  const everywhere = allDevices(problem);
  const plan = new PlanBuilder(problem);
  const queue = new ReadyQueue(graph);
  queue.start(priorities);
  for (let next = queue.next(); next >= 0; next = queue.next()) {
    if (onPath.has(next) && least < Number.POSITIVE_INFINITY) plan.place(next, best);
    else plan.placeBest(next, everywhere);
  }
  return plan.toSchedule();
}

/** PEFT (Arabnejad and Barbosa 2014): looks ahead by the optimistic cost table. */
export function peft(problem: SchedulingProblem): Schedule {
  const { graph, devices } = problem;
  const table = optimisticCosts(problem);
  const priorities = new Float64Array(graph.size);
  for (let task = 0; task < graph.size; task += 1) {
    let sum = 0;
    for (let device = 0; device < devices; device += 1) sum += table[task * devices + device]!;
    priorities[task] = sum / devices;
  }
  const everywhere = allDevices(problem);
  const plan = new PlanBuilder(problem);
  const queue = new ReadyQueue(graph);
  queue.start(priorities);
  for (let task = queue.next(); task >= 0; task = queue.next()) plan.placeBest(task, everywhere, table, task * devices);
  return plan.toSchedule();
}

/**
 * Min-min (Ibarra and Kim 1977): of all ready tasks the one that can end first goes first. A task's best is found
 * again only when its device has been taken: until then it cannot have become better.
 */
export function minMin(problem: SchedulingProblem): Schedule {
  const { graph, devices } = problem;
  const { predecessorOffsets, successorOffsets, successors } = graph;
  const missing = Int32Array.from(
    { length: graph.size },
    (_, task) => predecessorOffsets[task + 1]! - predecessorOffsets[task]!,
  );
  const plan = new PlanBuilder(problem);
  const readyTimes: (Float64Array | undefined)[] = new Array(graph.size);
  const where = new Int32Array(graph.size);
  const starts = new Float64Array(graph.size);
  const ends = new Float64Array(graph.size);
  const findBest = (task: number) => {
    const ready = readyTimes[task]!;
    ends[task] = Number.POSITIVE_INFINITY;
    for (let device = 0; device < devices; device += 1) {
      const start = Math.max(ready[device]!, plan.timelines.end(device));
      const end = finishOf(problem, task, device, start);
      if (end >= ends[task]!) continue;
      starts[task] = start;
      ends[task] = end;
      where[task] = device;
    }
    if (ends[task] === Number.POSITIVE_INFINITY) throw new RangeError(`task "${graph.ids[task]}" can run on no device`);
  };
  let waiting: number[] = [];
  const open = (task: number) => {
    readyTimes[task] = plan.findReady(task).slice();
    findBest(task);
    waiting.push(task);
  };
  for (const task of graph.order) if (missing[task] === 0) open(task);
  while (waiting.length > 0) {
    let first = waiting[0]!;
    for (const task of waiting) if (ends[task]! < ends[first]!) first = task;
    const taken = where[first]!;
    waiting = waiting.filter((task) => task !== first);
    plan.placeAt(first, taken, starts[first]!, ends[first]!);
    readyTimes[first] = undefined;
    for (const task of waiting) if (where[task] === taken) findBest(task);
    for (let edge = successorOffsets[first]!; edge < successorOffsets[first + 1]!; edge += 1) {
      const successor = successors[edge]!;
      missing[successor]! -= 1;
      if (missing[successor] === 0) open(successor);
    }
  }
  return plan.toSchedule();
}

/** Everything on the one device that is done first, nothing moved; undefined where none can run everything. */
export function singleDevice(problem: SchedulingProblem): Schedule | undefined {
  const { graph, devices, costSeconds } = problem;
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let device = 0; device < devices; device += 1) {
    let sum = 0;
    for (let task = 0; task < graph.size; task += 1) sum += costSeconds[task * devices + device]!;
    if (sum >= least) continue;
    best = device;
    least = sum;
  }
  if (best < 0) return undefined;
  const plan = new PlanBuilder(problem);
  for (const task of graph.order) plan.place(task, best);
  return plan.toSchedule();
}
