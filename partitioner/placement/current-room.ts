/**
 * So much faster another device must be than a near one: two words over MQTT are spared there, and calibrated speeds of
 * equal machines differ by up to a twentieth.
 */
const nearFactor = 1.1;

/** A device as placement sees it: what it could take now. */
export interface Device {
  readonly device: string;
  readonly engines: readonly string[];
  readonly labels: readonly string[];
  /** Whose signed code it runs, and with which capabilities; undefined: nobody's. */
  readonly trusts?: readonly { readonly key: string; readonly capabilities: readonly string[] }[] | undefined;
  /** Its owner lets it take nothing now. */
  readonly isWithheld?: boolean | undefined;
  /** Its owner lets it take only tasks that ask for one of these labels. */
  readonly onlyLabels?: readonly string[] | undefined;
  /** The one that places reaches it without the network. */
  readonly isNear?: boolean | undefined;
  /** Work per second of one core relative to the reference device, per engine. */
  readonly speed: Readonly<Record<string, number>>;
  /** Share of one core that an attempt may expect (0 to 1), background and running attempts taken off. */
  readonly coreShare: number;
  /** Attempts that could start at once. */
  freeSlots: number;
  /** Attempts that could wait behind the slots. */
  freeQueue: number;
  /** Memory that is not promised to attempts yet, bytes. */
  freeMemoryBytes: number;
  /** Memory that the device offers in all, bytes. */
  readonly offeredMemoryBytes: number;
}

export interface PlaceableTask {
  readonly task: string;
  readonly engine: string;
  readonly labels: readonly string[];
  readonly memoryBytes: number;
  /** Of code that runs only where its author is trusted: what a device must trust. No key: the code is not signed. */
  readonly needsTrust?: { readonly key?: string; readonly capabilities: readonly string[] } | undefined;
  /** Devices on which it failed: taken only when no other could ever run it. */
  readonly avoid: readonly string[];
}

/** Why a device cannot run a task, now or ever. */
export type Refusal = 'engine' | 'trust' | 'labels' | 'memory' | 'reserved' | 'withheld' | 'busy';

export type Placement =
  | { readonly task: string; readonly device: string }
  | { readonly task: string; readonly refusals: readonly { readonly device: string; readonly refusal: Refusal }[] };

/** What a task asks of whatever device runs it, and what of a device that is about. */
export type TaskNeeds = Pick<PlaceableTask, 'engine' | 'labels' | 'memoryBytes' | 'needsTrust'>;
export type DeviceOffer = Pick<
  Device,
  'engines' | 'labels' | 'trusts' | 'onlyLabels' | 'isWithheld' | 'offeredMemoryBytes'
>;

/** What keeps the task off the device until the device offers something else, or undefined. */
export function refusalForGood(task: TaskNeeds, device: DeviceOffer): Exclude<Refusal, 'busy'> | undefined {
  if (!device.engines.includes(task.engine)) return 'engine';
  if (!isTrusted(task, device)) return 'trust';
  if (!task.labels.every((label) => device.labels.includes(label))) return 'labels';
  if (task.memoryBytes > device.offeredMemoryBytes) return 'memory';
  if (device.onlyLabels?.some((label) => task.labels.includes(label)) === false) return 'reserved';
  if (device.isWithheld === true) return 'withheld';
  return undefined;
}

/**
 * Places tasks, in the order given, each on the device where it would run fastest by what is free now: free slots first,
 * by speed x share of a core (a near device before one that is hardly faster), then the shortest queue. Takes what it gives off the devices (`free...` are changed).
 * Deterministic: ties go to the first device.
 */
export function placeByCurrentRoom(tasks: readonly PlaceableTask[], devices: readonly Device[]): Placement[] {
  return tasks.map((task) => {
    const able = devices.filter((device) => refusalForGood(task, device) === undefined);
    const preferred = able.filter((device) => !task.avoid.includes(device.device));
    const best = pick(task, preferred.length > 0 ? preferred : able);
    if (best === undefined) {
      return {
        task: task.task,
        refusals: devices.map((device) => ({ device: device.device, refusal: refusalForGood(task, device) ?? 'busy' })),
      };
    }
    if (startsNow(task, best)) {
      best.freeSlots -= 1;
      best.freeMemoryBytes -= task.memoryBytes;
    } else {
      best.freeQueue -= 1;
    }
    return { task: task.task, device: best.device };
  });
}

function isTrusted({ needsTrust }: TaskNeeds, { trusts = [] }: DeviceOffer): boolean {
  if (needsTrust === undefined) return true;
  const trusted = trusts.find(({ key }) => key === needsTrust.key);
  return trusted !== undefined && needsTrust.capabilities.every((each) => trusted.capabilities.includes(each));
}

function startsNow(task: PlaceableTask, device: Device): boolean {
  return device.freeSlots > 0 && device.freeMemoryBytes >= task.memoryBytes;
}

function pick(task: PlaceableTask, devices: readonly Device[]): Device | undefined {
  let best: Device | undefined;
  let bestNow = false;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const device of devices) {
    const now = startsNow(task, device);
    // A start now beats any wait.
    if (!now && (bestNow || device.freeQueue <= 0)) continue;
    const rate =
      (device.speed[task.engine] ?? 1) * Math.max(0.05, device.coreShare) * (device.isNear === true ? nearFactor : 1);
    // Among equals more free slots first, so that work spreads before it piles up; else the shortest queue.
    const score = rate * (now ? 1 + device.freeSlots : device.freeQueue);
    if (now === bestNow && score <= bestScore) continue;
    best = device;
    bestNow = now;
    bestScore = score;
  }
  return best;
}
