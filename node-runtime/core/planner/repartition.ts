import type { Assignment, MonitoredDevice, Quantiles } from '@foremesh/partitioner';
import { expectedOf, weightsOf } from './ahead.ts';
import { isCutAsItRuns } from './chunks.ts';
import { codeOf, deviceOf, inputOf, placeable } from './dispatch.ts';
import type { PlannerEffect } from './events.ts';
import { capacityOf, currentCpu } from './foresight/index.ts';
import { progressLeast } from './left.ts';
import { movesLeft, noteStay, perform, slotsPromised } from './moves.ts';
import { nearBytes, neededBlobs } from './near.ts';
import { workSecondsOf } from './profiles.ts';
import type { AttemptView, NodeView, PlannerState, StageView } from './state.ts';

/** A node is looked at at once when its own work takes more or less than before by this share of all its cores. */
const driftMost = 0.25;
/** What is over within this time is not worth a look: no forecast is about it, and no move of it would pay. */
const lookedAtLeastMs = 1_000;
/** Of less input it does not matter where it is: any link carries it in a moment. */
const nearLeastBytes = 100_000;
/** What is left of an attempt that has taken nearly as long as was expected: nobody knows, at least so much of the whole. */
const leftLeast = 0.1;

/**
 * A leader's round of what runs: looks at nodes with work whose forecast was renewed, whose own work is not what it was, or that were not looked
 * at for a while, and moves what gains by it, as the policy says. Bounded: so many nodes with work, and so many with room, in one round.
 */
export function repartition(state: PlannerState, effects: PlannerEffect[]): void {
  if (!state.connected || state.nowMs < state.graceUntilMs) return;
  const due = nodesToLookAt(state);
  if (due.length === 0) return;
  const attempts = new Map<string, AttemptView>();
  const assignments: Assignment[] = [];
  const busy: NodeView[] = [];
  const idle = idleNodes(state);
  for (const node of due) {
    const before = assignments.length;
    for (const attempt of node.attempts) {
      const assignment = assignmentOf(state, node, attempt, idle);
      if (assignment === undefined) continue;
      attempts.set(attempt.key, attempt);
      assignments.push(assignment);
    }
    if (assignments.length > before) busy.push(node);
  }
  if (assignments.length === 0) return;
  const { stage } = attempts.get(assignments[0]!.task)!.task;
  const devices = [...new Set([...busy, ...idle])].map((node) => monitoredOf(state, node, stage));
  const options = { coolDownSeconds: state.config.moveCoolDownMs / 1_000 };
  const { moves, stays } = state.policy.repartition({ movesLeft: movesLeft(state), options }, assignments, { devices });
  for (const stay of stays) noteStay(state, attempts.get(stay.task)!, stay);
  for (const move of moves) perform(state, attempts.get(move.task)!, move, devices, effects);
}

/** Of those that have measured anything those that were not looked at for the longest time first. */
function nodesToLookAt(state: PlannerState): NodeView[] {
  const due: NodeView[] = [];
  for (const node of state.nodes.values())
    if (node.confirmed && node.latest !== undefined && node.attempts.size > 0 && isDue(state, node)) due.push(node);
  if (due.length > state.config.repartitionNodes) due.sort((a, b) => (a.looked?.atMs ?? 0) - (b.looked?.atMs ?? 0));
  const looked = due.slice(0, state.config.repartitionNodes);
  for (const node of looked) {
    const originMs = originOf(state, node);
    node.looked = { atMs: state.nowMs, cpu: currentCpu(node), ...(originMs === undefined ? {} : { originMs }) };
  }
  return looked;
}

function isDue(state: PlannerState, node: NodeView): boolean {
  const { looked } = node;
  if (looked === undefined || state.nowMs - looked.atMs >= state.config.repartitionIntervalMs) return true;
  return originOf(state, node) !== looked.originMs || Math.abs(currentCpu(node) - looked.cpu) > driftMost;
}

/** Where its forecast begins, if anybody goes by that. */
function originOf({ policy }: PlannerState, { series }: NodeView): number | undefined {
  return policy.looksAhead ? series.outlook?.originMs : undefined;
}

/** Nodes with a slot that is free; of too many those that have least to do for themselves now. */
function idleNodes(state: PlannerState): NodeView[] {
  const idle = [...state.nodes.values()].filter(
    (node) => node.confirmed && node.status.slots - node.attempts.size - slotsPromised(state, node) > 0,
  );
  if (idle.length <= state.config.repartitionNodes) return idle;
  return idle.sort((a, b) => currentCpu(a) - currentCpu(b)).slice(0, state.config.repartitionNodes);
}

