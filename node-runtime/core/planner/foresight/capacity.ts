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
  const { outlook } = node.series;
  if (!state.policy.looksAhead || outlook === undefined) {
    const perSlot = perSlotOf(node);
    const flat: CapacityCurve = { untilSeconds: [], rates: [perSlot(currentCpu(node))] };
    return { q10: flat, q50: flat, q90: flat, demand: perSlot(0) };
  }
  const at = positionOf(state, node, outlook);
  const { q10, q50, q90, demand } = ratesOf(state, node, outlook, at.first);
  const untilSeconds = untilSecondsOf(state, outlook, at);
  const curve = (rates: readonly number[]) => ({ untilSeconds, rates });
  return { q10: curve(q10), q50: curve(q50), q90: curve(q90), demand };
}

/** What a slot of a node gives while the device itself takes so much. */
function perSlotOf({ status: { share, cores, slots } }: NodeView): (own: number) => number {
  return (own) => Math.min(1, (Math.max(shareLeast, Math.min(share, 1 - own)) * cores) / Math.max(1, slots));
}

/** What a slot of a node gives, phase by phase, and what that was made from: until any of it changes it is not made again. */
export interface SlotRates {
  readonly of: readonly unknown[];
  readonly q10: readonly number[];
  readonly q50: readonly number[];
  readonly q90: readonly number[];
  readonly demand: number;
  /** The most that the device itself takes of its memory in any step. */
  readonly ownMemoryMost: number;
}

function ratesOf(state: PlannerState, node: NodeView, outlook: Outlook, first: number): SlotRates {
  const of = [outlook, node.status, node.latest, node.offersAhead, first];
  const { rates: known } = node;
  if (known !== undefined && of.every((each, index) => each === known.of[index])) return known;
  const perSlot = perSlotOf(node);
  const now = perSlot(currentCpu(node));
  const { q10, q50, q90 } = ownCpuOf(state, node, outlook);
  // Where the device needs much, little is left.
  const rates = (own: readonly number[]) => [now, ...own.slice(first).map(perSlot)];
  const ownMemoryMost = Math.max(...ownMemoryOf(outlook).q50);
  node.rates = { of, q10: rates(q90), q50: rates(q50), q90: rates(q10), demand: perSlot(0), ownMemoryMost };
  return node.rates;
}

/** Where we are in a forecast: until when what was measured holds, and which of its steps comes then. */
function positionOf({ config, nowMs }: PlannerState, { latestMs }: NodeView, { originMs, curves }: Outlook) {
  const { forecastStepMs } = config;
  const measuredUntilMs = Math.max(nowMs, latestMs + forecastStepMs * measuredShare);
  const last = curves[0]!.q50.length - 1;
  const first = Math.min(last, Math.max(0, Math.floor((measuredUntilMs - originMs) / forecastStepMs)));
  return { measuredUntilMs, first };
}

/** When each phase but the last ends, seconds from now: what was measured, then the steps that are forecast. */
function untilSecondsOf(
  { config, nowMs }: PlannerState,
  { originMs, curves }: Outlook,
  { measuredUntilMs, first }: ReturnType<typeof positionOf>,
): number[] {
  const untilSeconds = [(measuredUntilMs - nowMs) / 1_000];
  for (let step = first + 1; step < curves[0]!.q50.length; step += 1)
    untilSeconds.push((originMs + step * config.forecastStepMs - nowMs) / 1_000);
  return untilSeconds;
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
  const freeAt = (own: number) => Math.min(offeredMemoryBytes, (1 - own) * memoryBytes) - promisedBytes;
  const at = positionOf(state, node, outlook);
  // As good as always.
  if (freeAt(ratesOf(state, node, outlook, at.first).ownMemoryMost) >= freeBytes) return undefined;
  const rates = [freeBytes, ...ownMemoryOf(outlook).q50.slice(at.first).map(freeAt)];
  return { untilSeconds: untilSecondsOf(state, outlook, at), rates };
}

/** How often a node is expected to leave, per second; 0 where nothing is forecast, or the policy does not look ahead. */
export function leavesPerSecondOf({ policy }: PlannerState, { leavesPerSecond }: NodeView): number {
  return policy.looksAhead ? (leavesPerSecond ?? 0) : 0;
}
