import { Cron } from 'croner';

/** How often, and by whose wall clock. */
export interface CronSchedule {
  /** Five fields (minute hour day month weekday), six with seconds first, or `@daily` and the like. */
  readonly cron: string;
  /** Of the IANA database: `Europe/Berlin`. */
  readonly timezone: string;
}

/** When it is due; milliseconds since 1970. No clock is read: the same schedule and time give the same answer, everywhere. */
export interface CronOccurrences {
  /** The first one later than that; undefined when there is none. */
  next(afterMs: number): number | undefined;
  /** The last one not later than that; undefined when there is none. */
  latest(untilMs: number): number | undefined;
}

/**
 * The occurrences of a schedule; in words, what is wrong with it or why this machine cannot tell (it may lack the time zone).
 *
 * Where clocks are turned, as Vixie's cron does: a time of day that is left out comes at the moment of the turn, one that
 * comes twice counts the first time; what recurs by the minute or by the hour goes on evenly.
 */
export function occurrencesOf({ cron, timezone }: CronSchedule): CronOccurrences | string {
  try {
    // Paused, and without a function: nothing is ever timed.
    const pattern = new Cron(cron.trim(), { timezone, paused: true, mode: '5-or-6-parts' });
    const occurrences: CronOccurrences = {
      next: (afterMs) => orNone(() => pattern.nextRun(new Date(afterMs))),
      // It looks strictly before a time, by the whole second.
      latest: (untilMs) => orNone(() => pattern.previousRuns(1, new Date(untilMs + 1))[0]),
    };
    // The time zone is looked up here first.
    return pattern.nextRun(new Date(0)) === null ? 'it never comes' : occurrences;
  } catch (error) {
    return whatIsWrong((error as Error).message, timezone);
  }
}

function whatIsWrong(message: string, timezone: string): string {
  if (/time ?zone/i.test(message)) return `the time zone ${timezone} is not known here`;
  return message.replace(/^Cron\w+: /, '');
}

/** A time beyond what a date can be has no neighbours. */
function orNone(find: () => { getTime(): number } | null | undefined): number | undefined {
  try {
    return find()?.getTime();
  } catch {
    return undefined;
  }
}
