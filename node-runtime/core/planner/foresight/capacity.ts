import type { CapacityCurve, SlotCapacity } from '@foremesh/partitioner';
import type { NodeView, PlannerState } from '../state.ts';
import { currentCpu, memoryFreeNow, ownCpuOf, ownMemoryOf } from './availability.ts';
import type { Outlook } from './node-series.ts';

/** However much the device itself takes, a task gets this part of the device: nothing ends it, and it is not worth nothing. */
const shareLeast = 0.05;
/** What was measured last holds for this part of a step after it was heard; from then on what is forecast. */
const measuredShare = 1 / 4;

/**
 * What one slot of a node will give, in shares of a core, from now on (`state.nowMs` is second 0). By the forecast of what the device itself
 * takes; as if that stayed as it was measured last where there is no forecast, or where the policy does not look ahead. What runs in the other
 * slots is not taken off: slots share what there is, each as if all were busy. After the horizon the last step goes on.
 */
export function capacityOf(state: PlannerState, node: NodeView): SlotCapacity {
  const { share, cores, slots } = node.status;
  const perSlot = (own: number) =>
    Math.min(1, (Math.max(shareLeast, Math.min(share, 1 - own)) * cores) / Math.max(1, slots));
  const now = perSlot(currentCpu(node));
  const demand = perSlot(0);
  const { outlook } = node.series;
  if (!state.policy.looksAhead || outlook === undefined) {
    const flat: CapacityCurve = { untilSeconds: [], rates: [now] };
    return { q10: flat, q50: flat, q90: flat, demand };
  }
  const { q10, q50, q90 } = ownCpuOf(state, node, outlook);
  const curve = (own: readonly number[]) => ahead(state, node, outlook, now, own.map(perSlot));
  // Where the device needs much, little is left.
  return { q10: curve(q90), q50: curve(q50), q90: curve(q10), demand };
}

/** What was measured, for a part of a step, then what is forecast: seconds count from now. */
function ahead(
  state: PlannerState,
  { latestMs }: NodeView,
  { originMs }: Outlook,
  now: number,
  steps: readonly number[],
): CapacityCurve {
  const { forecastStepMs } = state.config;
  const measuredUntilMs = Math.max(state.nowMs, latestMs + forecastStepMs * measuredShare);
  const first = Math.min(steps.length - 1, Math.max(0, Math.floor((measuredUntilMs - originMs) / forecastStepMs)));
  const untilSeconds = [(measuredUntilMs - state.nowMs) / 1_000];
  for (let step = first + 1; step < steps.length; step += 1)
    untilSeconds.push((originMs + step * forecastStepMs - state.nowMs) / 1_000);
  return { untilSeconds, rates: [now, ...steps.slice(first)] };
}

/**
 * What a node is expected to have free for more tasks, bytes, where `freeBytes` are so now: by the middle of what the device itself will take,
 * as if all that runs there stayed. Undefined where that is never less than now, without a forecast, or where the policy does not look ahead.
 */
export function memoryFreeAhead(state: PlannerState, node: NodeView, freeBytes: number): CapacityCurve | undefined {
  const { outlook } = node.series;
  if (!state.policy.looksAhead || outlook === undefined) return undefined;
  const { offeredMemoryBytes, memoryBytes } = node.status;
  const promisedBytes = Math.min(offeredMemoryBytes, memoryFreeNow(node)) - freeBytes;
  const { q50 } = ownMemoryOf(outlook);
  // As good as always.
  if (Math.min(offeredMemoryBytes, (1 - Math.max(...q50)) * memoryBytes) - promisedBytes >= freeBytes) return undefined;
  const free = q50.map((own) => Math.min(offeredMemoryBytes, (1 - own) * memoryBytes) - promisedBytes);
  return ahead(state, node, outlook, freeBytes, free);
}

/** How often a node is expected to leave, per second; 0 where nothing is forecast, or the policy does not look ahead. */
export function leavesPerSecondOf({ policy }: PlannerState, { leavesPerSecond }: NodeView): number {
  return policy.looksAhead ? (leavesPerSecond ?? 0) : 0;
}
