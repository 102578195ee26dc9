import { limits, type NodeRow } from '../../../contract/index.ts';
import type { NodeView, PlannerState } from '../state.ts';
import type { ObservedValue } from './foresight.ts';
import type { NodeSeries } from './node-series.ts';
import type { ForesightState } from './watch.ts';

/** So much of a step: four seconds of a minute. */
export const gatherShare = 1 / 15;

/** Series whose past takes many rounds to learn. */
export interface Backlog {
  /** Those that have least to learn first. */
  series: readonly NodeSeries[];
  /** Since when there is one, and what was learned since, in steps that are measured. */
  readonly sinceMs: number;
  learned: number;
  /** Of that what was learned between rounds, until as much is learned on all series together as in a round. */
  between: number;
}

/**
 * What one round learns. A learned model costs by the call rather than by the window: what is not much is gathered for a while, over all nodes.
 */
export function learnRound(state: PlannerState): void {
  const { foresight, nodes, nowMs, config } = state;
  learnTogether(foresight);
  const series: NodeSeries[] = [];
  let waiting = 0;
  let recalls: number = limits.forecastRecallsPerTick;
  for (const node of nodes.values()) {
    const each = node.series;
    const { isToRecall } = each;
    if (!node.online || (isToRecall && recalls === 0)) continue;
    each.takeSteps();
    // One that has told its past and measures nothing takes no steps, and holds up nobody.
    if (isToRecall && !each.isToRecall) recalls -= 1;
    waiting += each.waiting;
    if (each.waiting > 0) series.push(each);
  }
  const learnable: number = limits.forecastStepsPerTick;
  if (waiting > learnable) {
    // Those with a long past to learn do not hold up the others.
    series.sort((a, b) => a.waiting - b.waiting);
    foresight.backlog ??= { series, sinceMs: nowMs, learned: 0, between: 0 };
    foresight.backlog.series = series;
  } else delete foresight.backlog;
  if (foresight.learned.size > 0 && waiting < learnable && nowMs < foresight.gatherUntilMs) return;
  if (waiting > 0) foresight.gatherUntilMs = nowMs + config.forecastStepMs * gatherShare;
  learn(foresight, series, learnable);
}

/** Whether a driver that has time is to give some of it: by `study`, as often as it likes. */
export function hasMoreToLearn({ leading, foresight }: PlannerState): boolean {
  return leading && foresight.backlog?.series.some(({ waiting }) => waiting > 0) === true;
}

/** A piece of what waits, between two rounds. */
export function study({ foresight }: PlannerState): void {
  const { backlog } = foresight;
  if (backlog === undefined) return;
  backlog.between += learn(foresight, backlog.series, limits.forecastStepsBetweenTicks);
  // What is learned on all series together keeps up with them.
  if (backlog.between < limits.forecastStepsPerTick) return;
  backlog.between -= limits.forecastStepsPerTick;
  learnTogether(foresight);
}

function learn({ foresight, backlog }: ForesightState, series: readonly NodeSeries[], most: number): number {
  const batch: ObservedValue[] = [];
  let left = most;
  for (const each of series) {
    if (left <= 0) break;
    left -= each.learn(left, batch);
  }
  if (batch.length > 0) foresight.observeAll?.(batch);
  if (backlog !== undefined) backlog.learned += most - left;
  return most - left;
}

function learnTogether(state: ForesightState): void {
  const { foresight } = state;
  if (state.learning === undefined && foresight.learningDue === true && foresight.learn !== undefined)
    state.learning = foresight.learn();
  if (state.learning?.next().done === true) delete state.learning;
}

/** Whether there is a forecast of it by all that it remembers. */
export function isForeseen({ outlook }: NodeSeries): boolean {
  return outlook !== undefined && outlook.meanwhile === undefined;
}

/** How many rounds there are in a second; and after how long it is known how fast a past is learned. */
const roundsPerSecond = 4;
const paceKnownMs = 1_000;

/** Says of nodes without such a forecast what it waits for, and for how long by how fast all that waits is learned. */
export function unforeseenIn({
  foresight,
  nowMs,
}: PlannerState): (node: NodeView) => NonNullable<NodeRow['unforeseen']> {
  const { series: behind = [], sinceMs = nowMs, learned = 0 } = foresight.backlog ?? {};
  const passedMs = nowMs - sinceMs;
  const perMs = passedMs < paceKnownMs ? (roundsPerSecond * limits.forecastStepsPerTick) / 1_000 : learned / passedMs;
  let waiting = 0;
  const learnedInMs = new Map<NodeSeries, number>();
  for (const series of behind) {
    waiting += series.waiting;
    learnedInMs.set(series, Math.round(waiting / perMs));
  }
  return ({ series }) => {
    const { heardMs, minuteMs } = series.unforeseen(nowMs);
    const { observedSteps: learnedSteps, knownSteps: steps } = series;
    if (series.awaitsHistory)
      return { heardMs, dueMs: limits.relayWaitMs + Math.round(waiting / perMs), past: { learnedSteps: 0, steps: 0 } };
    if (steps === 0) return { heardMs, dueMs: minuteMs };
    return { heardMs, dueMs: learnedInMs.get(series) ?? 0, past: { learnedSteps, steps } };
  };
}
