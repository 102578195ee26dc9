import { readdir, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { MetricSample } from '../contract/index.ts';

/** What a machine tells of itself beside load; what it does not tell is left out. */
export type Vitals = Pick<
  MetricSample,
  'diskFreeBytes' | 'diskTotalBytes' | 'temperatureCelsius' | 'isThrottled' | 'batteryShare' | 'writtenBytes'
>;

/** Free space moves slowly, and asking for it may wake a disk. */
const diskIntervalMs = 60_000;
/** Of the firmware of a Raspberry Pi: processor capped, throttled, soft limit of the temperature, all of them now. */
const throttledBits = 0b1110;

export interface VitalsOptions {
  /** Whose disk it is about. */
  readonly directory: string;
  /** Where Linux tells: `/` unless a test brings recorded files. */
  readonly root?: string;
  readonly nowMs?: () => number;
}

/** Files alone, no processes: well below a millisecond. Elsewhere than on Linux only the disk is known. */
export class VitalsReader {
  readonly #options: VitalsOptions;
  #disk: Vitals = {};
  #diskReadMs = Number.NEGATIVE_INFINITY;
  /** Which files there are is looked up once. */
  #sources: Promise<Sources> | undefined;

  constructor(options: VitalsOptions) {
    this.#options = options;
  }

  async read(): Promise<Vitals> {
    const { root = '/' } = this.#options;
    this.#sources ??= findSources(root);
    const { zones, coolers, firmware, batteries, io } = await this.#sources;
    const [disk, temperatures, states, bits, charges, counts] = await Promise.all([
      this.#readDisk(),
      Promise.all(zones.map(text)),
      Promise.all(coolers.map(text)),
      Promise.all(firmware.map(text)),
      Promise.all(
        batteries.map((folder) => Promise.all(['status', 'capacity'].map((name) => text(join(folder, name))))),
      ),
      Promise.all(io.map(text)),
    ]);
    return {
      ...disk,
      ...hottest(temperatures),
      ...throttled(bits[0], states),
      ...discharging(charges),
      ...written(counts[0]),
    };
  }

  async #readDisk(): Promise<Vitals> {
    const nowMs = (this.#options.nowMs ?? (() => performance.now()))();
    if (nowMs - this.#diskReadMs < diskIntervalMs) return this.#disk;
    this.#diskReadMs = nowMs;
    try {
      const { bavail, blocks, bsize } = await statfs(this.#options.directory);
      this.#disk = { diskFreeBytes: bavail * bsize, diskTotalBytes: blocks * bsize };
    } catch {
      this.#disk = {}; // it cannot be told
    }
    return this.#disk;
  }
}

interface Sources {
  readonly zones: readonly string[];
  readonly coolers: readonly string[];
  /** One, or none where there is none. */
  readonly firmware: readonly string[];
  readonly batteries: readonly string[];
  readonly io: readonly string[];
}

/** Zones of the processor if any says that it is one, else all; and what slows the processor down when it is hot. */
async function findSources(root: string): Promise<Sources> {
  const folder = join(root, 'sys/class/thermal');
  const names = await readdir(folder).catch(() => []);
  const typed = await Promise.all(
    names.sort().map(async (name) => ({ name, type: (await text(join(folder, name, 'type')))?.trim() ?? '' })),
  );
  const zones = typed.filter(({ name }) => name.startsWith('thermal_zone'));
  const ofProcessor = zones.filter(({ type }) => /cpu|pkg|soc/i.test(type));
  const coolers = typed.filter(
    ({ name, type }) => name.startsWith('cooling_device') && /cpufreq|^Processor$/.test(type),
  );
  return {
    zones: (ofProcessor.length > 0 ? ofProcessor : zones).map(({ name }) => join(folder, name, 'temp')),
    coolers: coolers.map(({ name }) => join(folder, name, 'cur_state')),
    batteries: await findBatteries(root),
    firmware: await ifThere(join(root, 'sys/devices/platform/soc/soc:firmware/get_throttled')),
    io: await ifThere(join(root, 'proc/self/io')),
  };
}

/** Those of the machine itself: a mouse has one too. */
async function findBatteries(root: string): Promise<string[]> {
  const folder = join(root, 'sys/class/power_supply');
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(
    names.sort().map(async (name) => {
      const [type, scope] = await Promise.all(['type', 'scope'].map((file) => text(join(folder, name, file))));
      return /^(Battery|UPS)$/.test(type?.trim() ?? '') && scope?.trim() !== 'Device' ? [join(folder, name)] : [];
    }),
  );
  return found.flat();
}

/** While it gives power; of several the fullest. Whole percent. */
function discharging(batteries: readonly (readonly (string | undefined)[])[]): Vitals {
  const inUse = batteries.filter(([status]) => status?.trim() === 'Discharging').map((each) => wholeOf(each[1]) / 100);
  const known = inUse.filter((share) => share >= 0 && share <= 1);
  return known.length === 0 ? {} : { batteryShare: Math.max(...known) };
}

/** Thousandths of a degree. A sensor that is off says something that no machine in use has. */
function hottest(readings: readonly (string | undefined)[]): Vitals {
  const celsius = readings.map((reading) => wholeOf(reading) / 1_000).filter((each) => each > -100 && each < 200);
  return celsius.length === 0 ? {} : { temperatureCelsius: Math.max(...celsius) };
}

function throttled(firmware: string | undefined, states: readonly (string | undefined)[]): Vitals {
  const bits = /^(0x)?[0-9a-f]+$/i.test(firmware?.trim() ?? '') ? Number.parseInt(firmware!.trim(), 16) : undefined;
  const steps = states.map(wholeOf).filter((each) => !Number.isNaN(each));
  if (bits === undefined && steps.length === 0) return {};
  return { isThrottled: ((bits ?? 0) & throttledBits) !== 0 || steps.some((each) => each > 0) };
}

/** What really went to a disk, less what was deleted before it got there. */
function written(io: string | undefined): Vitals {
  const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io ?? '')?.[1] ?? Number.NaN);
  const bytes = field('write_bytes') - field('cancelled_write_bytes');
  return Number.isNaN(bytes) ? {} : { writtenBytes: Math.max(0, bytes) };
}

function wholeOf(reading: string | undefined): number {
  return /^-?\d+\s*$/.test(reading ?? '') ? Number(reading) : Number.NaN;
}

async function ifThere(file: string): Promise<string[]> {
  return (await text(file)) === undefined ? [] : [file];
}

/** Undefined where there is no such file, or no reading it: some sensors fail now and then. */
async function text(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}
