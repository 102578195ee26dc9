import type { HistoryRecord } from './record.ts';

/** Now, by the three clocks of a record. */
export type Moment = Pick<HistoryRecord, 'run' | 'atMs' | 'wallMs'>;

/**
 * How long ago each record was, the oldest first. Inside a run only the clock that does not jump counts. Between runs only the
 * wall clock goes on, and it may have been wrong: a run cannot have ended after a later one began, whatever it says.
 */
export function agesOf(records: readonly HistoryRecord[], now: Moment): number[] {
  const ages = new Array<number>(records.length);
  let later: Moment = now;
  let laterAgeMs = 0;
  for (let index = records.length - 1; index >= 0; index -= 1) {
    const record = records[index]!;
    const ageMs =
      record.run === later.run
        ? laterAgeMs + (later.atMs - record.atMs)
        : // `atMs` of the later one is the time since its run began.
          Math.max(laterAgeMs + later.atMs, now.wallMs - record.wallMs);
    laterAgeMs = Math.max(laterAgeMs, Math.round(ageMs));
    ages[index] = laterAgeMs;
    later = record;
  }
  return ages;
}
