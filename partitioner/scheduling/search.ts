import { PlanBuilder } from './plan-builder.ts';
import { orderByStart, type Schedule, type SchedulingProblem } from './problem.ts';
import { randomSource } from './random.ts';

export interface SearchOptions {
  /** The same seed gives the same plan. */
  readonly seed: number;
  /** Plans that are tried: a number and not a time, so that the search is pure. */
  readonly evaluations: number;
  /** A makespan that cannot be beaten: the search ends there. */
  readonly lowerBoundSeconds?: number;
}

/** Makespans that a new plan may be as bad as: of so many plans ago. */
const memoryLength = 200;
/** After so many tries without a better plan, plans up to so much worse than the best are let in again, by turns. */
const patience = 2_000;
const relaxations = [1.01, 1.03, 1.1];

/**
 * Makes a plan better by trying changes of it: another device for a task (that of a neighbour in the graph, or any), for
 * a group of tasks that share a device and data, or another place in the order. Every plan is an order of the tasks and a device for
 * each, decoded by insertion. Half of the changes are tried on tasks that decide the makespan. Accepts by late acceptance hill
 * climbing (Burke and Bykov 2017): what is not worse than the plan of `memoryLength` tries before. Returns the best plan seen, never worse than `from`.
 */
export function search(problem: SchedulingProblem, from: Schedule, options: SearchOptions): Schedule {
  if (problem.graph.size === 0) return from;
  const state = new SearchState(problem, from, randomSource(options.seed));
  const bound = (options.lowerBoundSeconds ?? 0) * (1 + 1e-12);
  const memory = new Float64Array(memoryLength).fill(state.current);
  let best = from;
  let bestAt = 0;
  let relaxed = 0;
  for (let tried = 0; tried < options.evaluations && best.makespanSeconds > bound; tried += 1) {
    const slot = tried % memoryLength;
    const makespan = state.tryChange();
    if (makespan <= memory[slot]! || makespan <= state.current) {
      state.accept();
      if (makespan < best.makespanSeconds) {
        best = state.plan.toSchedule();
        bestAt = tried;
      }
    }
    if (state.current < memory[slot]!) memory[slot] = state.current;
    if (tried - bestAt >= patience) {
      memory.fill(best.makespanSeconds * relaxations[relaxed % relaxations.length]!);
      relaxed += 1;
      bestAt = tried;
    }
  }
  return best;
}

class SearchState {
  readonly plan: PlanBuilder;
  current: number;
  private readonly problem: SchedulingProblem;
  private readonly random: () => number;
  private order: Int32Array;
  private device: Int32Array;
  private triedOrder: Int32Array;
  private triedDevice: Int32Array;
  private readonly place: Int32Array;
  private critical: number[] | undefined;
  private tried = 0;

  constructor(problem: SchedulingProblem, from: Schedule, random: () => number) {
    const { graph } = problem;
    this.problem = problem;
    this.random = random;
    this.plan = new PlanBuilder(problem);
    this.order = orderByStart(graph, from.startSeconds);
    this.device = from.device.slice();
    this.triedOrder = this.order.slice();
    this.triedDevice = this.device.slice();
    this.place = new Int32Array(graph.size);
    this.current = this.decode();
  }

  /** Changes something and returns the makespan of that; unless it is accepted, the next try begins where this one did. */
  tryChange(): number {
    this.critical ??= this.findCritical();
    this.triedOrder.set(this.order);
    this.triedDevice.set(this.device);
    const task =
      this.random() < 0.5 ? this.critical[this.below(this.critical.length)]! : this.below(this.problem.graph.size);
    const kind = this.random();
    if (this.problem.devices === 1 || kind < 0.35) this.shift(task);
    else if (kind < 0.8) this.triedDevice[task] = this.otherDevice(task);
    else this.moveGroup(task, this.otherDevice(task));
    this.tried = this.decode();
    return this.tried;
  }

