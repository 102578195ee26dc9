import { limits, type OfferChange, type PreferencesHeld, type Withheld } from '../../contract/index.ts';
import { isWithin, type LocalTime } from './hours.ts';

/** What is known of the device at one moment. */
export interface DeviceReading extends LocalTime {
  /** Monotonic. */
  readonly nowMs: number;
  readonly temperatureCelsius?: number | undefined;
  /** Of a device that runs on its battery. */
  readonly batteryShare?: number | undefined;
  readonly memoryAvailableBytes?: number | undefined;
  /** What the device's own work takes of the CPU, where the tasks share a quota with it: nice helps nobody there. */
  readonly cpuBackgroundShare?: number | undefined;
  /** Sent and received for the mesh in the last 24 hours. */
  readonly networkBytesOfDay: number;
}

/** What a judge remembers, so that nothing flutters at a limit. */
export interface JudgeState {
  /** What is left of the share of the CPU while the device is hot. */
  coolness: number;
  cooledAtMs: number;
  isHot: boolean;
  isLow: boolean;
  /** Since when there is memory enough again; undefined while there is not, or never was too little. */
  memoryCalmSinceMs: number | undefined;
  isShort: boolean;
}

export type Stance = 'takes' | 'finishes' | 'leaves';

export interface OwnerVerdict {
  /** `finishes`: what runs, and takes nothing. `leaves`: gives back all it has. */
  readonly stance: Stance;
  /** Of the share of the CPU: what running work may use now, 0 to 1. */
  readonly cpuFactor: number;
  /** Of the whole CPU: what the device's own work leaves, 0 to 1. */
  readonly cpuRoom: number;
  readonly withheld?: Withheld;
  /** One running attempt, the newest, is to be given back. */
  readonly pressed: boolean;
  /** More than hours and budget withhold it: nobody knows until when. */
  readonly isHeldOtherwise: boolean;
}

export const judgePatience = {
  /** Between two steps of slowing down, of speeding up. */
  hotterMs: 5_000,
  coolerMs: 10_000,
  /** How long it may stay hot at its slowest before it leaves. */
  hotMs: 60_000,
  coolerCelsius: 3,
  coolnessLeast: 1 / 8,
  /** Above the limit before a battery counts as charged again. */
  batteryShare: 0.02,
  memoryCalmMs: 10_000,
  memoryFactor: 1.1,
  ownWorkLeast: 0.1,
  headroom: 0.1,
  roomLeast: 0.05,
};

export function createJudge(): JudgeState {
  return {
    coolness: 1,
    cooledAtMs: Number.NEGATIVE_INFINITY,
    isHot: false,
    isLow: false,
    memoryCalmSinceMs: undefined,
    isShort: false,
  };
}

/** What the owner's limits mean at this moment. */
export function judge(state: JudgeState, held: PreferencesHeld, reading: DeviceReading): OwnerVerdict {
  const { holds } = held;
  const found: { stance: Stance; withheld: Withheld }[] = [];
  const find = (stance: Stance, reason: Withheld['reason'], text: string) =>
    found.push({ stance, withheld: { reason, text } });
  if (holds.mode !== undefined) {
    const where = held.device.mode === holds.mode ? ' on the machine itself' : '';
    if (holds.mode === 'paused') find('leaves', 'paused', `paused${where}`);
    else find('finishes', 'draining', `draining${where}`);
  }
  judgeHours(held, reading, find);
  judgeBattery(state, holds.batteryLeastShare, reading, find);
  judgeTemperature(state, holds.temperatureMostCelsius, reading, find);
  const pressed = judgeMemory(state, holds.memoryFreeLeastBytes, reading, find);
  judgeNetwork(held, reading, find);
  const worst = found.find(({ stance }) => stance === 'leaves') ?? found[0];
  return {
    stance: worst?.stance ?? 'takes',
    cpuFactor: state.coolness,
    cpuRoom: roomBeside(reading.cpuBackgroundShare),
    pressed,
    isHeldOtherwise: found.some(({ withheld: { reason } }) => reason !== 'hours' && reason !== 'network'),
    ...(worst === undefined ? {} : { withheld: worst.withheld }),
  };
}

/** A moment to come: what is known of it now. */
export interface Moment extends LocalTime, Pick<DeviceReading, 'networkBytesOfDay'> {
  readonly afterMs: number;
}

/**
 * What hours and budget will change, at moments in their order in time. Nothing while something else withholds the device as well.
 *
 * @param slots what it offers while it takes work
 */
