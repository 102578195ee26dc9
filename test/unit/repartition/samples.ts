import type { Assignment, CapacityCurve, MonitoredDevice, Quantiles } from '@foremesh/partitioner';

export function exactly(seconds: number): Quantiles {
  return { q10: seconds, q50: seconds, q90: seconds };
}

export function flat(rate: number): CapacityCurve {
  return { untilSeconds: [], rates: [rate] };
}

/** One slot, a whole core in it for ever. */
export function deviceNamed(device: string, change: Partial<MonitoredDevice> = {}): MonitoredDevice {
  const whole = flat(1);
  return {
    device,
    engines: ['js'],
    labels: [],
    speed: { js: 1 },
    coreShare: 1,
    slots: 1,
    freeSlots: 1,
    freeQueue: 4,
    freeMemoryBytes: 1_000,
    offeredMemoryBytes: 1_000,
    capacity: { q10: whole, q50: whole, q90: whole, demand: 1 },
    bytesPerSecond: 1_000,
    leavesPerSecond: 0,
    ...change,
  };
}

/** A device on which something runs, and that gives so much of a core to it. */
export function busyDevice(device: string, capacity: CapacityCurve, change: Partial<MonitoredDevice> = {}) {
  const curves = { q10: capacity, q50: capacity, q90: capacity, demand: 1 };
  return deviceNamed(device, { freeSlots: 0, capacity: curves, ...change });
}

/** It runs, 40 of its 100 seconds are left, and it was to end in 40. */
export function assignmentOn(device: string, change: Partial<Assignment> = {}): Assignment {
  return {
    task: `of-${device}`,
    engine: 'js',
    labels: [],
    memoryBytes: 100,
    avoid: [],
    device,
    hasStarted: true,
    leftSeconds: exactly(40),
    elsewhereSeconds: exactly(100),
    inputBytes: 0,
    expectedEndSeconds: 40,
    ageSeconds: 60,
    ...change,
  };
}
