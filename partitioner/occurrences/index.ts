import { type OffsetAt, offsetsOf, stretchFrom } from './time-zone.ts';
import { type WallPattern, wallPatternOf, yearsSearched } from './wall-clock.ts';

/** How often, and by whose wall clock. */
export interface CronSchedule {
  /** Five fields (minute hour day month weekday), six with seconds first, or `@daily` and the like. A day must fit day, month and weekday. */
  readonly cron: string;
  /** Of the IANA database: `Europe/Berlin`. */
  readonly timezone: string;
}

/** When it is due; milliseconds since 1970. No clock is read: the same schedule and time give the same answer, everywhere. */
export interface CronOccurrences {
  /** The first one later than that; undefined when none comes in 40 years. */
  next(afterMs: number): number | undefined;
  /** The last one not later than that; undefined when there was none in 40 years. */
  latest(untilMs: number): number | undefined;
}

const dayS = 86_400;
const searchedS = yearsSearched * 366 * dayS;

/**
 * The occurrences of a schedule; in words, what is wrong with it or why this machine cannot tell (it may lack the time zone).
 *
 * Where clocks are turned, as Vixie's cron does: a time of day that is left out comes at the moment of the turn, one that
 * comes twice counts the first time; what recurs by the minute or by the hour goes on evenly.
 */
export function occurrencesOf({ cron, timezone }: CronSchedule): CronOccurrences | string {
  const offsetAt = orElse(() => offsetsOf(timezone));
  if (offsetAt instanceof Error) return `the time zone ${timezone} is not known here`;
  const pattern = orElse(() => wallPatternOf(cron));
  if (pattern instanceof Error) return pattern.message;
  if (pattern.first(0) === undefined) return 'it never comes';
  return {
    next: (afterMs) => inMs(nextOf(pattern, offsetAt, Math.floor(afterMs / 1_000))),
    latest: (untilMs) => inMs(latestOf(pattern, offsetAt, Math.floor(untilMs / 1_000))),
  };
}

/**
 * Goes from one stretch between two turns to the next. It begins a day early: whether a time of day has been there before
 * depends on the turn before.
 */
function nextOf(pattern: WallPattern, offsetAt: OffsetAt, afterS: number): number | undefined {
  // Beyond what a date can be there are no times.
  if (!(Math.abs(afterS) < 8.64e12 - searchedS - 4 * dayS)) return undefined;
  let fromS = afterS - dayS;
  /** The wall clock has shown everything before this. */
  let shownS = Number.NEGATIVE_INFINITY;
  while (fromS < afterS + searchedS) {
    const stretch = stretchFrom(offsetAt, fromS, dayS);
    const { endS, offsetS } = stretch;
    const wallS = Math.max(shownS, Math.max(fromS, afterS + 1) + offsetS);
    const foundS = pattern.first(wallS);
    if (foundS === undefined) return undefined;
    if (foundS - offsetS < endS) return foundS - offsetS;
    const turnedS = offsetAt(endS) - offsetS;
    const leftOut = foundS < endS + offsetS + turnedS;
    if (turnedS > 0 && leftOut && !pattern.recurs && endS > afterS) return endS;
    if (turnedS < 0 && !pattern.recurs) shownS = endS + offsetS;
    // No wall clock that was passed over shows a match, not even turned back by a day.
    const passedS = turnedS === 0 && endS > afterS + dayS ? foundS - offsetS - dayS : endS;
    fromS = Math.max(endS, passedS);
  }
  return undefined;
}

/** By trying from when on the next one is not too late. */
function latestOf(pattern: WallPattern, offsetAt: OffsetAt, untilS: number): number | undefined {
  const notLater = (afterS: number): number | undefined => {
    const foundS = nextOf(pattern, offsetAt, afterS);
    return foundS === undefined || foundS > untilS ? undefined : foundS;
  };
  let backS = 1;
  let latestS = notLater(untilS - backS);
  while (latestS === undefined && backS < searchedS) {
    backS *= 2;
    latestS = notLater(untilS - backS);
  }
  if (latestS === undefined) return undefined;
  for (let tooLateS = untilS; tooLateS - latestS > 0; ) {
    const middleS = Math.floor((latestS + tooLateS) / 2);
    const foundS = notLater(middleS);
    if (foundS === undefined) tooLateS = middleS;
    else latestS = foundS;
  }
  return latestS;
}

function inMs(atS: number | undefined): number | undefined {
  return atS === undefined ? undefined : atS * 1_000;
}

function orElse<T>(make: () => T): T | Error {
  try {
    return make();
  } catch (error) {
    return error as Error;
  }
}
