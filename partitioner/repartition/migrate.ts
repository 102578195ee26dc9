import { costWeightsDefault, type ExpectedCost, expectedCost, withTotal } from '../placement/cost.ts';
import { refusalForGood } from '../placement/current-room.ts';
import { meanOf, type Quantiles } from '../placement/expected-finish.ts';
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
    (toFetch(assignment, device) / device.bytesPerSecond >= staySeconds ? 'transfer' : undefined);
  return why === undefined ? { can: true } : { can: false, why };
}

/** What it would cost to take a sub-task to these devices, the cheapest first; devices that it cannot go to are left out. */
export function selectBestDevice(
  assignment: Assignment,
  from: MonitoredDevice,
  stay: ExpectedCost,
  idle: readonly DeviceLoad[],
  options: RepartitionOptions,
): Way[] {
  const able = idle.filter(
    ({ device }) =>
      device.device !== from.device && canMigrate(assignment, device, stay.terms.finishSeconds, options).can,
  );
  const goes = (kind: MoveKind) => able.map(({ device }) => wayOf(kind, assignment, device, stay, options));
  const ways = assignment.hasStarted ? goes('restart') : goes('reassign');
  const { frozen } = assignment;
  if (assignment.hasStarted && frozen !== undefined && from.movesLive === true)
    for (const { device } of able)
      if (device.movesLive === true) ways.push(wayOf('live', assignment, device, stay, options));
  const parts =
    assignment.hasStarted && assignment.isDivisible === true
      ? resplit(ways, stay, options, assignment.weights)
      : undefined;
  if (parts !== undefined) ways.push(parts);
  return ways.sort(
    (a, b) => a.expected.terms.total - b.expected.terms.total || (a.to[0]!.device < b.to[0]!.device ? -1 : 1),
  );
}

/** What of its input the device does not have yet, bytes. */
function toFetch({ inputBytes, nearBytes }: Assignment, { device }: MonitoredDevice): number {
  return Math.max(0, inputBytes - (nearBytes?.get(device) ?? 0));
}

function wayOf(
  kind: MoveKind,
  assignment: Assignment,
  device: MonitoredDevice,
  stay: ExpectedCost,
  { moveSeconds }: RepartitionOptions,
): Way {
  const { leftSeconds, elsewhereSeconds, frozen, weights } = assignment;
  const isLive = kind === 'live';
  const speed = speedOf(device, assignment);
  const pauseSeconds = isLive ? frozen!.pauseSeconds : moveSeconds;
  const expected = expectedCost(
    {
      workSeconds: isLive ? leftSeconds : elsewhereSeconds,
      capacity: device.capacity,
      speed,
      startSeconds: pauseSeconds,
      inputBytes: isLive ? frozen!.bytes : toFetch(assignment, device),
      bytesPerSecond: device.bytesPerSecond,
      leavesPerSecond: device.leavesPerSecond,
    },
    weights,
  );
  const againSeconds = isLive ? 0 : Math.max(0, meanOf(elsewhereSeconds) - meanOf(leftSeconds)) / speed;
  return {
    kind,
    to: [{ device: device.device, share: 1 }],
    expected,
    gainSeconds: gainOf(stay, expected),
    chargeSeconds: againSeconds + expected.terms.transferSeconds + pauseSeconds,
  };
}

/** As parts on all devices that could take the whole, each as large as it would be fast with it, so that they end together. */
function resplit(
  whole: readonly Way[],
  stay: ExpectedCost,
  { resplitSeconds }: RepartitionOptions,
  weights = costWeightsDefault,
): Way | undefined {
  const restarts = whole.filter(({ kind, expected }) => kind === 'restart' && Number.isFinite(expected.terms.total));
  if (restarts.length < 2) return undefined;
  const sum = (of: (each: Way, at: number) => number) => restarts.reduce((all, each, at) => all + of(each, at), 0);
  const rates = sum(({ expected }) => 1 / expected.terms.finishSeconds);
  const to = restarts.map((each) => ({
    device: each.to[0]!.device,
    share: 1 / each.expected.terms.finishSeconds / rates,
  }));
  const mean = (of: (each: Way) => number) => sum((each, at) => to[at]!.share * of(each));
  const together = (quantile: keyof Quantiles) =>
    1 / sum(({ expected }) => 1 / expected.finish[quantile]) + resplitSeconds;
  const terms = {
    finishSeconds: 1 / rates + resplitSeconds,
    contentionSeconds: mean(({ expected }) => expected.terms.contentionSeconds),
    transferSeconds: mean(({ expected }) => expected.terms.transferSeconds),
    riskSeconds: mean(({ expected }) => expected.terms.riskSeconds),
  };
  const expected: ExpectedCost = {
    terms: withTotal(terms, weights),
    finish: { q10: together('q10'), q50: together('q50'), q90: together('q90') },
    startSeconds: mean((each) => each.expected.startSeconds) + resplitSeconds,
  };
  const chargeSeconds = mean((each) => each.chargeSeconds) + resplitSeconds;
  return { kind: 'resplit', to, expected, gainSeconds: gainOf(stay, expected), chargeSeconds };
}

/** NaN where neither ever ends: that pays for nothing. */
function gainOf(stay: ExpectedCost, there: ExpectedCost): number {
  return stay.terms.total - there.terms.total;
}

/** Whether it gains more than it is charged, and enough more that a forecast that wavers does not take it back. */
export function pays(
  { gainSeconds, chargeSeconds, expected }: Way,
  { gainLeastSeconds, gainLeastShare }: RepartitionOptions,
): boolean {
  return gainSeconds > chargeSeconds + Math.max(gainLeastSeconds, gainLeastShare * expected.terms.total);
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
    stay,
    alternatives: alternatives.slice(0, options.alternativesMost),
  };
  if (hindrance !== undefined) return { ...decision, why: hindrance };
  if (best === undefined) return { ...decision, why: 'no-device' };
  return pays(best, options) ? { ...decision, move: best } : { ...decision, why: 'would-not-pay' };
}
