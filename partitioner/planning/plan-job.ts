import { buildTaskGraph, type GraphEdge, type TaskGraph } from '../graph/task-graph.ts';
import { type CostTerms, type CostWeights, costWeightsDefault, expectedCost, withTotal } from '../placement/cost.ts';
import type { Quantiles, SlotCapacity } from '../placement/expected-finish.ts';
import { planSchedule, type SchedulingAlgorithm } from '../scheduling/algorithms.ts';
import { finishUnder } from '../scheduling/capacity.ts';
import { PlanBuilder } from '../scheduling/plan-builder.ts';
import { orderByStart, type Schedule, type SchedulingProblem } from '../scheduling/problem.ts';
import { randomSource } from '../scheduling/random.ts';
import { curveAt, deviationsFor, normalSource, spreadBy } from './uncertain.ts';

/** What tasks of one kind have in common: of a stage, or its merge. */
export interface PlanKind {
  /** Of each node, how fast it is for them, a core of speed 1 being 1; 0: it cannot run them. */
  readonly speeds: ArrayLike<number>;
  /** Share of the variance of their work that is the same for all: 1 when the code is unknown, near 0 when many of it were seen. */
  readonly sharedVariance: number;
}

export interface PlanTask {
  readonly task: string;
  /** Index into `kinds`. */
  readonly kind: number;
  /** Seconds on a core of speed 1. */
  readonly workSeconds: Quantiles;
  /** Bytes that it reads and that no task of the plan makes. */
  readonly inputBytes: number;
  /** It runs already, on this node (an index): it stays there, and its work is what is left. */
  readonly runsOn?: number;
}

export interface PlanNode {
  readonly node: string;
  /** Of each of its slots, when what runs or waits there now is done with it; seconds. */
  readonly freeSeconds: readonly number[];
  /** What one slot gives over time, in shares of a core. */
  readonly capacity: SlotCapacity;
  /** How fast bytes come to it, and from it. */
  readonly bytesPerSecond: number;
  /** How often nodes like it leave, per second; 0: never. */
  readonly leavesPerSecond: number;
}

export interface PlanRequest {
  readonly kinds: readonly PlanKind[];
  readonly tasks: readonly PlanTask[];
  readonly edges: readonly GraphEdge[];
  readonly nodes: readonly PlanNode[];
  /** How sure the plan is to be: 0.5 plans for the middle of what is expected, 0.9 for a bad day. */
  readonly confidence: number;
  /** Seconds from the leaving of a node until its tasks start elsewhere. */
  readonly lossSeconds: number;
  readonly weights?: CostWeights;
  /** `default`, or `search` where a leader would be busy with that for too long. */
  readonly algorithm?: SchedulingAlgorithm;
  readonly seed?: number;
  /** Plans that the search tries; unless said, few enough for a leader to answer between two heartbeats. */
  readonly evaluations?: number;
  /** A plan of the same tasks by their names: the new one is not worse, as long as its nodes are there. */
  readonly incumbent?: PlannedJob;
}

export interface PlannedTask {
  readonly task: string;
  /** Index into `nodes`, and the slot of it; of a task that runs already the slot is -1. */
  readonly node: number;
  readonly slot: number;
  /** In the middle of what is expected; seconds from now. */
  readonly startSeconds: number;
  readonly finishSeconds: number;
}

/** A task in a plan, its node by name: the next plan may be of other nodes. */
export interface PlacedTask {
  readonly task: string;
  readonly on: string;
  readonly slot: number;
  readonly startSeconds: number;
}

export interface PlannedJob {
  readonly algorithm: SchedulingAlgorithm;
  /** In the order of the request. */
  readonly tasks: readonly PlannedTask[];
  /** The plan itself, for `confidence`, in the order of the request: what the next one is not worse than. */
  readonly placed: readonly PlacedTask[];
  /** When the last task ends, as it was planned for `confidence`. */
  readonly makespanSeconds: number;
  /** When the last task has ended in that share of the futures that were tried; seconds, Infinity: never. */
  readonly finishQuantile: (share: number) => number;
  /** The probability to have ended by then. Never 0 nor 1: so few futures do not tell. */
  readonly probabilityBy: (seconds: number) => number;
  /** Of the whole: when the last task ends, the mean over the futures; the other terms are sums over all tasks as they are planned. */
  readonly cost: CostTerms;
}

