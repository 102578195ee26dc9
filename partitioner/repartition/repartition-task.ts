import type { ExpectedCost } from '../placement/cost.ts';
import { type DeviceLoad, loadOf } from './device-load.ts';
import { idleOf, loadsOf, overloadsOf } from './find-devices.ts';
import { migrateSubtask, obstacleHere, pays, selectBestDevice } from './migrate.ts';
import {
  type Assignment,
  type MonitoredDevice,
  type Move,
  type Overload,
  type RepartitionedTask,
  type RepartitionOptions,
  type ResourceMonitorData,
  repartitionDefaults,
  type Stay,
  type Way,
} from './types.ts';

/** What is to move, in this order, and what was looked at and stays. */
export interface Repartition {
  readonly moves: readonly Move[];
  readonly stays: readonly Stay[];
}

/** A sub-task of a device that has too much of them. */
interface Candidate {
  readonly assignment: Assignment;
  readonly overload: Overload;
  readonly device: MonitoredDevice;
  stay: ExpectedCost;
  /** Where it could go, the best first. */
  ways: readonly Way[];
}

/**
 * The loop that keeps work where it ends soonest: finds the devices that have too much, now or by the forecast, and those that have too little; of the sub-tasks of the
 * former moves those that gain most, one after the other, each to the device where it costs least, as long as that pays and `movesLeft` allows. What a
 * move takes away from a device's offer the next one does not find there. Deterministic; changes nothing that it is given.
 *
 * Every sub-task is moved at most once, and stays for `coolDownSeconds` where it came: with a margin that grows with what it costs to run it there, and
 * with what is lost by the move, nothing goes to and fro by a forecast that wavers.
 */
export function repartitionTask(
  { movesLeft, options: change }: RepartitionedTask,
  currentAssignments: readonly Assignment[],
  { devices }: ResourceMonitorData,
): Repartition {
  const options = { ...repartitionDefaults, ...change };
  const loads = loadsOf(devices, currentAssignments);
  const onDevices = new Map(loads.map(({ device, expected }) => [device.device, [...expected.keys()]]));
  const overloads = new Map(overloadsOf(loads, options).map((overload) => [overload.device, overload]));
  if (overloads.size === 0) return { moves: [], stays: [] };
  const idle = new Map(
    idleOf(loads, new Set(overloads.keys()))
      .slice(0, options.devicesMost)
      .map((load) => [load.device.device, load]),
  );
  const look = (candidate: Candidate) => {
    const { assignment, device, stay } = candidate;
    const isHindered = obstacleHere(assignment, options) !== undefined;
    candidate.ways = isHindered ? [] : selectBestDevice(assignment, device, stay, [...idle.values()], options);
  };
  const waiting = latestOf(candidatesOf(loads, overloads), options.assignmentsMost);
  for (const candidate of waiting) look(candidate);
  const moves: Move[] = [];
  while (moves.length < movesLeft) {
    const best = mostGaining(waiting, options);
    if (best === undefined) break;
    const { assignment, device, overload, stay, ways } = best;
    const decision = migrateSubtask(assignment, overload, stay, ways, options);
    if (!('move' in decision)) break;
    moves.push(decision);
    waiting.splice(waiting.indexOf(best), 1);
    const taken = new Set(decision.move.to.map((each) => each.device));
    for (const each of taken) take(idle, each, assignment);
    const onDevice = onDevices.get(device.device)!.filter((each) => each !== assignment);
    onDevices.set(device.device, onDevice);
    const left = loadOf(device, onDevice);
    for (const each of waiting) {
      // What waited behind it begins sooner now; what counted on the devices that it took has to look again.
      const isBehind = each.device === device;
      if (isBehind) each.stay = left.expected.get(each.assignment)!;
      if (isBehind || each.ways.some(({ to }) => to.some((part) => taken.has(part.device)))) look(each);
    }
  }
  const stays = waiting.map(({ assignment, overload, stay, ways }) => {
    const [best] = ways;
    const isOver = moves.length >= movesLeft && best !== undefined && pays(best, options);
    const hindrance = obstacleHere(assignment, options) ?? (isOver ? 'budget' : undefined);
    return migrateSubtask(assignment, overload, stay, ways, options, hindrance) as Stay;
  });
  return { moves, stays };
}

function candidatesOf(loads: readonly DeviceLoad[], overloads: ReadonlyMap<string, Overload>): Candidate[] {
  return loads.flatMap((load) => {
    const overload = overloads.get(load.device.device);
    if (overload === undefined) return [];
    return [...load.expected].map(([assignment, stay]) => ({
      assignment,
      overload,
      device: load.device,
      stay,
      ways: [],
    }));
  });
}

/** Those that are expected to end last: with them the job ends. */
function latestOf(candidates: readonly Candidate[], most: number): Candidate[] {
  return [...candidates].sort((a, b) => b.stay.terms.finishSeconds - a.stay.terms.finishSeconds || 0).slice(0, most);
}

function mostGaining(candidates: readonly Candidate[], options: RepartitionOptions): Candidate | undefined {
  let best: Candidate | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const [way] = candidate.ways;
    if (way === undefined || way.gainSeconds <= most || !pays(way, options)) continue;
    best = candidate;
    most = way.gainSeconds;
  }
  return best;
}

/** The device has a slot, and so much memory, less to offer; one that has none left is idle no more. */
function take(idle: Map<string, DeviceLoad>, name: string, assignment: Assignment): void {
  const { device, freeAtSeconds, expected } = idle.get(name)!;
  const freeSlots = device.freeSlots - 1;
  const freeMemoryBytes = device.freeMemoryBytes - assignment.memoryBytes;
  const stillFree = freeAtSeconds.slice(1);
  if (freeSlots === 0 || stillFree[0] !== 0) idle.delete(name);
  else idle.set(name, { device: { ...device, freeSlots, freeMemoryBytes }, freeAtSeconds: stillFree, expected });
}
