import { finishOf, type Schedule, type SchedulingProblem } from './problem.ts';
import { Timelines } from './timelines.ts';

/** A plan that grows task by task; every task after all that it needs. May be cleared and used again. */
export class PlanBuilder {
  readonly problem: SchedulingProblem;
  readonly device: Int32Array;
  readonly start: Float64Array;
  readonly finish: Float64Array;
  makespan = 0;
  readonly timelines: Timelines;
  /** When everything that a task reads could be on each device: of the task last asked for. */
  readonly ready: Float64Array;

  constructor(problem: SchedulingProblem) {
    this.problem = problem;
    this.device = new Int32Array(problem.graph.size);
    this.start = new Float64Array(problem.graph.size);
    this.finish = new Float64Array(problem.graph.size);
    this.timelines = new Timelines(problem.devices);
    this.ready = new Float64Array(problem.devices);
  }

  clear(): void {
    this.timelines.clear();
    this.makespan = 0;
  }

  /** Nothing that is placed from now on starts before this. */
  notBefore = 0;

  /** Fills `ready` for a task. */
  findReady(task: number): Float64Array {
    const { ready, finish, device } = this;
    const { graph, devices, secondsPerByte } = this.problem;
    ready.fill(this.notBefore);
    for (let edge = graph.predecessorOffsets[task]!; edge < graph.predecessorOffsets[task + 1]!; edge += 1) {
      const before = graph.predecessors[edge]!;
      const bytes = graph.predecessorBytes[edge]!;
      const ended = finish[before]!;
      const row = device[before]! * devices;
      for (let to = 0; to < devices; to += 1) {
        const arrives = ended + bytes * secondsPerByte[row + to]!;
        if (arrives > ready[to]!) ready[to] = arrives;
      }
    }
    return ready;
  }

  /** When everything that a task reads could be on that device. */
  readyOn(task: number, to: number): number {
    const { finish, device } = this;
    const { graph, devices, secondsPerByte } = this.problem;
    let ready = this.notBefore;
    for (let edge = graph.predecessorOffsets[task]!; edge < graph.predecessorOffsets[task + 1]!; edge += 1) {
      const before = graph.predecessors[edge]!;
      const arrives = finish[before]! + graph.predecessorBytes[edge]! * secondsPerByte[device[before]! * devices + to]!;
      if (arrives > ready) ready = arrives;
    }
    return ready;
  }

  /** Puts the task into the first gap of the device that holds it. */
  place(task: number, on: number, ready = this.readyOn(task, on)): void {
    const { costSeconds, devices, capacities } = this.problem;
    const start = this.timelines.earliestStart(on, ready, costSeconds[task * devices + on]!, capacities?.[on]);
    this.placeAt(task, on, start, finishOf(this.problem, task, on, start));
  }

  placeAt(task: number, on: number, start: number, finish: number): void {
    this.device[task] = on;
    this.start[task] = start;
    this.finish[task] = finish;
    this.timelines.occupy(on, start, finish);
    if (finish > this.makespan) this.makespan = finish;
  }

  /**
   * Puts the task where it ends first by `finish + bias[device]` (ties: the first device), and returns where that is.
   * `bias` stands at `biasOffset`, one value per device.
   */
  placeBest(task: number, allowed: Int32Array, bias?: Float64Array, biasOffset = 0): number {
    const { costSeconds, devices, capacities } = this.problem;
    const ready = this.findReady(task);
    const row = task * devices;
    let best = -1;
    let bestStart = 0;
    let bestScore = Number.POSITIVE_INFINITY;
    for (let index = 0; index < allowed.length; index += 1) {
      const on = allowed[index]!;
      const cost = costSeconds[row + on]!;
      const extra = bias === undefined ? 0 : bias[biasOffset + on]!;
      if (capacities === undefined && ready[on]! + cost + extra >= bestScore) continue;
      const start = this.timelines.earliestStart(on, ready[on]!, cost, capacities?.[on]);
      const score = finishOf(this.problem, task, on, start) + extra;
      if (score >= bestScore) continue;
      best = on;
      bestStart = start;
      bestScore = score;
    }
    if (best < 0) throw new RangeError(`task "${this.problem.graph.ids[task]}" can run on no device`);
    this.placeAt(task, best, bestStart, finishOf(this.problem, task, best, bestStart));
    return best;
  }

  toSchedule(): Schedule {
    return {
      device: this.device.slice(),
      startSeconds: this.start.slice(),
      finishSeconds: this.finish.slice(),
      makespanSeconds: this.makespan,
    };
  }
}
