import {
  type CapacityCurve,
  finishUnder,
  heftFrom,
  type Schedule,
  type SchedulingProblem,
  upwardRanks,
} from '@foremesh/partitioner';
import type { Attempt, ReplanPolicy, ReplanView } from './world.ts';

const driftLeast = 0.25;

/** What a planner knows of the devices. */
interface Knowledge {
  /** What a device is expected to give from now on. */
  curve(view: ReplanView, device: number): CapacityCurve;
  /** Cost seconds that an attempt has behind it. */
  progress(view: ReplanView, attempt: Attempt): number;
}

const constant = (rate: number): CapacityCurve => ({ untilSeconds: [], rates: [rate] });

/** What finished tasks took, and nothing else. */
const measured: Knowledge = {
  curve: ({ measuredRate }, device) => constant(measuredRate[device]!),
  progress: ({ nowSeconds, measuredRate }, { startSeconds, device }) =>
    (nowSeconds - startSeconds) * measuredRate[device]!,
};

/**
 * The rate seen now goes back to its mean as an alternating renewal process does in the mean; a device that may leave gives
 * less and less, by the chance that it is still there.
 */
const forecast: Knowledge = {
  curve: (view, device) => {
    const { nowSeconds, times, mayLeave } = view;
    const { fastSeconds, slowSeconds, slowRate, lifeSeconds } = times;
    const mean = (fastSeconds + slowSeconds * slowRate) / (fastSeconds + slowSeconds);
    const back = 1 / fastSeconds + 1 / slowSeconds;
    const hazard = mayLeave[device]! ? 1 / lifeSeconds : 0;
    const now = view.rateNow(device);
    const steps = Array.from({ length: 12 }, (_, step) => (fastSeconds / 24) * 1.5 ** step);
    const rateAfter = (seconds: number) =>
      (mean + (now - mean) * Math.exp(-back * seconds)) * Math.exp(-hazard * seconds);
    return {
      untilSeconds: steps.map((seconds) => nowSeconds + seconds),
      rates: [...steps.map((seconds, at) => rateAfter((seconds + (steps[at - 1] ?? 0)) / 2)), rateAfter(steps.at(-1)!)],
    };
  },
  progress: (view, attempt) => view.progressSeconds(attempt),
};

const clairvoyant: Knowledge = {
  curve: (view, device) => {
    const { untilSeconds, rates, leavesSeconds } = view.future(device);
    const kept = untilSeconds.filter((until) => until < leavesSeconds);
    if (leavesSeconds === Number.POSITIVE_INFINITY) return { untilSeconds, rates };
    return { untilSeconds: [...kept, leavesSeconds], rates: [...rates.slice(0, kept.length + 1), 0] };
  },
  progress: (view, attempt) => view.progressSeconds(attempt),
};

/** When an attempt is expected to end; one that is overdue: a tenth of its cost from now. */
function expectedEnd(view: ReplanView, attempt: Attempt, knowledge: Knowledge): number {
  const { problem, nowSeconds } = view;
  const cost = problem.costSeconds[attempt.task * problem.devices + attempt.device]!;
  const left = Math.max(cost - knowledge.progress(view, attempt), cost / 10);
  return finishUnder(knowledge.curve(view, attempt.device), nowSeconds, left);
}

function planFrom(view: ReplanView, knowledge: Knowledge, ranks: Float64Array): number[][] {
  const { problem, isDone, isGone, nowSeconds, running } = view;
  const { devices } = problem;
  const costSeconds = problem.costSeconds.map((cost, at) => (isGone[at % devices] ? Number.POSITIVE_INFINITY : cost));
  const capacities = isGone.map((gone, device) => (gone ? constant(1) : knowledge.curve(view, device)));
  const incumbent = {
    nowSeconds,
    isFixed: isDone.slice(),
    device: view.device.slice(),
    startSeconds: view.startSeconds.slice(),
    finishSeconds: view.finishSeconds.slice(),
  };
  for (const attempt of running) {
    const { task, device, startSeconds } = attempt;
    const end = expectedEnd(view, attempt, knowledge);
    // What is known to be lost is planned anew at once.
    if (end === Number.POSITIVE_INFINITY || (incumbent.isFixed[task] === 1 && incumbent.finishSeconds[task]! <= end))
      continue;
    incumbent.isFixed[task] = 1;
    incumbent.device[task] = device;
    incumbent.startSeconds[task] = startSeconds;
    incumbent.finishSeconds[task] = end;
  }
  return queuesOf(
    { ...problem, costSeconds, capacities },
    heftFrom({ ...problem, costSeconds, capacities }, incumbent, ranks),
    incumbent.isFixed,
  );
}

function queuesOf(
  { graph, devices }: SchedulingProblem,
  { device, startSeconds }: Schedule,
  isFixed: Uint8Array,
): number[][] {
  const queues: number[][] = Array.from({ length: devices }, () => []);
  for (const task of graph.order) if (isFixed[task] === 0) queues[device[task]!]!.push(task);
  // Stable: of two that start at once the one that the other needs stays first.
  for (const queue of queues) queue.sort((one, other) => startSeconds[one]! - startSeconds[other]!);
  return queues;
}

interface Options {
  /** Copies a running task where its copy is expected to end before so many times what the other has left. */
  readonly copyWithin?: number;
  readonly always?: boolean;
}

function replanning(knowledge: Knowledge, { copyWithin, always = false }: Options = {}): ReplanPolicy {
  let planned: readonly number[] = [];
  let ranks: Float64Array | undefined;
  return {
    wantsPlan: ({ measuredRate }) =>
      always || measuredRate.some((rate, device) => Math.abs(rate / planned[device]! - 1) > driftLeast),
    plan: (view) => {
      planned = view.measuredRate.slice();
      ranks ??= upwardRanks(view.problem);
      return planFrom(view, knowledge, ranks);
    },
    ...(copyWithin === undefined
      ? {}
      : { copy: (view, device) => copyFor(view, device, knowledge, copyWithin, ranks!) }),
  };
}

function copyFor(
  view: ReplanView,
  on: number,
  knowledge: Knowledge,
  within: number,
  ranks: Float64Array,
): number | undefined {
  const { problem, running, nowSeconds } = view;
  let best: number | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (const attempt of running) {
    const { task } = attempt;
    if (running.some((other) => other.task === task && other !== attempt)) continue;
    const left = expectedEnd(view, attempt, knowledge) - nowSeconds;
    const mine =
      finishUnder(knowledge.curve(view, on), nowSeconds, problem.costSeconds[task * problem.devices + on]!) -
      nowSeconds;
    const gain = within > 1 ? ranks[task]! : left - mine;
    if (mine >= left * within || gain <= most) continue;
    best = task;
    most = gain;
  }
  return best;
}

/** By name; `drift` and `knownFuture` are what the others are measured by. */
export const policies: Readonly<Record<string, () => ReplanPolicy>> = {
  /** HEFT once, and again when a device has left. */
  static: () => ({ ...replanning(measured), wantsPlan: () => false }),
  drift: () => replanning(measured),
  /** Ours without forecasts: a copy must be worth it twice over, since little is known. */
  reactive: () => replanning(measured, { copyWithin: 0.5 }),
  /** Ours with forecasts: an idle device also runs what may well be overtaken by events elsewhere. */
  predictive: () => replanning(forecast, { copyWithin: 1.5, always: true }),
  knownFuture: () => replanning(clairvoyant, { always: true }),
};