export function offersAhead(
  held: PreferencesHeld,
  now: OwnerVerdict,
  slots: number,
  moments: Iterable<Moment>,
): OfferChange[] {
  const changes: OfferChange[] = [];
  if (now.isHeldOtherwise) return changes;
  let before = now.withheld?.reason;
  for (const moment of moments) {
    let withheld: Withheld | undefined;
    const find: Find = (_, reason, text) => {
      withheld ??= { reason, text };
    };
    judgeHours(held, moment, find);
    judgeNetwork(held, moment, find);
    if (withheld?.reason === before) continue;
    before = withheld?.reason;
    const { afterMs } = moment;
    changes.push(withheld === undefined ? { afterMs, slots } : { afterMs, slots: 0, withheld });
    if (changes.length === limits.offerChanges) break;
  }
  return changes;
}

/** A little less than what is left: what wants more shows it only where there is room. */
function roomBeside(background: number | undefined): number {
  const { ownWorkLeast, headroom, roomLeast } = judgePatience;
  if (background === undefined || background < ownWorkLeast) return 1;
  return Math.max(roomLeast, 1 - background - headroom);
}

type Find = (stance: Stance, reason: Withheld['reason'], text: string) => void;

function judgeHours({ device, mesh }: PreferencesHeld, time: LocalTime, find: Find): void {
  for (const { hours } of [device, mesh]) {
    if (hours !== undefined && !hours.some((each) => isWithin(each, time)))
      find('leaves', 'hours', `only ${hours.join(', ')}`.slice(0, limits.reasonCharacters));
  }
}

function judgeNetwork(
  { holds }: PreferencesHeld,
  { networkBytesOfDay: bytes }: Pick<DeviceReading, 'networkBytesOfDay'>,
  find: Find,
): void {
  const { networkMostBytesPerDay: most } = holds;
  if (most !== undefined && bytes >= most)
    find('finishes', 'network', `${Math.round(bytes)} bytes sent and received in 24 h, ${most} may be`);
}

function judgeBattery(state: JudgeState, least: number | undefined, reading: DeviceReading, find: Find): void {
  const { batteryShare: share } = reading;
  const enough = (least ?? 0) + (state.isLow ? judgePatience.batteryShare : 0);
  state.isLow = least !== undefined && share !== undefined && share < enough;
  if (state.isLow)
    find('leaves', 'battery', `battery at ${Math.round(share! * 100)} %, not below ${Math.round(least! * 100)} %`);
}

/** Halves the share of the CPU step by step, takes no new work meanwhile, and leaves when that does not help. */
function judgeTemperature(state: JudgeState, most: number | undefined, reading: DeviceReading, find: Find): void {
  const { temperatureCelsius: celsius, nowMs } = reading;
  const { hotterMs, coolerMs, hotMs, coolerCelsius, coolnessLeast } = judgePatience;
  const isOver = most !== undefined && celsius !== undefined && celsius > most;
  state.isHot =
    isOver || (state.isHot && most !== undefined && celsius !== undefined && celsius > most - coolerCelsius);
  const sinceMs = nowMs - state.cooledAtMs;
  if (isOver && state.coolness > coolnessLeast && sinceMs >= hotterMs) {
    state.coolness /= 2;
    state.cooledAtMs = nowMs;
  } else if (!state.isHot && state.coolness < 1 && sinceMs >= coolerMs) {
    state.coolness *= 2;
    state.cooledAtMs = nowMs;
  }
  if (!state.isHot) return;
  const text = `${celsius!.toFixed(1)} degrees, not above ${most}`;
  const leaves = isOver && state.coolness <= coolnessLeast && sinceMs >= hotMs;
  find(leaves ? 'leaves' : 'finishes', 'temperature', text);
}

/** One attempt after the other leaves until there is room; then a while passes before it takes more. */
function judgeMemory(state: JudgeState, least: number | undefined, reading: DeviceReading, find: Find): boolean {
  const { memoryAvailableBytes: available, nowMs } = reading;
  if (least === undefined || available === undefined) {
    state.isShort = false;
    return false;
  }
  const { memoryFactor, memoryCalmMs } = judgePatience;
  if (available < least) state.isShort = true;
  if (available < least * memoryFactor) state.memoryCalmSinceMs = undefined;
  else state.memoryCalmSinceMs ??= nowMs;
  if (state.memoryCalmSinceMs !== undefined && nowMs - state.memoryCalmSinceMs >= memoryCalmMs) state.isShort = false;
  if (state.isShort) {
    const mib = (bytes: number) => Math.round(bytes / 1024 ** 2);
    find('finishes', 'memory', `${mib(available)} MiB are available, ${mib(least)} MiB must stay so`);
  }
  return available < least;
}
