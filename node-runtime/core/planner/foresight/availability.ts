import type { QuantileCurves } from '@foremesh/models';
import type { Quantiles } from '@foremesh/partitioner';
import type { ForecastBands } from '../../../contract/index.ts';
import type { LedgerJob } from '../../ledger.ts';
import { leftByProgressMs } from '../left.ts';
import { bySaid, workByEstimate, workSecondsOf } from '../profiles.ts';
import type { AttemptView, NodeView, PlannerState, TaskView } from '../state.ts';
import type { Outlook } from './node-series.ts';
import { givenBackMs, slotsMost, slotsWithin } from './offers.ts';
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

/** What a step has for the mesh: the slots that are offered during all of it, and what is promised of them. */
interface StepOffer {
  readonly slots: number;
  readonly taken: Taken;
}

/** When one attempt takes a slot of its node, by the leader's clock. */
interface Occupation {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly memoryBytes: number;
}

/**
 * What is left to the mesh, step by step: `cpu` in shares of all cores, `memory` in bytes. Where little is left is where the device
 * needs much: the 0.1 quantile of the one is made from the 0.9 quantile of the other. In a step of which the owner gives a part alone there is nothing.
 */
export function availableOf(
  state: PlannerState,
  node: NodeView,
  { originMs, curves }: Outlook,
): { readonly cpu: QuantileCurves; readonly memory: QuantileCurves } {
  const { status } = node;
  const { forecastStepMs: intervalMs } = state.config;
  const offers = offersOf(state, node, originMs, curves[cpu]!.q50.length);
  const turned = (own: QuantileCurves, left: (own: number, offer: StepOffer) => number): QuantileCurves => ({
    intervalMs,
    q10: own.q90.map((value, step) => left(value, offers[step]!)),
    q50: own.q50.map((value, step) => left(value, offers[step]!)),
    q90: own.q10.map((value, step) => left(value, offers[step]!)),
  });
  return {
    cpu: turned(curves[cpu]!, (own, { slots, taken }) => {
      const free = slots === 0 ? 0 : Math.max(0, Math.min(status.share, 1 - own));
      // An attempt takes a core at most, and slots share what there is.
      return free - taken.slots * Math.min(1 / status.cores, free / Math.max(1, slots));
    }),
    memory: turned(curves[memory]!, (own, { slots, taken }) => {
      const free = slots === 0 ? 0 : Math.min(status.offeredMemoryBytes, (1 - own) * status.memoryBytes);
      return Math.max(0, free - taken.memoryBytes);
    }),
  };
}

/** What each step of a forecast has for the mesh. */
function offersOf(state: PlannerState, node: NodeView, originMs: number, steps: number): StepOffer[] {
  const { forecastStepMs: intervalMs } = state.config;
  const promised = promisedOf(state, node);
  return Array.from({ length: steps }, (_, step) => {
    const fromMs = originMs + step * intervalMs;
    return {
      slots: slotsWithin(node, fromMs, fromMs + intervalMs),
      taken: takenOf(promised, fromMs + intervalMs / 2),
    };
  });
}

/**
 * What the attempts of a node will take, and how long: those that run first, each that waits once a slot is free. In the middle; or as if all were
 * as fast (`q10`), or as slow (`q90`), as one of them is once in ten times: they are mostly alike, so they are so together.
 */
export function promisedOf(state: PlannerState, node: NodeView, level: keyof Quantiles = 'q50'): readonly Occupation[] {
  return occupy(state, node, slotsMost(node), () => undefined, level).occupations;
}

/** What an attempt takes in all, milliseconds, where somebody knows better than its stage's mean. */
type TakesMs = (attempt: AttemptView) => number | undefined;

/** When each slot of a node is free of what runs and waits there, seconds from now; Infinity: nobody knows. */
export function slotsFreeSeconds(state: PlannerState, node: NodeView, takesMs?: TakesMs): number[] {
  return occupy(state, node, node.status.slots, takesMs).freeAtMs.map((atMs) => (atMs - state.nowMs) / 1_000);
}