/** Cells of the table of costs, which bounds time and memory of a plan. */
const cellsMost = 500_000;
/** Up to so many all algorithms are tried: some of them take time in proportion to the square of the tasks. */
const portfolioCellsMost = 20_000;
/** Placements that the search may make, and that futures are made of. */
const searchPlacements = 60_000;
const futurePlacements = 60_000;
const futuresLeast = 40;
const futuresMost = 400;

interface Slot {
  readonly node: number;
  readonly slot: number;
  readonly freeSeconds: number;
  /** The one task that may be there. */
  readonly only?: number;
}

/**
 * Plans a job on nodes of which only quantiles are known, then tries the plan in many futures: in each the work of every task and what
 * every node gives are drawn anew (Monte Carlo), so that the plan has a distribution of finish times and not one. A node's draw holds for
 * the whole of a future, and tasks of one kind share a part of theirs: what is not known is mostly not known of all of them together.
 * Deterministic: the same request gives the same plan.
 *
 * @throws RangeError for a task that can run on no node; GraphError for a graph that is none
 */
export function planJob(request: PlanRequest): PlannedJob {
  const { tasks, nodes, confidence, seed = 1 } = request;
  const graph = buildTaskGraph(
    tasks.map(({ task }) => task),
    request.edges,
  );
  const slots = slotsOf(request);
  const problem = problemOf(request, graph, slots);
  const evaluations = request.evaluations ?? Math.floor(searchPlacements / Math.max(1, tasks.length));
  const isSmall = tasks.length * slots.length <= portfolioCellsMost;
  const { algorithm = isSmall ? 'default' : 'search' } = request;
  let schedule = planSchedule(problem, algorithm, { seed, evaluations });
  const before = request.incumbent === undefined ? undefined : replan(request, request.incumbent, problem, slots);
  if (before !== undefined && before.makespanSeconds <= schedule.makespanSeconds) schedule = before;

  const order = orderByStart(graph, schedule.startSeconds);
  const middle = new Future(request, graph, slots, schedule, order);
  middle.run(() => 0, undefined);
  const futures = Math.max(
    futuresLeast,
    Math.min(futuresMost, Math.floor(futurePlacements / Math.max(1, tasks.length))),
  );
  const random = randomSource(seed);
  const normal = normalSource(random);
  const future = new Future(request, graph, slots, schedule, order);
  const finishSeconds = new Float64Array(futures);
  for (let each = 0; each < futures; each += 1) finishSeconds[each] = future.run(normal, random);
  finishSeconds.sort();
  const planned = tasks.map(({ task }, index) => ({
    task,
    node: slots[schedule.device[index]!]!.node,
    slot: middle.slotOf[index]!,
    startSeconds: middle.start[index]!,
    finishSeconds: middle.finish[index]!,
  }));
  return {
    algorithm,
    tasks: planned,
    placed: tasks.map(({ task }, index) => {
      const { node, slot } = slots[schedule.device[index]!]!;
      return { task, on: nodes[node]!.node, slot, startSeconds: schedule.startSeconds[index]! };
    }),
    makespanSeconds: schedule.makespanSeconds,
    finishQuantile: (share) => finishSeconds[Math.max(0, Math.ceil(share * futures) - 1)]!,
    probabilityBy: (seconds) =>
      (finishSeconds.reduce((within, each) => within + (each <= seconds ? 1 : 0), 0) + 0.5) / (futures + 1),
    cost: costOf(request, graph, planned, finishSeconds),
  };

  /** The deviation that everything is planned with stands in `problemOf`: work and capacity both are as bad as that. */
  function problemOf({ kinds }: PlanRequest, { size }: TaskGraph, devices: readonly Slot[]): SchedulingProblem {
    const deviations = deviationsFor(confidence);
    const costSeconds = new Float64Array(size * devices.length).fill(Number.POSITIVE_INFINITY);
    for (const [index, { kind, workSeconds, inputBytes, runsOn }] of tasks.entries()) {
      const work = spreadBy(workSeconds, deviations);
      for (const [device, { node, only }] of devices.entries()) {
        if (runsOn === undefined ? only !== undefined : only !== index) continue;
        const speed = kinds[kind]!.speeds[node]!;
        if (speed > 0) costSeconds[index * devices.length + device] = work / speed + inputBytes / rateOf(node);
      }
    }
    const secondsPerByte = new Float64Array(devices.length ** 2);
    for (const [from, one] of devices.entries())
      for (const [to, other] of devices.entries())
        if (one.node !== other.node)
          secondsPerByte[from * devices.length + to] = 1 / Math.min(rateOf(one.node), rateOf(other.node));
    const curves = nodes.map(({ capacity }) => curveAt(capacity, -deviations));
    const capacities = devices.map(({ node, freeSeconds }) => {
      const { untilSeconds, rates } = curves[node]!;
      if (freeSeconds <= 0) return { untilSeconds, rates };
      const later = Array.from(untilSeconds).findIndex((until) => until > freeSeconds);
      const from = later < 0 ? untilSeconds.length : later;
      return {
        untilSeconds: [freeSeconds, ...Array.from(untilSeconds).slice(from)],
        rates: [0, ...Array.from(rates).slice(from)],
      };
    });
    return { graph, devices: devices.length, costSeconds, secondsPerByte, capacities };
  }

  function rateOf(node: number): number {
    return nodes[node]!.bytesPerSecond;
  }
}

