/**
 * What a device is expected to give over time, as a share of its nominal speed: constant between two times, and the last
 * rate for ever. A task of cost `c` that starts at `s` ends where the integral of the rate from `s` reaches `c`.
 */
export interface CapacityCurve {
  /** When each rate but the last ends; seconds from the beginning, ascending. */
  readonly untilSeconds: ArrayLike<number>;
  /** One more than `untilSeconds`; 0: nothing is to be had then. */
  readonly rates: ArrayLike<number>;
}

/** What it gives between two times, seconds at rate 1; only while it gives at least `rateLeast`. */
export function givenBetween(
  { untilSeconds, rates }: CapacityCurve,
  fromSeconds: number,
  toSeconds: number,
  rateLeast = 0,
): number {
  const last = untilSeconds.length;
  let given = 0;
  let at = fromSeconds;
  for (let phase = 0; phase <= last && at < toSeconds; phase += 1) {
    const until = phase < last ? Math.min(toSeconds, untilSeconds[phase]!) : toSeconds;
    if (until <= at) continue;
    if (rates[phase]! > 0 && rates[phase]! >= rateLeast) given += (until - at) * rates[phase]!;
    at = until;
  }
  return given;
}

/** When a task of that cost (seconds at rate 1) ends; Infinity: never. */
export function finishUnder({ untilSeconds, rates }: CapacityCurve, startSeconds: number, costSeconds: number): number {
  const last = untilSeconds.length;
  let phase = 0;
  while (phase < last && untilSeconds[phase]! <= startSeconds) phase += 1;
  let at = startSeconds;
  let left = costSeconds;
  for (; phase < last; phase += 1) {
    const until = untilSeconds[phase]!;
    const possible = (until - at) * rates[phase]!;
    if (possible >= left) return left === 0 ? at : at + left / rates[phase]!;
    left -= possible;
    at = until;
  }
  return left === 0 ? at : at + left / rates[last]!;
}
