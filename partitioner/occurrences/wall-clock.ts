import { createTask, validateDetailed } from 'node-cron';

/**
 * How far a match is looked for. The rarest date that a pattern can name, 29 February on one day of the week, comes at
 * least once in so many years, the turn of a century that is no leap year included.
 */
export const yearsSearched = 40;

const dayS = 86_400;
const daysSearched = yearsSearched * 366;

/** What a pattern says of a wall clock, in seconds since 1970 as if that clock never were turned. */
export interface WallPattern {
  /** It recurs by the minute or by the hour (one of these fields begins with `*`), not at times of the day. */
  readonly recurs: boolean;
  /** The first second that matches, not before that one; undefined when none does in `yearsSearched`. */
  first(fromS: number): number | undefined;
}

/** Throws an error that says which field is wrong. */
export function wallPatternOf(cron: string): WallPattern {
  const pattern = cron.trim().replace(/\s+/g, ' ');
  // Of a number with more digits an endless list would be made before it is found to be too large.
  if (/\d{3}/.test(pattern)) throw new Error('a number in it has more than two digits');
  const { fields, errors } = validateDetailed(pattern);
  if (fields === undefined) throw new Error(errors.map(inWords).join('; '));
  const { hour, minute, second, month } = fields;
  const times = { hours: sorted(hour), minutes: sorted(minute), seconds: sorted(second) };
  const matches = matcherOf(pattern);
  const oneTimeS = firstTime(times, 0)!;
  const isDay = (day: number) => matches((day * dayS + oneTimeS) * 1_000);
  /** What was found last: whoever looks around for the latest asks again and again across the same years. */
  let known = { fromS: Number.POSITIVE_INFINITY, foundS: Number.NEGATIVE_INFINITY };
  const isKnown = (atS: number) => known.fromS <= atS && atS <= known.foundS;
  const search = (fromS: number): number | undefined => {
    const startDay = Math.floor(fromS / dayS);
    const today = firstTime(times, fromS - startDay * dayS);
    if (today !== undefined && isDay(startDay)) return startDay * dayS + today;
    for (let day = startDay + 1; day <= startDay + daysSearched; day += 1) {
      if (isKnown(day * dayS)) return known.foundS;
      const date = new Date(day * dayS * 1_000);
      if (Number.isNaN(date.getTime())) return undefined;
      if (!month.includes(date.getUTCMonth() + 1)) day = lastOfMonth(date.getUTCFullYear(), date.getUTCMonth());
      else if (isDay(day)) return day * dayS + oneTimeS;
    }
    return undefined;
  };
  const first = (fromS: number): number | undefined => {
    if (isKnown(fromS)) return known.foundS;
    const foundS = search(fromS);
    if (foundS !== undefined) known = { fromS, foundS };
    return foundS;
  };
  return { recurs: recurs(pattern), first };
}

/** It only tells whether a time matches. It is never started, and taken off the list that node-cron keeps of its tasks. */
function matcherOf(pattern: string): (atMs: number) => boolean {
  const task = createTask(pattern, () => undefined, { timezone: 'UTC' });
  void task.destroy();
  return (atMs) => task.match(new Date(atMs));
}

function inWords({ field, value, message }: { field: string; value?: string; message: string }): string {
  if (/impossible/.test(message)) return 'it never comes';
  return value === undefined || field === 'expression' ? message : `${field}: ${value} is none of its values`;
}

function recurs(pattern: string): boolean {
  if (pattern.startsWith('@')) return pattern.toLowerCase() === '@hourly';
  const fields = pattern.split(' ');
  return fields.slice(-5, -3).some((field) => field.startsWith('*'));
}

function sorted(values: readonly number[]): readonly number[] {
  return [...values].sort((a, b) => a - b);
}

interface Times {
  readonly hours: readonly number[];
  readonly minutes: readonly number[];
  readonly seconds: readonly number[];
}

/** The first time of the day that is not before that second of it. */
function firstTime({ hours, minutes, seconds }: Times, fromS: number): number | undefined {
  for (const hour of hours) {
    if (hour * 3_600 + 3_599 < fromS) continue;
    for (const minute of minutes) {
      const minuteS = hour * 3_600 + minute * 60;
      if (minuteS + 59 < fromS) continue;
      const second = seconds.find((each) => minuteS + each >= fromS);
      if (second !== undefined) return minuteS + second;
    }
  }
  return undefined;
}

/** Days since 1970. */
function lastOfMonth(year: number, month: number): number {
  return Date.UTC(year, month + 1, 0) / (dayS * 1_000);
}
