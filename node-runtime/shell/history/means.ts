import type { HistoryMetric } from '../../contract/index.ts';
import { fields, type HistoryRecord } from './record.ts';

/** Puts records of equal spans of time together, each span of one run a record. */
export class Means {
  readonly #spanMs: number;
  #open: HistoryRecord[] = [];

  constructor(spanMs: number) {
    this.#spanMs = spanMs;
  }

  /** Takes the next record; gives the mean of a span that it shows to be over. */
  take(record: HistoryRecord): HistoryRecord | undefined {
    const last = this.#open.at(-1);
    const isOver = last !== undefined && comparePlaces(this.#placeOf(last), this.#placeOf(record)) !== 0;
    const mean = isOver ? this.end() : undefined;
    this.#open.push(record);
    return mean;
  }

  /** The mean of the span that was not over. */
  end(): HistoryRecord | undefined {
    const records = this.#open;
    this.#open = [];
    return records.length === 0 ? undefined : meanOf(records);
  }

  /** All spans of these, the last one too, that come after that of `last`. */
  static *after(last: HistoryRecord | undefined, records: readonly HistoryRecord[], spanMs: number) {
    const means = new Means(spanMs);
    const isNew = (mean: HistoryRecord | undefined): mean is HistoryRecord =>
      mean !== undefined && (last === undefined || comparePlaces(means.#placeOf(mean), means.#placeOf(last)) > 0);
    for (const record of records) {
      const mean = means.take(record);
      if (isNew(mean)) yield mean;
    }
    const mean = means.end();
    if (isNew(mean)) yield mean;
  }

  /** A mean has the time of the last of its samples, and so the place of all of them. */
  #placeOf({ run, atMs }: HistoryRecord): readonly [run: number, span: number] {
    return [run, Math.floor(atMs / this.#spanMs)];
  }
}

function comparePlaces(a: readonly [number, number], b: readonly [number, number]): number {
  return a[0] === b[0] ? a[1] - b[1] : a[0] - b[0];
}

function meanOf(records: readonly HistoryRecord[]): HistoryRecord {
  const values: Partial<Record<HistoryMetric, number>> = {};
  for (const { metric, most } of fields) {
    let samples = 0;
    let sum = 0;
    let highest = Number.NEGATIVE_INFINITY;
    for (const record of records) {
      const value = record.values[metric];
      if (value === undefined) continue;
      samples += record.samples;
      sum += value * record.samples;
      highest = Math.max(highest, value);
    }
    if (samples > 0) values[metric] = most ? highest : sum / samples;
  }
  const { run, atMs, wallMs } = records.at(-1)!;
  return { run, atMs, wallMs, samples: records.reduce((sum, { samples }) => sum + samples, 0), values };
}