/** As many slots as the table has room for, those of each kind by turns that would have done a task of it first. */
function slotsOf({ kinds, tasks, nodes }: PlanRequest): Slot[] {
  const pinned: Slot[] = [];
  for (const [only, { runsOn }] of tasks.entries())
    if (runsOn !== undefined) pinned.push({ node: runsOn, slot: -1, freeSeconds: 0, only });
  const all: Slot[] = nodes.flatMap(({ freeSeconds }, node) =>
    freeSeconds.map((free, slot) => ({ node, slot, freeSeconds: free })),
  );
  const most = Math.max(kinds.length, Math.floor(cellsMost / Math.max(1, tasks.length)) - pinned.length);
  if (all.length <= most) return [...all, ...pinned];
  const typical = kinds.map((_, kind) => {
    const works = tasks.filter((task) => task.kind === kind).map(({ workSeconds }) => workSeconds.q50);
    return works.length === 0 ? 0 : Math.max(...works);
  });
  const ranked = kinds.map(({ speeds }, kind) => {
    const doneAt = ({ node, freeSeconds }: Slot) =>
      finishUnder(nodes[node]!.capacity.q50, freeSeconds, typical[kind]! / speeds[node]!);
    return all
      .filter(({ node }) => speeds[node]! > 0)
      .map((slot) => ({ slot, at: doneAt(slot) }))
      .sort((one, other) => one.at - other.at);
  });
  const chosen = new Set<Slot>();
  for (let rank = 0; chosen.size < most && ranked.some(({ length }) => rank < length); rank += 1)
    for (const slots of ranked) if (rank < slots.length && chosen.size < most) chosen.add(slots[rank]!.slot);
  return [...all.filter((slot) => chosen.has(slot)), ...pinned];
}

/** The plan that there was, on the nodes as they are now; undefined when one of them is gone. */
function replan(
  { tasks, nodes }: PlanRequest,
  incumbent: PlannedJob,
  problem: SchedulingProblem,
  slots: readonly Slot[],
): Schedule | undefined {
  const before = new Map(incumbent.placed.map((each) => [each.task, each]));
  const devices = new Map(slots.map(({ node, slot }, device) => [`${nodes[node]!.node} ${slot}`, device]));
  const pinned = new Map(slots.map(({ only }, device) => [only, device]));
  const where: number[] = [];
  for (const [index, { task, runsOn }] of tasks.entries()) {
    const { on, slot } = before.get(task) ?? {};
    const device = runsOn === undefined ? devices.get(`${on} ${slot}`) : pinned.get(index);
    if (device === undefined || problem.costSeconds[index * slots.length + device] === Number.POSITIVE_INFINITY)
      return undefined;
    where.push(device);
  }
  const starts = tasks.map(({ task }) => before.get(task)?.startSeconds ?? 0);
  const plan = new PlanBuilder(problem);
  for (const task of orderByStart(problem.graph, starts)) plan.place(task, where[task]!);
  return plan.toSchedule();
}

/** What the plan costs, its tasks where and when they are planned. */
function costOf(
  { kinds, tasks, nodes, weights = costWeightsDefault }: PlanRequest,
  { predecessorOffsets, predecessors, predecessorBytes }: TaskGraph,
  planned: readonly PlannedTask[],
  finishes: Float64Array,
): CostTerms {
  const sums = { contentionSeconds: 0, transferSeconds: 0, riskSeconds: 0 };
  for (const [index, { node: on, startSeconds }] of planned.entries()) {
    const { kind, workSeconds, inputBytes } = tasks[index]!;
    const { capacity, bytesPerSecond, leavesPerSecond } = nodes[on]!;
    let bytes = inputBytes;
    for (let edge = predecessorOffsets[index]!; edge < predecessorOffsets[index + 1]!; edge += 1)
      if (planned[predecessors[edge]!]!.node !== on) bytes += predecessorBytes[edge]!;
    const speed = kinds[kind]!.speeds[on]!;
    const question = { workSeconds, capacity, speed, startSeconds, inputBytes: bytes, bytesPerSecond, leavesPerSecond };
    const { terms } = expectedCost(question);
    for (const term of Object.keys(sums) as (keyof typeof sums)[]) sums[term] += terms[term];
  }
  const finishSeconds = finishes.reduce((sum, each) => sum + each, 0) / Math.max(1, finishes.length);
  return withTotal({ finishSeconds, ...sums }, weights);
}

