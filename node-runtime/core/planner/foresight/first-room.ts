import type { FirstRoom } from '../../../contract/index.ts';
import type { NodeView, PlannerState } from '../state.ts';
import { availableOf, offersOf } from './availability.ts';
import { slotsMost } from './offers.ts';

/**
 * When a node that has no room now first has a free slot and so much memory, by the forecast: in the middle, and at best and at worst with a probability
 * of one in ten each. The quantiles are those of the steps; a task that only has to find room once will rather find it earlier.
 * Undefined without a forecast.
 */
export function firstRoomOf(state: PlannerState, node: NodeView, memoryBytes: number): FirstRoom | undefined {
  const { outlook } = node.series;
  if (outlook === undefined || slotsMost(node) === 0) return undefined;
  const { memory } = availableOf(state, node, outlook);
  const { forecastStepMs } = state.config;
  const startMs = (step: number) => Math.max(0, Math.round(outlook.originMs + step * forecastStepMs - state.nowMs));
  // Slots are free by what the tasks in them usually take, whatever the device does.
  const hasSlot = offersOf(state, node, outlook.originMs, memory.q50.length).map(
    ({ slots, taken }) => taken.slots < slots,
  );
  // What is now was measured, and is not a matter of forecasts.
  const isAhead = (step: number) => outlook.originMs + step * forecastStepMs > state.nowMs;
  const first = (curve: readonly number[]) =>
    curve.findIndex((bytes, step) => isAhead(step) && hasSlot[step] && bytes >= memoryBytes);
  const [earliest, middle, latest] = [memory.q90, memory.q50, memory.q10].map(first) as [number, number, number];
  return {
    horizonMs: startMs(memory.q50.length),
    ...(earliest < 0 ? {} : { earliestMs: startMs(earliest) }),
    ...(middle < 0 ? {} : { afterMs: startMs(middle), memoryBytes: Math.round(memory.q50[middle]!) }),
    ...(latest < 0 ? {} : { latestMs: startMs(latest) }),
  };
}
