/** A stretch of time in which clocks are not turned: [fromS, endS), seconds since 1970. */
export interface Stretch {
  readonly fromS: number;
  readonly endS: number;
  /** Wall clock minus UTC, in seconds. */
  readonly offsetS: number;
}

/** What is east of Greenwich at a time, in seconds. */
export type OffsetAt = (atS: number) => number;

/** Throws when this machine does not know the time zone. */
export function offsetsOf(timezone: string): OffsetAt {
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (atS) => {
    const parts = clock.formatToParts(new Date(atS * 1_000));
    const of = (type: string) => Number(parts.find((part) => part.type === type)?.value);
    const wallMs = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
    return wallMs / 1_000 - atS;
  };
}

/** The stretch that begins there: it ends where clocks are turned, or after `mostS` at the latest, less than what lies between two turns. */
export function stretchFrom(offsetAt: OffsetAt, fromS: number, mostS: number): Stretch {
  const offsetS = offsetAt(fromS);
  let same = fromS;
  let other = fromS + mostS;
  if (offsetAt(other) === offsetS) return { fromS, endS: other, offsetS };
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2);
    if (offsetAt(middle) === offsetS) same = middle;
    else other = middle;
  }
  return { fromS, endS: other, offsetS };
}