/** One way in which the plan may go. A node takes its tasks in the order of the plan, each in the first of its slots that is free. */
class Future {
  readonly start: Float64Array;
  readonly finish: Float64Array;
  /** Of each task, which slot of its node it came to; -1 where it ran already. */
  readonly slotOf: Int32Array;
  private readonly request: PlanRequest;
  private readonly graph: TaskGraph;
  private readonly slots: readonly Slot[];
  private readonly device: Int32Array;
  private readonly order: Int32Array;
  /** Of each node that is in the plan, its slots there. */
  private readonly slotsOfNode: readonly (readonly Slot[])[];

  constructor(request: PlanRequest, graph: TaskGraph, slots: readonly Slot[], { device }: Schedule, order: Int32Array) {
    this.request = request;
    this.graph = graph;
    this.slots = slots;
    this.device = device;
    this.order = order;
    this.start = new Float64Array(graph.size);
    this.finish = new Float64Array(graph.size);
    this.slotOf = new Int32Array(graph.size);
    const slotsOfNode: Slot[][] = request.nodes.map(() => []);
    for (const slot of slots) if (slot.only === undefined) slotsOfNode[slot.node]!.push(slot);
    this.slotsOfNode = slotsOfNode;
  }

  /** When the last task ends. `random` draws when nodes leave; without it none does. */
  run(normal: () => number, random: (() => number) | undefined): number {
    const { kinds, tasks, nodes, lossSeconds } = this.request;
    const { predecessorOffsets, predecessors, predecessorBytes } = this.graph;
    const { start, finish, slotOf } = this;
    const common = kinds.map(() => normal());
    const curves = nodes.map(({ capacity }) => curveAt(capacity, normal()));
    const leaves = nodes.map(({ leavesPerSecond }) =>
      random === undefined || leavesPerSecond <= 0
        ? Number.POSITIVE_INFINITY
        : -Math.log(1 - random()) / leavesPerSecond,
    );
    const free = this.slotsOfNode.map((slots) => slots.map(({ freeSeconds }) => freeSeconds));
    let last = 0;
    for (const task of this.order) {
      const { kind, workSeconds, inputBytes, runsOn } = tasks[task]!;
      const { node } = this.slots[this.device[task]!]!;
      const { speeds, sharedVariance } = kinds[kind]!;
      let ready = 0;
      for (let edge = predecessorOffsets[task]!; edge < predecessorOffsets[task + 1]!; edge += 1) {
        const before = predecessors[edge]!;
        const from = this.slots[this.device[before]!]!.node;
        const rate = Math.min(nodes[from]!.bytesPerSecond, nodes[node]!.bytesPerSecond);
        ready = Math.max(ready, finish[before]! + (from === node ? 0 : predecessorBytes[edge]! / rate));
      }
      const deviations = Math.sqrt(sharedVariance) * common[kind]! + Math.sqrt(1 - sharedVariance) * normal();
      const cost = spreadBy(workSeconds, deviations) / speeds[node]! + inputBytes / nodes[node]!.bytesPerSecond;
      const frees = free[node]!;
      const slot = runsOn === undefined ? frees.indexOf(Math.min(...frees)) : -1;
      const began = Math.max(ready, slot < 0 ? 0 : frees[slot]!);
      let ended = finishUnder(curves[node]!, began, cost);
      const leftAt = leaves[node]!;
      if (leftAt < ended) {
        // It is done again elsewhere, and so is what would have come after it: as if another took the place of the node.
        ended = finishUnder(curves[node]!, Math.max(began, leftAt + lossSeconds), cost);
        leaves[node] = Number.POSITIVE_INFINITY;
      }
      if (slot >= 0) frees[slot] = ended;
      start[task] = began;
      finish[task] = ended;
      slotOf[task] = slot < 0 ? -1 : this.slotsOfNode[node]![slot]!.slot;
      if (ended > last) last = ended;
    }
    return last;
  }
}
