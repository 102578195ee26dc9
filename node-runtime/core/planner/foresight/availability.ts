import type { QuantileCurves } from '@foremesh/models';
import type { ForecastBands } from '../../../contract/index.ts';
import type { AttemptView, NodeView, PlannerState, StageView, TaskView } from '../state.ts';
import type { Outlook } from './node-series.ts';
import { resources } from './steps.ts';

const cpu = resources.indexOf('cpu');
const memory = resources.indexOf('memory');
/** What the device itself may take as long as it has told nothing. */
const unknownShare = 0.5;

/** What attempts take at one moment. */
interface Taken {
  readonly slots: number;
  readonly memoryBytes: number;
}

/** When one attempt takes a slot of its node, by the leader's clock. */
interface Occupation {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly memoryBytes: number;
}

/**
 * What is left to the mesh, step by step: `cpu` in shares of all cores, `memory` in bytes. Where little is left is where the device
 * needs much: the 0.1 quantile of the one is made from the 0.9 quantile of the other.
 */
export function availableOf(
  state: PlannerState,
  node: NodeView,
  { originMs, curves }: Outlook,
): { readonly cpu: QuantileCurves; readonly memory: QuantileCurves } {
  const { status } = node;
  const { forecastStepMs: intervalMs } = state.config;
  const promised = promisedOf(state, node);
  const takenAt = (step: number) => takenOf(promised, originMs + (step + 0.5) * intervalMs);
  const taken = curves[cpu]!.q50.map((_, step) => takenAt(step));
  const turned = (own: QuantileCurves, left: (own: number, taken: Taken) => number): QuantileCurves => ({
    intervalMs,
    q10: own.q90.map((value, step) => left(value, taken[step]!)),
    q50: own.q50.map((value, step) => left(value, taken[step]!)),
    q90: own.q10.map((value, step) => left(value, taken[step]!)),
  });
  const isWithheld = status.slots === 0;
  return {
    cpu: turned(curves[cpu]!, (own, { slots }) => {
      const free = isWithheld ? 0 : Math.max(0, Math.min(status.share, 1 - own));
      // An attempt takes a core at most, and slots share what there is.
      return free - slots * Math.min(1 / status.cores, free / Math.max(1, status.slots));
    }),
    memory: turned(curves[memory]!, (own, { memoryBytes }) => {
      const free = isWithheld ? 0 : Math.min(status.offeredMemoryBytes, (1 - own) * status.memoryBytes);
      return Math.max(0, free - memoryBytes);
    }),
  };
}

/** What the attempts of a node will take, and how long: those that run first, each that waits once a slot is free. */
export function promisedOf(state: PlannerState, node: NodeView): readonly Occupation[] {
  return occupy(state, node).occupations;
}

/** When each slot of a node is free of what runs and waits there, seconds from now; Infinity: nobody knows. */
export function slotsFreeSeconds(state: PlannerState, node: NodeView): number[] {
  return occupy(state, node).freeAtMs.map((atMs) => (atMs - state.nowMs) / 1_000);
}

function occupy(state: PlannerState, node: NodeView) {
  const occupations: Occupation[] = [];
  const freeAtMs = Array.from({ length: node.status.slots }, () => state.nowMs);
  for (const attempt of node.attempts) {
    const slot = freeAtMs.indexOf(Math.min(...freeAtMs));
    if (slot < 0) break;
    const fromMs = freeAtMs[slot]!;
    const isFirst = fromMs === state.nowMs;
    const untilMs = fromMs + leftMs(attempt, isFirst ? state.nowMs - (attempt.startedMs ?? attempt.assignedMs) : 0);
    freeAtMs[slot] = untilMs;
    occupations.push({ fromMs, untilMs, memoryBytes: attempt.task.stage.plan.limits.memoryBytes });
  }
  return { occupations, freeAtMs };
}

/** What an attempt still takes that has run for so long; without anything to go by, for ever. */
function leftMs({ task: { stage, job }, expected }: AttemptView, ranMs: number): number {
  const expectedMs = expected && (expected.finish.q50 - expected.startSeconds) * 1_000;
  const wallMs = expectedMs ?? stage.meanWallMs ?? estimatedWallMs(stage, job);
  if (wallMs === undefined) return Number.POSITIVE_INFINITY;
  // One that takes longer than others did will go on for a while, nobody knows how long.
  return Math.max(wallMs - ranMs, wallMs / 10);
}

/** By its author's estimate. */
function estimatedWallMs({ plan, records }: StageView, job: TaskView['job']): number | undefined {
  if (plan.estimateSeconds === undefined) return undefined;
  let parts = 0;
  let cut = 0;
  for (const { stage, ledger } of job.tasks.values()) {
    if (stage.plan !== plan || ledger.merges) continue;
    parts += 1;
    cut += ledger.range?.records ?? 0;
  }
  const cutShare = records === undefined ? 1 : cut / records.index.totalRecords;
  return (plan.estimateSeconds * 1000 * cutShare) / Math.max(1, parts);
}

export function takenOf(promised: readonly Occupation[], atMs: number): Taken {
  let slots = 0;
  let memoryBytes = 0;
  for (const each of promised) {
    if (each.fromMs > atMs || atMs >= each.untilMs) continue;
    slots += 1;
    memoryBytes += each.memoryBytes;
  }
  return { slots, memoryBytes };
}

/** Curves as they are published: scaled, and with no more digits than they are worth; shares with four behind the point. */
export function bandsOf({ q10, q50, q90 }: QuantileCurves, unit: number, isShare: boolean): ForecastBands {
  const shown = (value: number) => {
    const scaled = Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, value * unit));
    return isShare ? Math.round(scaled * 10_000) / 10_000 : Math.round(scaled);
  };
  return { q10: q10.map(shown), q50: q50.map(shown), q90: q90.map(shown) };
}

/**
 * The share of its cores that the device itself is expected to take during the next `forMs`: what it takes now where that is
 * shorter than a step, else, the more so the longer it is, the mean of what is forecast.
 */
export function ownCpuAhead(state: PlannerState, node: NodeView, forMs: number): number {
  const { outlook } = node.series;
  const now = currentCpu(node);
  if (outlook === undefined || !state.policy.looksAhead) return now;
  const { forecastStepMs } = state.config;
  const { q50 } = ownCpuOf(outlook);
  const first = Math.min(q50.length - 1, Math.max(0, Math.floor((state.nowMs - outlook.originMs) / forecastStepMs)));
  const many = Math.min(q50.length - first, Math.max(1, Math.round(forMs / forecastStepMs)));
  let sum = 0;
  for (let step = first; step < first + many; step += 1) sum += q50[step]!;
  const weight = Math.min(1, forMs / forecastStepMs);
  return (1 - weight) * now + (weight * sum) / many;
}

/** The share of its cores that the device itself takes, as it was measured last. */
export function currentCpu({ latest }: NodeView): number {
  return latest?.cpuBackgroundShare ?? unknownShare;
}

/** The same as it is forecast. */
export function ownCpuOf({ curves }: Outlook): QuantileCurves {
  return curves[cpu]!;
}

/** The share of its memory that the device itself is expected to take. */
export function ownMemoryOf({ curves }: Outlook): QuantileCurves {
  return curves[memory]!;
}

/** What of its memory the device does not take itself, now: what its last sample says. */
export function memoryFreeNow({ status, latest }: NodeView): number {
  if (latest === undefined) return status.memoryBytes;
  return latest.memoryAvailableBytes + latest.memoryMeshBytes;
}