function occupy(
  state: PlannerState,
  node: NodeView,
  slots: number,
  takesMs: TakesMs = () => undefined,
  level: keyof Quantiles = 'q50',
) {
  const occupations: Occupation[] = [];
  const endMs = givenBackMs(node);
  const freeAtMs = Array.from({ length: slots }, () => state.nowMs);
  for (const attempt of node.attempts) {
    const slot = freeAtMs.indexOf(Math.min(...freeAtMs));
    if (slot < 0) break;
    const fromMs = freeAtMs[slot]!;
    const ranMs = fromMs === state.nowMs ? state.nowMs - (attempt.startedMs ?? attempt.assignedMs) : 0;
    const untilMs = Math.min(endMs, fromMs + leftMs(state, attempt, ranMs, takesMs(attempt), level));
    freeAtMs[slot] = untilMs;
    occupations.push({ fromMs, untilMs, memoryBytes: attempt.task.stage.plan.limits.memoryBytes });
  }
  return { occupations, freeAtMs };
}

/**
 * What an attempt still takes that has run for so long: as `jobs` reckons where it says how far it is; without anything to go by, for ever. Of one that
 * takes longer than others did nobody knows better than that it is as far from its end as it is late; once in ten times it is a ninth of that, or
 * nine times (Gott, Implications of the Copernican principle for our future prospects, 1993).
 */
function leftMs(
  state: PlannerState,
  attempt: AttemptView,
  ranMs: number,
  takesMs: number | undefined,
  level: keyof Quantiles,
): number {
  const { ledger } = state;
  const { task, expected } = attempt;
  const expectedMs = expected && (expected.finish.q50 - expected.startSeconds) * 1_000;
  const othersMs = takesMs ?? (task.stage.meanWallMs === undefined ? undefined : (expectedMs ?? task.stage.meanWallMs));
  const byProgressMs = leftByProgressMs(state, attempt, othersMs);
  if (byProgressMs !== undefined) return byProgressMs * spreadOf(state, attempt, level);
  const wallMs = takesMs ?? expectedMs ?? task.stage.meanWallMs ?? byAuthorMs(ledger.jobs.get(task.job.key)!, task);
  if (wallMs === undefined) return Number.POSITIVE_INFINITY;
  const middleMs = Math.max(wallMs - ranMs, ranMs - wallMs, wallMs / 10);
  if (level === 'q50' || middleMs === Number.POSITIVE_INFINITY) return middleMs;
  const leastMs = level === 'q10' ? middleMs / lateBy : ranMs > wallMs ? middleMs * lateBy : middleMs;
  return Math.max(wallMs * spreadOf(state, attempt, level) - ranMs, leastMs);
}
const lateBy = 9;

/** How much longer (`q90`) or shorter (`q10`) than in the middle an attempt takes in all, once in ten times: a factor. */
function spreadOf(state: PlannerState, { task, expected }: AttemptView, level: keyof Quantiles): number {
  if (expected !== undefined && Number.isFinite(expected.finish.q50)) {
    const { finish, startSeconds } = expected;
    return (finish[level] - startSeconds) / (finish.q50 - startSeconds);
  }
  const work = workSecondsOf(state, task) ?? bySaid(1);
  return work[level] / work.q50;
}

function byAuthorMs(job: LedgerJob, { ledger }: TaskView): number | undefined {
  const work = workByEstimate(job, ledger);
  return work && work.q50 * 1_000;
}

/** What they take at one moment of the leader's clock. */
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
  const { q50 } = ownCpuOf(state, node, outlook);
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

/** The same as it is forecast; while the owner gives nothing the device counts as taking all. */
export function ownCpuOf(state: PlannerState, node: NodeView, { originMs, curves }: Outlook): QuantileCurves {
  const own = curves[cpu]!;
  if ((node.offersAhead?.changes.length ?? 0) === 0) return own;
  const { forecastStepMs: intervalMs } = state.config;
  const isWithheld = own.q50.map((_, step) => {
    const fromMs = originMs + step * intervalMs;
    return slotsWithin(node, fromMs, fromMs + intervalMs) === 0;
  });
  const taken = (curve: readonly number[]) => curve.map((share, step) => (isWithheld[step] ? 1 : share));
  return { intervalMs, q10: taken(own.q10), q50: taken(own.q50), q90: taken(own.q90) };
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
