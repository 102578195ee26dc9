import { type ExpectedCost, expectedCost } from '../placement/cost.ts';
import type { Assignment, MonitoredDevice } from './types.ts';

/** What a device has in hand, and when that is expected to end if nothing moves. */
export interface DeviceLoad {
  readonly device: MonitoredDevice;
  /** In the order in which they came. */
  readonly expected: ReadonlyMap<Assignment, ExpectedCost>;
  /** When its slots are expected to be free, seconds from now, the first one first. */
  readonly freeAtSeconds: readonly number[];
}

/** What runs goes on in a slot of its own; what waits takes, in its turn, the slot that is free first. */
export function loadOf(device: MonitoredDevice, assignments: readonly Assignment[]): DeviceLoad {
  const freeAtSeconds = Array.from({ length: device.slots }, () => 0);
  const expected = new Map<Assignment, ExpectedCost>();
  const started = assignments.filter(({ hasStarted }) => hasStarted);
  for (const assignment of [...started, ...assignments.filter(({ hasStarted }) => !hasStarted)]) {
    const startSeconds = assignment.hasStarted ? 0 : (freeAtSeconds[0] ?? Number.POSITIVE_INFINITY);
    const cost = expectedCost(
      {
        workSeconds: assignment.leftSeconds,
        capacity: device.capacity,
        speed: speedOf(device, assignment),
        startSeconds,
        inputBytes: 0, // it has it, or has begun to fetch it
        bytesPerSecond: device.bytesPerSecond,
        leavesPerSecond: device.leavesPerSecond,
      },
      assignment.weights,
    );
    expected.set(assignment, cost);
    if (freeAtSeconds.length === 0) continue;
    freeAtSeconds[0] = cost.terms.finishSeconds;
    freeAtSeconds.sort((a, b) => a - b);
  }
  return { device, expected, freeAtSeconds };
}

export function speedOf({ speed }: MonitoredDevice, { engine }: Assignment): number {
  return speed[engine] ?? 1;
}
