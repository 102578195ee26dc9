import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { writeDurably } from '../durable-file.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;
const hoursKept = 24;
const saveMs = 60_000;
const trafficFile = z.record(z.string().regex(/^\d+$/), z.number().int().min(0));

/** What was sent and received, by the hour, in the last 24 hours: it goes on after a restart. */
export class Traffic {
  readonly #file: string;
  readonly #hours: Map<number, number>;
  #seenBytes = 0;
  #savedMs = Number.NEGATIVE_INFINITY;
  #isSaved = true;

  private constructor(file: string, hours: Map<number, number>) {
    this.#file = file;
    this.#hours = hours;
  }

  /** What cannot be read is forgotten. */
  static async open(file: string): Promise<Traffic> {
    const text = await readFile(file, 'utf8').catch(() => '{}');
    let known: unknown;
    try {
      known = JSON.parse(text);
    } catch {
      known = {}; // cut off
    }
    const parsed = trafficFile.safeParse(known);
    return new Traffic(file, new Map(Object.entries(parsed.data ?? {}).map(([hour, bytes]) => [Number(hour), bytes])));
  }

  /**
   * @param bytes sent and received since the start
   * @returns those of the last 24 hours
   */
  count(bytes: number, wallMs: number): number {
    const hour = Math.floor(wallMs / hourMs);
    const more = Math.max(0, bytes - this.#seenBytes);
    this.#seenBytes = bytes;
    if (more > 0) {
      this.#hours.set(hour, (this.#hours.get(hour) ?? 0) + more);
      this.#isSaved = false;
    }
    // An hour that is to come was counted by a clock that was set back since: it goes when it would have.
    for (const each of this.#hours.keys())
      if (each <= hour - hoursKept || each > hour + hoursKept) this.#hours.delete(each);
    return this.#countingAt(wallMs);
  }

  /**
   * What `count` will say now and at each minute of the clock, if it goes on as in the last hour; what passes `most` takes no work, and brings
   * nothing about.
   */
  ahead(wallMs: number, forMs: number, most: number): { readonly afterMs: number; readonly bytes: number }[] {
    const hour = Math.floor(wallMs / hourMs);
    const ofHourBefore = 1 - (wallMs / hourMs - hour);
    const inLastHour = (this.#hours.get(hour) ?? 0) + (this.#hours.get(hour - 1) ?? 0) * ofHourBefore;
    const moments = [{ afterMs: 0, bytes: this.#countingAt(wallMs) }];
    let moreBytes = 0;
    for (let afterMs = 0; ; ) {
      const stepMs = minuteMs - ((wallMs + afterMs) % minuteMs);
      if (afterMs + stepMs > forMs) return moments;
      if (moments.at(-1)!.bytes < most) moreBytes += (inLastHour / hourMs) * stepMs;
      afterMs += stepMs;
      moments.push({ afterMs, bytes: this.#countingAt(wallMs + afterMs) + moreBytes });
    }
  }

  /** Of what was counted, what counts at this moment. */
  #countingAt(wallMs: number): number {
    const hour = Math.floor(wallMs / hourMs);
    let sum = 0;
    for (const [each, inHour] of this.#hours) if (each > hour - hoursKept) sum += inHour;
    return sum;
  }

  /** At most once a minute, unless it is the last time. */
  async save(nowMs: number): Promise<void> {
    if (this.#isSaved || nowMs - this.#savedMs < saveMs) return;
    this.#savedMs = nowMs;
    this.#isSaved = true;
    await writeDurably(this.#file, `${JSON.stringify(Object.fromEntries(this.#hours))}\n`);
  }
}