function monitoredOf(state: PlannerState, node: NodeView, stage: StageView): MonitoredDevice {
  const device = deviceOf(state, node, stage);
  const { slots, trusts } = node.status;
  return {
    ...device,
    ...(trusts === undefined ? {} : { trusts }), // what one stage is refused is told by its tasks
    freeSlots: device.freeSlots - slotsPromised(state, node),
    slots,
    ...expectedOf(state, node),
  };
}

/** Undefined of what is too short to be worth a look, and of what nobody knows anything. */
function assignmentOf(
  state: PlannerState,
  node: NodeView,
  attempt: AttemptView,
  idle: readonly NodeView[],
): Assignment | undefined {
  const { task, assignedMs, startedMs, expected, leaving } = attempt;
  const { meanWallMs, codeRefusals } = task.stage;
  const ageMs = state.nowMs - assignedMs;
  if (meanWallMs !== undefined && Math.max(meanWallMs, ageMs) < lookedAtLeastMs) return undefined;
  const doneSeconds = work(state, node, attempt);
  const all = believed(workSecondsOf(state, task), attempt, doneSeconds);
  if (all === undefined) return undefined;
  const job = state.ledger.jobs.get(task.job.key)!;
  const needed = neededBlobs(inputOf(job, task));
  const common = placeable(state, task);
  return {
    ...common,
    task: attempt.key,
    avoid: [...common.avoid, ...(codeRefusals?.keys() ?? [])],
    device: attempt.node,
    hasStarted: startedMs !== undefined,
    leftSeconds: attempt.progress > progressLeast ? scaled(all, 1 - attempt.progress) : without(all, doneSeconds),
    elsewhereSeconds: without(all, task.ledger.checkpoint === undefined ? 0 : (task.savedSeconds ?? 0)),
    inputBytes: needed.totalBytes,
    ...(needed.totalBytes < nearLeastBytes
      ? {}
      : { nearBytes: new Map(idle.map((each) => [each.status.node, nearBytes(state, each, needed)])) }),
    weights: weightsOf(state, job),
    ageSeconds: ageMs / 1_000,
    ...(expected === undefined ? {} : { expectedEndSeconds: expected.terms.finishSeconds - ageMs / 1_000 }),
    ...(task.movedMs === undefined ? {} : { movedSeconds: (state.nowMs - task.movedMs) / 1_000 }),
    isEnding: task.committing || leaving !== undefined,
    isCopied: task.attempts.size > 1,
    isDivisible: (task.ledger.range?.records ?? 0) > 1 && isCutAsItRuns(task.stage.plan),
  };
}

/** How much of it is done by what its node has given since it started, seconds on a core of speed 1. */
function work(state: PlannerState, node: NodeView, attempt: AttemptView): number {
  const { task, startedMs, resumed } = attempt;
  if (startedMs === undefined) return 0;
  const before = attempt.done ?? { atMs: startedMs, seconds: resumed === undefined ? 0 : (task.savedSeconds ?? 0) };
  const speed = node.status.speed[codeOf(task).engine] ?? 1;
  const rate = capacityOf(state, node).q50.rates[0]!;
  const seconds = before.seconds + ((state.nowMs - before.atMs) / 1_000) * rate * speed;
  attempt.done = { atMs: state.nowMs, seconds };
  return seconds;
}

/**
 * What it takes in all. An expectation that it has outlived is believed no more: then by how far it says it is, or else it is as far from its end as it
 * is late. Undefined: nobody knows.
 */
function believed(all: Quantiles | undefined, attempt: AttemptView, doneSeconds: number): Quantiles | undefined {
  if (all !== undefined && doneSeconds <= all.q90) return all;
  const late = all && scaled({ q10: 1, q50: 1, q90: 1 }, 2 * doneSeconds - all.q90);
  return projected(attempt, doneSeconds) ?? late;
}

/** By how far it says it is; undefined when it says nothing. */
function projected({ progress }: AttemptView, doneSeconds: number): Quantiles | undefined {
  return progress > progressLeast && doneSeconds > 0
    ? scaled({ q10: 1, q50: 1, q90: 1 }, doneSeconds / progress)
    : undefined;
}

function scaled({ q10, q50, q90 }: Quantiles, factor: number): Quantiles {
  return { q10: q10 * factor, q50: q50 * factor, q90: q90 * factor };
}

function without({ q10, q50, q90 }: Quantiles, seconds: number): Quantiles {
  const left = (all: number) => Math.max(all - seconds, all * leftLeast);
  return { q10: left(q10), q50: left(q50), q90: left(q90) };
}
