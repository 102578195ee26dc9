import type { Assignment, MonitoredDevice, Quantiles } from '@foremesh/partitioner';
import { weightsOf } from './ahead.ts';
import { deviceOf, inputOf, placeable } from './dispatch.ts';
import type { PlannerEffect } from './events.ts';
import { capacityOf, currentCpu, leavesPerSecondOf } from './foresight/index.ts';
import { movesLeft, noteStay, perform } from './moves.ts';
import { linkBytesPerSecond, type NeededBlobs, nearBytes, neededBlobs } from './near.ts';
import { workSecondsOf } from './profiles.ts';
import type { AttemptView, NodeView, PlannerState } from './state.ts';

/** Of what a device itself takes: what differs from what was seen before by more than this share of all its cores is looked at at once. */
const driftMost = 0.25;
/** What is over within this time is not worth a look: no forecast is about it, and no move would pay. */
const lookedAtLeastMs = 1_000;

/**
 * A leader's round of what runs: looks at the nodes whose forecast was renewed, whose own work is not what it was, or that were not looked at for a while; and moves what
 * gains by that, as the policy says. Bounded: so many nodes with work, and so many with room, in each round.
 */
export function repartition(state: PlannerState, effects: PlannerEffect[]): void {
  if (!state.connected || state.nowMs < state.graceUntilMs) return;
  const busy = nodesToLookAt(state);
  const assignments = new Map<AttemptView, Assignment>();
  for (const node of busy) {
    for (const attempt of node.attempts) {
      const assignment = assignmentOf(state, node, attempt);
      if (assignment !== undefined) assignments.set(attempt, assignment);
    }
  }
  if (assignments.size === 0) return;
  const idle = idleNodes(state, new Set(busy));
  const [first] = assignments.keys();
  const monitored = (node: NodeView) => monitoredOf(state, node, first!);
  const withWork = busy.filter((node) => [...node.attempts].some((attempt) => assignments.has(attempt)));
  const devices = [...withWork, ...idle].map(monitored);
  for (const [attempt, assignment] of assignments)
    assignments.set(attempt, { ...assignment, nearBytes: nearTo(state, idle, attempt) });
  const { moves, stays } = state.policy.repartition(
    {
      movesLeft: movesLeft(state),
      weights: weightsOf(state, state.ledger.jobs.get(first!.task.job.key)!),
      options: { coolDownSeconds: state.config.moveCoolDownMs / 1_000 },
    },
    [...assignments.values()],
    { devices },
  );
  const attemptOf = (key: string) => state.attempts.get(key)!;
  const then = new Map(devices.map((device) => [device.device, device]));
  for (const stay of stays) noteStay(state, attemptOf(stay.task), stay);
  for (const move of moves) perform(state, attemptOf(move.task), move, then, effects);
}
