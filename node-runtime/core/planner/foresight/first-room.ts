import type { Quantiles } from '@foremesh/partitioner';
import type { FirstRoom } from '../../../contract/index.ts';
import type { NodeView, PlannerState } from '../state.ts';
import { memoryFreeNow, ownMemoryOf, promisedOf, takenOf } from './availability.ts';
import type { Outlook } from './node-series.ts';
import { slotsMost, slotsWithin } from './offers.ts';

interface Room {
  readonly afterMs: number;
  readonly memoryBytes: number;
}

/**
 * When a node that has no room now first has a free slot and so much memory, by the forecast of what the device takes itself, and by what the tasks in
 * its slots usually take: in the middle, and at best and at worst with a probability of one in ten each. The quantiles are those of the steps, and of
 * the tasks as if all were fast, or slow, together; a task that only has to find room once will rather find it earlier. Undefined without a forecast.
 */
export function firstRoomOf(state: PlannerState, node: NodeView, memoryBytes: number): FirstRoom | undefined {
  const { outlook } = node.series;
  if (outlook === undefined || slotsMost(node) === 0) return undefined;
  const [earliest, middle, latest] = (['q10', 'q50', 'q90'] as const).map((level) =>
    roomAt(state, node, outlook, memoryBytes, level),
  );
  const endMs = outlook.originMs + ownMemoryOf(outlook).q50.length * state.config.forecastStepMs;
  return {
    horizonMs: Math.max(0, Math.round(endMs - state.nowMs)),
    ...(earliest === undefined ? {} : { earliestMs: earliest.afterMs }),
    ...(middle === undefined ? {} : middle),
    ...(latest === undefined ? {} : { latestMs: latest.afterMs }),
  };
}

/** Where the device and its tasks take as much as they do at this level. */
function roomAt(
  state: PlannerState,
  node: NodeView,
  outlook: Outlook,
  neededBytes: number,
  level: keyof Quantiles,
): Room | undefined {
  const { nowMs, config } = state;
  const { originMs } = outlook;
  const own = ownMemoryOf(outlook)[level];
  const promised = promisedOf(state, node, level);
  const { memoryBytes, offeredMemoryBytes } = node.status;
  const startOf = (step: number) => originMs + step * config.forecastStepMs;
  const stepAt = (ms: number) => Math.floor((ms - originMs) / config.forecastStepMs);
  // It changes with the steps, and when a task ends.
  const moments = own.map((_, step) => ({ atMs: startOf(step), step }));
  for (const { untilMs } of promised) moments.push({ atMs: untilMs, step: stepAt(untilMs) });
  for (const { atMs, step } of moments.sort((a, b) => a.atMs - b.atMs)) {
    if (atMs <= nowMs || step >= own.length) continue;
    const taken = takenOf(promised, atMs);
    // What is now was measured, and is not a matter of forecasts.
    const freeBytes = startOf(step) <= nowMs ? memoryFreeNow(node) : (1 - own[step]!) * memoryBytes;
    const leftBytes = Math.min(offeredMemoryBytes, freeBytes) - taken.memoryBytes;
    if (leftBytes >= neededBytes && taken.slots < slotsWithin(node, atMs, startOf(step + 1)))
      return { afterMs: Math.round(atMs - nowMs), memoryBytes: Math.round(leftBytes) };
  }
  return undefined;
}
