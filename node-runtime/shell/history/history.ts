import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type HistoryAsk,
  type HistoryPage,
  type HistoryResolution,
  historyMetric,
  historyResolution,
  limits,
} from '../../contract/index.ts';
import type { Sample } from '../sampler.ts';
import { agesOf } from './ages.ts';
import { Means } from './means.ts';
import type { HistoryRecord, HistoryValues } from './record.ts';
import { Ring, type RingSize } from './ring.ts';

export interface HistoryOptions {
  readonly directory: string;
  /** How far apart samples are: 5 s unless a test is in a hurry; all else is a multiple of it. */
  readonly sampleIntervalMs: number;
  /** What was lost, and why: never a reason to stop. */
  readonly onProblem: (text: string) => void;
}

/**
 * The three resolutions, the finest first: how many samples a record spans, and the size of the file. A restart leaves a
 * block that is not full, hence a quarter more blocks than an hour, a day and a month have. Of what waits to fill a block only
 * the finest can be lost: the others are made again from it.
 */
const resolutions = {
  '5s': { samples: 1, size: { blocks: 75, recordsPerBlock: 12 } },
  '1m': { samples: 12, size: { blocks: 120, recordsPerBlock: 15 } },
  '5m': { samples: 60, size: { blocks: 900, recordsPerBlock: 12 } },
} satisfies Record<HistoryResolution, { samples: number; size: RingSize }>;

/** What this machine has measured, on its disk. */
export class History {
  readonly #options: HistoryOptions;
  readonly #rings: readonly Ring[];
  readonly #means: readonly Means[];
  readonly #run: number;
  /** One thing after the other. */
  #queue: Promise<unknown> = Promise.resolve();
  #asked = 0;
  #failing = false;

  private constructor(options: HistoryOptions, rings: readonly Ring[]) {
    this.#options = options;
    this.#rings = rings;
    this.#means = this.#spansMs().map((spanMs) => new Means(spanMs));
    this.#run = 1 + Math.max(0, ...rings.map(({ last }) => last?.run ?? 0));
  }

  /** Throws what the file system throws. */
  static async open(options: HistoryOptions): Promise<History> {
    const { directory, onProblem } = options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const rings: Ring[] = [];
    try {
      for (const resolution of historyResolution.options) {
        const { ring, damaged } = await Ring.open(join(directory, resolution), resolutions[resolution].size);
        rings.push(ring);
        if (damaged > 0) onProblem(`history: ${damaged} blocks of ${resolution} cannot be read and are left out`);
      }
      const history = new History(options, rings);
      await history.#catchUp();
      return history;
    } catch (error) {
      await Promise.all(rings.map((ring) => ring.close()));
      throw error;
    }
  }

  #spansMs(): number[] {
    const { sampleIntervalMs } = this.#options;
    return historyResolution.options.slice(1).map((each) => resolutions[each].samples * sampleIntervalMs);
  }

  /** The means that were not written yet when the last run ended, from what they are means of. */
  async #catchUp(): Promise<void> {
    for (const [index, spanMs] of this.#spansMs().entries()) {
      const ring = this.#rings[index + 1]!;
      const finer = await this.#rings[index]!.read();
      for (const mean of Means.after(ring.last, finer, spanMs)) await this.#telling(() => ring.add(mean));
    }
  }

  /** Never fails: what cannot be written is told, and lost. */
  add(sample: Sample, wallMs: number): void {
    const record = { run: this.#run, atMs: sample.atMs, wallMs, samples: 1, values: valuesOf(sample) };
    void this.#enqueue(() => this.#telling(() => this.#add(0, record)));
  }

  /** A disk that fails is told once, until something was written again: not every minute. */
  async #telling(write: () => Promise<void>): Promise<void> {
    const writtenBytes = this.#writtenBytes;
    try {
      await write();
      if (this.#writtenBytes > writtenBytes) this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.onProblem(`history is not written: ${(error as Error).message}`);
      this.#failing = true;
    }
  }

  get #writtenBytes(): number {
    return this.#rings.reduce((sum, ring) => sum + ring.writtenBytes, 0);
  }

  async #add(index: number, record: HistoryRecord): Promise<void> {
    const ring = this.#rings[index]!;
    let failure: unknown;
    // A coarser mean needs no disk to be made.
    await ring.add(record).catch((error: unknown) => {
      failure = error;
    });
    const mean = this.#means[index]?.take(ring.last!);
    if (mean !== undefined) await this.#add(index + 1, mean);
    if (failure !== undefined) throw failure;
  }

  /** Undefined when too many wait already: whoever asked asks again. Rejects with what the file system says. */
  page(
    ask: HistoryAsk,
    clocks: () => { readonly atMs: number; readonly wallMs: number },
  ): Promise<HistoryPage | undefined> {
    if (this.#asked >= limits.historyRequestsHeld) return Promise.resolve(undefined);
    this.#asked += 1;
    return this.#enqueue(() => this.#page(ask, clocks())).finally(() => {
      this.#asked -= 1;
    });
  }

  async #page(ask: HistoryAsk, clocks: { readonly atMs: number; readonly wallMs: number }): Promise<HistoryPage> {
    const { resolution, sinceMs = Number.POSITIVE_INFINITY, from = 0, metrics = historyMetric.options } = ask;
    const records = await this.#rings[historyResolution.options.indexOf(resolution)]!.read();
    const ages = agesOf(records, { run: this.#run, ...clocks });
    const wanted = records
      .map((record, index) => ({ record, ageMs: ages[index]! }))
      .filter(({ record, ageMs }) => record.position >= from && ageMs <= sinceMs);
    const given = wanted.slice(0, limits.historySamplesPerAnswer);
    const values = Object.fromEntries(
      metrics.map((metric) => [metric, given.map(({ record }) => shown(record.values[metric]))]),
    );
    return {
      agesMs: given.map(({ ageMs }) => ageMs),
      runs: given.map(({ record }) => record.run),
      values,
      intervalMs: resolutions[resolution].samples * this.#options.sampleIntervalMs,
      ...(given.length < wanted.length ? { next: wanted[given.length]!.record.position } : {}),
      diskBytesMost: this.#rings.reduce((sum, ring) => sum + ring.sizeBytesMost, 0),
      writtenBytes: this.#writtenBytes,
    };
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  /** Writes the samples that wait. What they are means of is made again from them. */
  close(): Promise<void> {
    return this.#enqueue(async () => {
      await this.#telling(() => this.#rings[0]!.flush());
      await Promise.all(this.#rings.map((ring) => ring.close()));
    });
  }
}

function valuesOf({ isThrottled, ...sample }: Sample): HistoryValues {
  return {
    ...sample,
    cpuShareMost: sample.cpuShare,
    cpuBackgroundShareMost: sample.cpuBackgroundShare,
    ...(isThrottled === undefined ? {} : { isThrottled: isThrottled ? 1 : 0 }),
  };
}

/** As many digits as were kept. */
function shown(value: number | undefined): number | null {
  return value === undefined ? null : Number(value.toPrecision(5));
}
