import type { AttemptView, PlannerState } from './state.ts';

/** Below this what an attempt says of its progress tells little of how long it will take. */
export const progressLeast = 0.02;

/**
 * What an attempt that runs takes in all when it goes on as it does, milliseconds; what it was resumed from counts in. Undefined while it says too
 * little of its progress.
 */
export function projectedMs(
  { nowMs }: PlannerState,
  { startedMs, progress, resumed, task }: AttemptView,
): number | undefined {
  if (startedMs === undefined || progress <= progressLeast) return undefined;
  const beforeMs = resumed === undefined ? 0 : (task.savedSeconds ?? 0) * 1_000;
  return (nowMs - startedMs + beforeMs) / progress;
}

/**
 * What an attempt still takes, by how far it says it is: of what others of its stage took in all (`othersMs`), or, where there are none yet or it takes
 * longer than they did, of what it will take when it goes on as it does. Undefined when it says nothing.
 */
export function leftByProgressMs(
  state: PlannerState,
  attempt: AttemptView,
  othersMs: number | undefined,
): number | undefined {
  const ownMs = projectedMs(state, attempt);
  if (ownMs === undefined) return undefined;
  const { progress, startedMs } = attempt;
  const isLate = othersMs === undefined || state.nowMs - startedMs! > othersMs;
  return (1 - progress) * (isLate ? ownMs : othersMs);
}
