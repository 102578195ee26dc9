import { type DeviceLoad, loadOf } from './device-load.ts';
import {
  type Assignment,
  type MonitoredDevice,
  type Overload,
  type RepartitionOptions,
  type ResourceMonitorData,
  repartitionDefaults,
} from './types.ts';

/** What is predicted to take less is never late by a share of that. */
const predictedLeastSeconds = 1;

/**
 * Devices that have too much of their work, now or by the forecast, those with the latest sub-task first: that give it less than they could before it is expected
 * to end, by more than `driftMost`; of which a sub-task is expected to end later than was predicted, by more than `driftMost` of what it was
 * predicted to take; or on which work waits longer than `waitMostSeconds` for a slot.
 */
export function findOverloadedDevices(
  { devices }: ResourceMonitorData,
  currentAssignments: readonly Assignment[],
  options: RepartitionOptions = repartitionDefaults,
): Overload[] {
  return overloadsOf(loadsOf(devices, currentAssignments), options);
}

export function overloadsOf(loads: readonly DeviceLoad[], options: RepartitionOptions): Overload[] {
  const overloads = loads.flatMap((load) => overloadOf(load, options) ?? []);
  return overloads.sort((a, b) => b.driftShare - a.driftShare || (a.device < b.device ? -1 : 1));
}

/**
 * Devices with a slot that nothing runs in and nothing waits for, those that give most first: by the mean of what a slot is forecast to give, from now on
 * for as long as the forecast says anything. Whether that is enough for a sub-task is a matter of its cost there.
 */
export function findUnderutilizedDevices(
  { devices }: ResourceMonitorData,
  currentAssignments: readonly Assignment[],
  options: RepartitionOptions = repartitionDefaults,
): MonitoredDevice[] {
  const loads = loadsOf(devices, currentAssignments);
  const overloaded = new Set(overloadsOf(loads, options).map(({ device }) => device));
  return idleOf(loads, overloaded).map(({ device }) => device);
}

export function idleOf(loads: readonly DeviceLoad[], overloaded: ReadonlySet<string>): DeviceLoad[] {
  const given = new Map(loads.map((load) => [load, meanRate(load.device)]));
  return loads
    .filter(({ device, freeAtSeconds }) => {
      return (
        device.isWithheld !== true && device.freeSlots > 0 && freeAtSeconds[0] === 0 && !overloaded.has(device.device)
      );
    })
    .sort((a, b) => given.get(b)! - given.get(a)! || (a.device.device < b.device.device ? -1 : 1));
}

export function loadsOf(devices: readonly MonitoredDevice[], assignments: readonly Assignment[]): DeviceLoad[] {
  const byDevice = new Map<string, Assignment[]>(devices.map(({ device }) => [device, []]));
  for (const assignment of assignments) byDevice.get(assignment.device)?.push(assignment);
  return devices.map((device) => loadOf(device, byDevice.get(device.device)!));
}

function overloadOf({ device, expected }: DeviceLoad, options: RepartitionOptions): Overload | undefined {
  if (expected.size === 0) return undefined;
  let driftShare = 0;
  let [waitSeconds, endSeconds] = [0, 0];
  for (const [{ expectedEndSeconds, ageSeconds, hasStarted }, { terms, startSeconds }] of expected) {
    if (expectedEndSeconds !== undefined) {
      const predicted = Math.max(predictedLeastSeconds, expectedEndSeconds + ageSeconds);
      driftShare = Math.max(driftShare, (terms.finishSeconds - expectedEndSeconds) / predicted);
    }
    endSeconds = Math.max(endSeconds, terms.finishSeconds);
    if (!hasStarted) waitSeconds = Math.max(waitSeconds, startSeconds);
  }
  const found = (because: Overload['because'], inSeconds = 0) => ({
    device: device.device,
    because,
    inSeconds,
    driftShare,
  });
  const inSeconds = busyInSeconds(device, options);
  if (inSeconds === 0) return found('busy-now');
  if (inSeconds < endSeconds) return found('busy-soon', inSeconds);
  if (driftShare > options.driftMost) return found('late');
  return waitSeconds > options.waitMostSeconds ? found('queue') : undefined;
}

/** When a slot begins to give less than it could, by more than a drift, in the middle of the forecast; Infinity: never. */
function busyInSeconds({ capacity }: MonitoredDevice, { driftMost }: RepartitionOptions): number {
  const { untilSeconds, rates } = capacity.q50;
  const enough = (1 - driftMost) * capacity.demand;
  for (let phase = 0; phase < rates.length; phase += 1)
    if (rates[phase]! < enough) return phase === 0 ? 0 : untilSeconds[phase - 1]!;
  return Number.POSITIVE_INFINITY;
}

function meanRate({ capacity, speed }: MonitoredDevice): number {
  const { untilSeconds, rates } = capacity.q50;
  const last = untilSeconds.length;
  let [sum, from] = [0, 0];
  for (let phase = 0; phase < last; phase += 1) {
    sum += (untilSeconds[phase]! - from) * rates[phase]!;
    from = untilSeconds[phase]!;
  }
  return (from === 0 ? rates[last]! : sum / from) * Math.max(...Object.values(speed), 0);
}
