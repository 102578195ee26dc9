/** A device that could take a piece of a data-parallel stage. */
export interface ChunkDevice {
  /** Items per second that it is expected to do from now on; before it has done any, what its calibration says. */
  readonly itemsPerSecond: number;
  /** The expectation rests on pieces of this stage that it has finished. */
  readonly isMeasured: boolean;
  /** Seconds that a piece costs before its first item: starting, asking. */
  readonly overheadSeconds: number;
  /** Seconds per item that its input takes to arrive. */
  readonly transferSecondsPerItem: number;
  /** How often devices like it leave, per second; 0: never. */
  readonly leavesPerSecond: number;
}

/** A piece that is running. */
export interface RunningChunk {
  readonly items: number;
  /** Seconds since it was given out. */
  readonly ageSeconds: number;
  /** Index of the device that runs it. */
  readonly device: number;
  /** How many devices run it already. */
  readonly copies: number;
}

export interface ChunkOptions {
  /** A piece is at least so many times as long as what it costs to begin it (the floor), while that leaves work for all. */
  readonly overheadsLeast: number;
  /** Share of its fair part that a device gets at a time (the factor of factoring: the rest evens out what is not foreseen). */
  readonly factor: number;
  /** Share of that which a device gets first, while it has shown nothing yet. */
  readonly firstShare: number;
}

const defaultChunkOptions: ChunkOptions = { overheadsLeast: 8, factor: 0.35, firstShare: 0.25 };

/** Seconds that a device needs for a piece, its beginning included. */
function chunkSeconds(device: ChunkDevice, items: number): number {
  return device.overheadSeconds + items * (device.transferSecondsPerItem + 1 / device.itemsPerSecond);
}

/**
 * How many items the device that asks gets: adaptive weighted factoring (Flynn Hummel et al. 1996; Banicescu and Cariño 2005),
 * by measured rates once there are any, with a small first piece, a floor so that beginnings do not eat the work, and a cap so that
 * a device that may leave loses little: the length that costs least for a hazard and a cost per piece (Young 1974).
 *
 * @param remaining items that nobody has, at least 1
 * @returns between 1 and `remaining`
 */
export function chunkSize(
  remaining: number,
  devices: readonly ChunkDevice[],
  asking: number,
  options: ChunkOptions = defaultChunkOptions,
): number {
  const device = devices[asking]!;
  const rate = rateOf(device);
  let sum = 0;
  for (const each of devices) sum += rateOf(each);
  const fair = (remaining * rate) / sum;
  let items = fair * options.factor * (device.isMeasured ? 1 : options.firstShare);
  const floor = options.overheadsLeast * device.overheadSeconds * rate;
  items = Math.max(items, Math.min(floor, fair));
  if (device.leavesPerSecond > 0) {
    const cap = rate * Math.sqrt((2 * Math.max(device.overheadSeconds, 0.001)) / device.leavesPerSecond);
    items = Math.min(items, Math.max(cap, floor));
  }
  return Math.max(1, Math.min(remaining, Math.round(items)));
}

/**
 * Which running piece an idle device should run too, when nobody has any left: the one that it would end earliest before
 * its own device is expected to. Undefined: none would gain.
 */
export function chunkToCopy(
  running: readonly RunningChunk[],
  devices: readonly ChunkDevice[],
  asking: number,
): RunningChunk | undefined {
  let best: RunningChunk | undefined;
  let most = 0;
  for (const chunk of running) {
    if (chunk.copies > 1 || chunk.device === asking) continue;
    const whole = chunkSeconds(devices[chunk.device]!, chunk.items);
    // One that is overdue is as far from its end as it is late: nobody knows better.
    const left = Math.max(whole - chunk.ageSeconds, chunk.ageSeconds - whole);
    const gain = left - chunkSeconds(devices[asking]!, chunk.items);
    if (gain <= most) continue;
    best = chunk;
    most = gain;
  }
  return best;
}

function rateOf(device: ChunkDevice): number {
  return 1 / (1 / device.itemsPerSecond + device.transferSecondsPerItem);
}
