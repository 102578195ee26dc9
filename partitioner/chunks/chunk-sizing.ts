import { probabilityWithin, type Quantiles, quantileAt } from '../placement/expected-finish.ts';

/** A device that could take a piece of a data-parallel stage. */
export interface ChunkDevice {
  /** Items per second that it is expected to do from now on, in the middle; before it has done any, what its calibration says. */
  readonly itemsPerSecond: number;
  /** The same at its quantiles 0.1 and 0.9; absent where nothing is known of them. */
  readonly band?: Pick<Quantiles, 'q10' | 'q90'>;
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

/** By when a piece should be done, and how sure that is to be. */
export interface ChunkDeadline {
  readonly withinSeconds: number;
  /** 0 to 1. */
  readonly confidence: number;
}

export interface CopyOptions {
  /** A copy is worth while if it would be earlier even at this share of the speed that is expected of its device: it takes what others could use. */
  readonly speedShare?: number;
  readonly deadline?: ChunkDeadline | undefined;
}

/** A piece that an idle device should run too. */
export interface ChunkCopy<Chunk extends RunningChunk> {
  readonly chunk: Chunk;
  /** With a deadline, where that is why: the chance that it is met as things are, and with the copy. */
  readonly inTime?: { readonly alone: number; readonly together: number };
}

/** A copy that makes it more likely by less than this that a deadline is met takes what it is not worth. */
const chanceGainLeast = 0.01;

/** Seconds that a device needs for a piece, its beginning included. */
function chunkSeconds(device: ChunkDevice, items: number): number {
  return device.overheadSeconds + items * (device.transferSecondsPerItem + 1 / device.itemsPerSecond);
}

/**
 * How many items the device that asks gets: adaptive weighted factoring (Flynn Hummel et al. 1996; Banicescu and Cariño 2005),
 * by measured rates once there are any, with a small first piece, a floor so that beginnings do not eat the work, and a cap so that
 * a device that may leave loses little: the length that costs least for a hazard and a cost per piece (Young 1974).
 *
 * With a `confidence` the device gets as many as it does in that same time with that probability, and never so many that it leaves before with more
 * than what is left of 1: the surer, the fewer.
 *
 * @param remaining items that nobody has, at least 1
 * @param confidence how sure the time of a piece is to be, 0 to 1; up to 0.5, and unless said, the middle is good enough
 * @returns between 1 and `remaining`
 */
export function chunkSize(
  remaining: number,
  devices: readonly ChunkDevice[],
  asking: number,
  confidence?: number,
  options: ChunkOptions = defaultChunkOptions,
): number {
  const device = devices[asking]!;
  const rate = rateOf(device, confidence === undefined ? device.itemsPerSecond : surelyPerSecond(device, confidence));
  const fair = (remaining * rate) / ratesTogether(devices);
  let items = fair * options.factor * (device.isMeasured ? 1 : options.firstShare);
  const floor = options.overheadsLeast * device.overheadSeconds * rate;
  items = Math.max(items, Math.min(floor, fair));
  if (device.leavesPerSecond > 0) {
    const cheapest = Math.sqrt((2 * Math.max(device.overheadSeconds, 0.001)) / device.leavesPerSecond);
    const stays = confidence === undefined ? cheapest : -Math.log(Math.max(0.5, confidence)) / device.leavesPerSecond;
    items = Math.min(items, Math.max(rate * Math.min(cheapest, stays), floor));
  }
  return Math.max(1, Math.min(remaining, Math.round(items)));
}

/** How long the next piece of a device takes that has shown how fast it is, in the middle; seconds. */
export function nextPieceSeconds(
  remaining: number,
  devices: readonly ChunkDevice[],
  { factor }: ChunkOptions = defaultChunkOptions,
): number {
  return (remaining * factor) / ratesTogether(devices);
}

/** Items per second that a device does at least, with that probability: as far as its quantiles tell, and never more than in the middle. */
export function surelyPerSecond(
  { itemsPerSecond: q50, band }: Pick<ChunkDevice, 'itemsPerSecond' | 'band'>,
  confidence: number,
): number {
  return band === undefined ? q50 : Math.min(q50, quantileAt({ ...band, q50 }, 1 - confidence));
}

/**
 * Which running piece an idle device should run too, when nobody has any left. With a deadline, the one that a copy makes most likely to be in time,
 * of those that will be with less than the confidence; else the one that it would end earliest before its own device is expected to.
 * Undefined: none would gain.
 */
export function chunkToCopy<Chunk extends RunningChunk>(
  running: readonly Chunk[],
  devices: readonly ChunkDevice[],
  asking: number,
  { speedShare = 1, deadline }: CopyOptions = {},
): ChunkCopy<Chunk> | undefined {
  let earliest: Chunk | undefined;
  let most = 0;
  let inTime: ChunkCopy<Chunk> | undefined;
  let mostChance = chanceGainLeast;
  const own = devices[asking]!;
  const cautious = { ...own, itemsPerSecond: own.itemsPerSecond * speedShare };
  for (const chunk of running) {
    if (chunk.copies > 1 || chunk.device === asking) continue;
    const device = devices[chunk.device]!;
    const gain = leftSeconds(device, chunk) - chunkSeconds(cautious, chunk.items);
    if (gain > most) {
      earliest = chunk;
      most = gain;
    }
    if (deadline === undefined) continue;
    const alone = chanceWithin(device, chunk, deadline.withinSeconds);
    if (alone >= deadline.confidence) continue;
    const copied = chanceWithin(own, { items: chunk.items, ageSeconds: 0 }, deadline.withinSeconds);
    const together = 1 - (1 - alone) * (1 - copied);
    if (together - alone < mostChance) continue;
    inTime = { chunk, inTime: { alone, together } };
    mostChance = together - alone;
  }
  return inTime ?? (earliest && { chunk: earliest });
}

/** One that is overdue is as far from its end as it is late: nobody knows better. */
function leftSeconds(device: ChunkDevice, { items, ageSeconds }: Pick<RunningChunk, 'items' | 'ageSeconds'>): number {
  return Math.abs(chunkSeconds(device, items) - ageSeconds);
}

/** The probability that a device ends a piece within that time, since it has not ended it yet, and does not leave before. */
function chanceWithin(
  device: ChunkDevice,
  chunk: Pick<RunningChunk, 'items' | 'ageSeconds'>,
  withinSeconds: number,
): number {
  const { itemsPerSecond, band = { q10: itemsPerSecond, q90: itemsPerSecond }, leavesPerSecond } = device;
  const at = (rate: number) => chunkSeconds({ ...device, itemsPerSecond: rate }, chunk.items);
  const times = { q10: at(band.q90), q50: at(itemsPerSecond), q90: at(band.q10) };
  const left = leftSeconds(device, chunk);
  const open = 1 - probabilityWithin(times, chunk.ageSeconds);
  const late = 1 - probabilityWithin(times, chunk.ageSeconds + withinSeconds);
  // Later than any of the quantiles tells of.
  const ends = open > 0 ? 1 - Math.min(1, late / open) : left <= withinSeconds ? 1 : 0;
  return ends * Math.exp(-leavesPerSecond * left);
}

function ratesTogether(devices: readonly ChunkDevice[]): number {
  let sum = 0;
  for (const each of devices) sum += rateOf(each, each.itemsPerSecond);
  return sum;
}

function rateOf({ transferSecondsPerItem }: ChunkDevice, itemsPerSecond: number): number {
  return 1 / (1 / itemsPerSecond + transferSecondsPerItem);
}
