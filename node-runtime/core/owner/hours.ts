import { hoursPattern } from '../../contract/index.ts';

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const minutesOfDay = 24 * 60;

/** A moment by the clock on the wall of the device: 0 is Sunday, and the minute since midnight. */
export interface LocalTime {
  readonly weekday: number;
  readonly minute: number;
}

/** Whether the moment lies in `22:00-07:00` or `Mon-Fri 18:00-08:00`: the days are those on which it begins. */
export function isWithin(hours: string, { weekday, minute }: LocalTime): boolean {
  const match = hoursPattern.exec(hours);
  if (match === null) throw new Error(`not checked by its schema: ${hours}`);
  const [, first, last = first, fromHour, fromMinute, toHour, toMinute] = match;
  const from = Number(fromHour) * 60 + Number(fromMinute);
  const to = Number(toHour) * 60 + Number(toMinute);
  const begins = (day: number) => first === undefined || isDayWithin(day, days.indexOf(first), days.indexOf(last!));
  const endsAt = to > from ? to : to + minutesOfDay;
  const yesterday = (weekday + 6) % 7;
  return (
    (begins(weekday) && minute >= from && minute < endsAt) || (begins(yesterday) && minute + minutesOfDay < endsAt)
  );
}

function isDayWithin(day: number, first: number, last: number): boolean {
  return first <= last ? day >= first && day <= last : day >= first || day <= last;
}
