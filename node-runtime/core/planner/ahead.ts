import type {
  Alternative,
  CostWishes,
  Device,
  ForeseenDevice,
  ForeseenTask,
  PlaceableTask,
} from '@foremesh/partitioner';
import { type LedgerJob, wishedConfidence } from '../ledger.ts';
import { capacityOf, leavesPerSecondOf, memoryFreeAhead, slotsFreeSeconds } from './foresight/index.ts';
import { linkBytesPerSecond, type NeededBlobs, nearBytes } from './near.ts';
import { type WorkSeconds, workSecondsOf } from './profiles.ts';
import type { NodeView, PlannerState, TaskView } from './state.ts';

/** Tasks shorter than that are over before any forecast is about them: they go by what is free now. */
const foreseenSecondsLeast = 1;
/** A task believes what it is told of when there is better this much longer than it was told, at least so long; from then on that it will take as long again. */
const patience = 2;
const patienceLeastMs = 2_000;
/** Waits within a fifth of each other count as equal: steps of the logarithm by base 2. */
const waitSteps = 4;
/** Tasks that wait for better at once, in one look at the nodes. */
export const waitingMost = 64;

/** What nodes are expected to give, as one dispatch plans with it: the slots as they are planned so far, the rest as it is now. */
export type PlannedNodes = Map<
  string,
  Pick<ForeseenDevice, 'capacity' | 'leavesPerSecond' | 'bytesPerSecond' | 'slotsFreeSeconds'>
>;

/** What the task takes, where that is worth looking ahead for: known, and not too short. */
export function foreseenWork(state: PlannerState, task: TaskView): WorkSeconds | undefined {
  const { meanWallMs } = task.stage;
  if (meanWallMs !== undefined && meanWallMs < foreseenSecondsLeast * 1_000) return undefined;
  const work = workSecondsOf(state, task);
  return work === undefined || work.q50 < foreseenSecondsLeast ? undefined : work;
}

/**
 * The devices as they are expected to be; `needed` are the blobs of a task of the group. Many times a second of each node of a mesh: written out, for an
 * object that is made of another by spreading costs ten times as much.
 */
export function foreseenDevices(
  state: PlannerState,
  devices: readonly Device[],
  needed: NeededBlobs,
  planned: PlannedNodes,
): ForeseenDevice[] {
  return devices.map((device) => {
    const node = state.nodes.get(device.device)!;
    const { capacity, leavesPerSecond, bytesPerSecond, slotsFreeSeconds } = plannedOf(state, node, planned);
    return {
      device: device.device,
      engines: device.engines,
      labels: device.labels,
      trusts: device.trusts,
      onlyLabels: device.onlyLabels,
      isWithheld: device.isWithheld,
      isNear: device.isNear,
      speed: device.speed,
      coreShare: device.coreShare,
      freeSlots: device.freeSlots,
      freeQueue: device.freeQueue,
      freeMemoryBytes: device.freeMemoryBytes,
      offeredMemoryBytes: device.offeredMemoryBytes,
      memoryFree: memoryFreeAhead(state, node, device.freeMemoryBytes),
      nearBytes: nearBytes(state, node, needed),
      capacity,
      leavesPerSecond,
      bytesPerSecond,
      slotsFreeSeconds,
    };
  });
}

function plannedOf(state: PlannerState, node: NodeView, planned: PlannedNodes) {
  const known = planned.get(node.status.node);
  if (known !== undefined) return known;
  const made = { ...expectedOf(state, node), slotsFreeSeconds: slotsFreeSeconds(state, node) };
  planned.set(node.status.node, made);
  return made;
}

/** What a cost is reckoned with, of a node: what a slot will give, how often it leaves, what its link carries. */
export function expectedOf(
  state: PlannerState,
  node: NodeView,
): Pick<ForeseenDevice, 'capacity' | 'leavesPerSecond' | 'bytesPerSecond'> {
  return {
    capacity: capacityOf(state, node),
    leavesPerSecond: leavesPerSecondOf(state, node),
    bytesPerSecond: linkBytesPerSecond(node),
  };
}

/** `work` is what the task takes unless its input says otherwise. */
export function foreseenTask(
  state: PlannerState,
  task: TaskView,
  placeable: PlaceableTask,
  work: WorkSeconds,
  { totalBytes }: NeededBlobs,
): ForeseenTask {
  return {
    task: placeable.task,
    engine: placeable.engine,
    labels: placeable.labels,
    memoryBytes: placeable.memoryBytes,
    avoid: placeable.avoid,
    needsTrust: placeable.needsTrust,
    workSeconds: workSecondsOf(state, task) ?? work,
    inputBytes: totalBytes,
    // While there are records for all, whoever is free takes some: later pieces even out what it is slower.
    mayWait: !state.cutting.has(task.stage),
    overdueSeconds: isOverdue(state, task) ? rounded((state.nowMs - task.held!.sinceMs) / 1_000) : 0,
  };
}

function rounded(seconds: number): number {
  return 2 ** (Math.round(Math.log2(seconds) * waitSteps) / waitSteps);
}

/** It has waited for better longer than it was told. */
export function isOverdue({ nowMs }: PlannerState, { held }: TaskView): boolean {
  return held !== undefined && nowMs >= held.untilMs;
}

/** It could start now, and rather waits: for that, or, should nobody know when there is room, as long as it would take. How long it was told is told once. */
export function hold(state: PlannerState, task: TaskView, work: WorkSeconds, waitsFor: Alternative | undefined): void {
  const seconds = waitsFor?.expected.startSeconds ?? work.q50;
  const { sinceMs = state.nowMs, untilMs = state.nowMs + Math.max(patienceLeastMs, seconds * 1_000 * patience) } =
    task.held ?? {};
  task.held = { sinceMs, untilMs, ...(waitsFor === undefined ? {} : { waitsFor }) };
  state.moves.awaiting.add(task);
}

/** How much each term of a placement's cost counts for a job, and, if it has a deadline, how sure it wants to be of when tasks end. */
export function weightsOf({ policy }: PlannerState, job: LedgerJob): CostWishes {
  const { weights = policy.weights } = job.plan;
  const confidence = wishedConfidence(job);
  return confidence === undefined ? weights : { ...weights, confidence };
}