  accept(): void {
    [this.order, this.triedOrder] = [this.triedOrder, this.order];
    [this.device, this.triedDevice] = [this.triedDevice, this.device];
    this.current = this.tried;
    this.critical = undefined;
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  private decode(): number {
    const { plan, triedOrder, triedDevice } = this;
    plan.clear();
    for (const task of triedOrder) plan.place(task, triedDevice[task]!);
    return plan.makespan;
  }

  /** Elsewhere in the order, between what the task needs and what needs it. */
  private shift(task: number): void {
    const { graph } = this.problem;
    const { triedOrder, place } = this;
    for (let at = 0; at < triedOrder.length; at += 1) place[triedOrder[at]!] = at;
    let low = 0;
    let high = triedOrder.length - 1;
    for (let edge = graph.predecessorOffsets[task]!; edge < graph.predecessorOffsets[task + 1]!; edge += 1)
      low = Math.max(low, place[graph.predecessors[edge]!]! + 1);
    for (let edge = graph.successorOffsets[task]!; edge < graph.successorOffsets[task + 1]!; edge += 1)
      high = Math.min(high, place[graph.successors[edge]!]! - 1);
    const at = place[task]!;
    const to = low + this.below(high - low + 1);
    if (to > at) triedOrder.copyWithin(at, at + 1, to + 1);
    else triedOrder.copyWithin(to + 1, to, at);
    triedOrder[to] = task;
  }

  /** Where a neighbour in the graph is, or anywhere that can run it. */
  private otherDevice(task: number): number {
    const { graph, devices, costSeconds } = this.problem;
    const before = graph.predecessorOffsets[task + 1]! - graph.predecessorOffsets[task]!;
    const after = graph.successorOffsets[task + 1]! - graph.successorOffsets[task]!;
    const here = this.device[task]!;
    let there = here;
    if (before + after > 0 && this.random() < 0.5) {
      const which = this.below(before + after);
      const neighbour =
        which < before
          ? graph.predecessors[graph.predecessorOffsets[task]! + which]!
          : graph.successors[graph.successorOffsets[task]! + which - before]!;
      there = this.device[neighbour]!;
    }
    if (there === here) there = this.below(devices);
    return costSeconds[task * devices + there] === Number.POSITIVE_INFINITY ? here : there;
  }

  /** The task, with all that are connected to it and share its device, up to a number drawn. */
  private moveGroup(task: number, to: number): void {
    const { graph, devices, costSeconds } = this.problem;
    const { triedDevice } = this;
    const here = triedDevice[task]!;
    if (here === to) return;
    let left = 2 + this.below(Math.min(graph.size, 30));
    const open = [task];
    for (let at = 0; at < open.length && left > 0; at += 1) {
      const each = open[at]!;
      if (triedDevice[each] !== here || costSeconds[each * devices + to] === Number.POSITIVE_INFINITY) continue;
      triedDevice[each] = to;
      left -= 1;
      for (let edge = graph.predecessorOffsets[each]!; edge < graph.predecessorOffsets[each + 1]!; edge += 1)
        open.push(graph.predecessors[edge]!);
      for (let edge = graph.successorOffsets[each]!; edge < graph.successorOffsets[each + 1]!; edge += 1)
        open.push(graph.successors[edge]!);
    }
  }

  /** From a task that ends last back to the beginning: each waited for the next, for its data or for its device. */
  private findCritical(): number[] {
    const { graph, devices, secondsPerByte } = this.problem;
    const { order, device } = this;
    // The plan may be of a change that was not taken.
    this.triedOrder.set(order);
    this.triedDevice.set(device);
    this.decode();
    const { start, finish } = this.plan;
    const byDevice: number[][] = Array.from({ length: devices }, () => []);
    let task = 0;
    for (const each of order) {
      byDevice[device[each]!]!.push(each);
      if (finish[each]! > finish[task]!) task = each;
    }
    const path = [task];
    for (;;) {
      const began = start[task]!;
      let cause = -1;
      for (let edge = graph.predecessorOffsets[task]!; edge < graph.predecessorOffsets[task + 1]!; edge += 1) {
        const before = graph.predecessors[edge]!;
        const arrives =
          finish[before]! + graph.predecessorBytes[edge]! * secondsPerByte[device[before]! * devices + device[task]!]!;
        if (arrives >= began && began > 0) cause = before;
      }
      if (cause < 0 && began > 0)
        cause = byDevice[device[task]!]!.find((each) => each !== task && finish[each] === began) ?? -1;
      if (cause < 0 || path.length > graph.size) return path;
      path.push(cause);
      task = cause;
    }
  }
}
