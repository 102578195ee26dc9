import {
  type CostTerms,
  type CostWeights,
  costWeightsDefault,
  type ExpectedCost,
  expectedCost,
} from '../placement/cost.ts';
import { refusalForGood } from '../placement/current-room.ts';
import { meanOf } from '../placement/expected-finish.ts';
import { type DeviceLoad, speedOf } from './device-load.ts';
import type {
  Assignment,
  Decision,
  Migratable,
  MonitoredDevice,
  Move,
  MoveKind,
  Obstacle,
  Overload,
  RepartitionOptions,
  Stay,
  Way,
} from './types.ts';

/** What holds wherever it would go: what depends on it as it runs, and that it moved but now. */
export function obstacleHere(
  { isEnding, isCopied, hasChannels, movedSeconds, hasStarted }: Assignment,
  { coolDownSeconds }: RepartitionOptions,
): Obstacle | undefined {
  if (isEnding === true) return 'ending';
  if (isCopied === true) return 'copied';
  if (hasStarted && hasChannels === true) return 'channels';
  return movedSeconds !== undefined && movedSeconds < coolDownSeconds ? 'cool-down' : undefined;
}

/**
 * Whether a sub-task can go to a device: nothing that runs depends on it where it is, the device may run it and has the memory now, and its
 * input would not be on the link for longer than the sub-task is expected to take where it is.
 *
 * @param staySeconds when it is expected to end where it is
 */
export function canMigrate(
  assignment: Assignment,
  device: MonitoredDevice,
  staySeconds: number,
  options: RepartitionOptions,
): Migratable {
  const why =
    obstacleHere(assignment, options) ??
    refusalForGood(assignment, device) ??
    (assignment.avoid.includes(device.device) ? 'failed-there' : undefined) ??
    (device.freeMemoryBytes < assignment.memoryBytes ? 'memory-now' : undefined) ??
    (assignment.inputBytes / device.bytesPerSecond >= staySeconds ? 'transfer' : undefined);
  return why === undefined ? { can: true } : { can: false, why };
}

/** What it would cost to take a sub-task to these devices, the cheapest first; devices that it cannot go to are left out. */
export function selectBestDevice(
  assignment: Assignment,
  from: MonitoredDevice,
  stay: ExpectedCost,
  idle: readonly DeviceLoad[],
  options: RepartitionOptions,
  weights: CostWeights = costWeightsDefault,
): Way[] {
  const able = idle.filter(
    ({ device }) =>
      device.device !== from.device && canMigrate(assignment, device, stay.terms.finishSeconds, options).can,
  );
  const goes = (kind: MoveKind) =>
    able.map(({ device }) => alternativeOf(kind, assignment, device, stay.terms, options, weights));
  const ways = assignment.hasStarted ? goes('restart') : goes('reassign');
  const { frozen } = assignment;
  if (assignment.hasStarted && frozen !== undefined && from.movesLive === true)
    for (const { device } of able)
      if (device.movesLive === true) ways.push(alternativeOf('live', assignment, device, stay.terms, options, weights));
  const parts =
    assignment.hasStarted && assignment.isDivisible === true ? resplit(ways, stay.terms, options, weights) : undefined;
  if (parts !== undefined) ways.push(parts);
  return ways.sort((a, b) => a.terms.total - b.terms.total || (a.to[0]!.device < b.to[0]!.device ? -1 : 1));
}

function alternativeOf(
  kind: MoveKind,
  assignment: Assignment,
  device: MonitoredDevice,
  stay: CostTerms,
  { moveSeconds }: RepartitionOptions,
  weights: CostWeights,
): Way {
  const { leftSeconds, elsewhereSeconds, inputBytes, frozen } = assignment;
  const isLive = kind === 'live';
  const speed = speedOf(device, assignment);
  const pauseSeconds = isLive ? frozen!.pauseSeconds : moveSeconds;
  const { terms } = expectedCost(
    {
      workSeconds: isLive ? leftSeconds : elsewhereSeconds,
      capacity: device.capacity,
      speed,
      startSeconds: pauseSeconds,
      inputBytes: isLive ? frozen!.bytes : inputBytes,
      bytesPerSecond: device.bytesPerSecond,
      leavesPerSecond: device.leavesPerSecond,
    },
    weights,
  );
  const againSeconds = isLive ? 0 : Math.max(0, meanOf(elsewhereSeconds) - meanOf(leftSeconds)) / speed;
  return {
    kind,
    to: [{ device: device.device, share: 1 }],
    terms,
    gainSeconds: gainOf(stay, terms),
    chargeSeconds: againSeconds + terms.transferSeconds + pauseSeconds,
  };
}

/** As parts on all devices that could take the whole, each as large as it would be fast with it, so that they end together. */
function resplit(
  whole: readonly Way[],
  stay: CostTerms,
  { resplitSeconds }: RepartitionOptions,
  weights: CostWeights,
): Way | undefined {
  const restarts = whole.filter(({ kind, terms }) => kind === 'restart' && Number.isFinite(terms.total));
  if (restarts.length < 2) return undefined;
  const rates = restarts.map(({ terms }) => 1 / terms.finishSeconds);
  const all = rates.reduce((sum, rate) => sum + rate, 0);
  const to = restarts.map((each, at) => ({ device: each.to[0]!.device, share: rates[at]! / all }));
  const mean = (of: (each: Way) => number) => restarts.reduce((sum, each, at) => sum + to[at]!.share * of(each), 0);
  const finishSeconds = 1 / all + resplitSeconds;
  const contentionSeconds = mean(({ terms }) => terms.contentionSeconds);
  const transferSeconds = mean(({ terms }) => terms.transferSeconds);
  const riskSeconds = mean(({ terms }) => terms.riskSeconds);
  const total =
    weights.makespan * finishSeconds +
    weights.contention * contentionSeconds +
    weights.transfer * transferSeconds +
    weights.risk * riskSeconds;
  const terms = { finishSeconds, contentionSeconds, transferSeconds, riskSeconds, total };
  const chargeSeconds = mean((each) => each.chargeSeconds) + resplitSeconds;
  return { kind: 'resplit', to, terms, gainSeconds: gainOf(stay, terms), chargeSeconds };
}

/** NaN where neither ever ends: that pays for nothing. */
function gainOf(stay: CostTerms, there: CostTerms): number {
  return stay.total - there.total;
}

/** Whether it gains more than it is charged, and enough more that a forecast that wavers does not take it back. */
export function pays(
  { gainSeconds, chargeSeconds, terms }: Way,
  { gainLeastSeconds, gainLeastShare }: RepartitionOptions,
): boolean {
  return gainSeconds > chargeSeconds + Math.max(gainLeastSeconds, gainLeastShare * terms.total);
}

/** The instruction to move a sub-task by the best of its alternatives, or, with the reason, to let it stay: nothing is done here. */
export function migrateSubtask(
  { task, device }: Assignment,
  overload: Overload,
  stay: ExpectedCost,
  alternatives: readonly Way[],
  options: RepartitionOptions,
  hindrance?: Obstacle | 'budget',
): Move | Stay {
  const [best] = alternatives;
  const decision: Decision = {
    task,
    from: device,
    overload,
    stay: stay.terms,
    alternatives: alternatives.slice(0, options.alternativesMost),
  };
  if (hindrance !== undefined) return { ...decision, why: hindrance };
  if (best === undefined) return { ...decision, why: 'no-device' };
  return pays(best, options) ? { ...decision, move: best } : { ...decision, why: 'would-not-pay' };
}
