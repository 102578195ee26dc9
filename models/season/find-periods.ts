export interface Period {
  /** Length in steps, a whole number or not. */
  readonly period: number;
  /** Autocorrelation at that lag, less the line and the seasons found before it: 0 to 1. */
  readonly strength: number;
}

/** Shortest period that counts as one: two steps that alternate are noise or a matter for ARIMA. */
const periodLeast = 3;
/** A season must correlate with itself at least that much, the more the fewer times it was seen. */
const strengthLeast = 0.2;
const strengthAtTwoPeriods = 0.55;
/** In standard errors of an autocorrelation of white noise; many lags are looked at. */
const standardErrorsLeast = 3.5;
/** A hint needs that share of what any other period needs: it was likely before the series was seen. */
const hintShare = 0.6;
/** Share of the values on either side that are clipped to the next one: outliers weigh little. */
const clippedShare = 0.01;
/** By how many times the needed strength a hill must stand above the valleys on both sides. */
const prominenceLeast = 1.4;
/** A shorter hill of that share of the highest is taken first: multiples of a period correlate as well as it does. */
const shortestShare = 0.75;
const periodsMost = 3;
/** A period that is no whole number of steps leaves at most that share unexplained of what the whole number leaves. */
const fractionShareMost = 0.7;

/**
 * The periods of a series, found as hills of its autocorrelation (Vlachos, Yu and Castelli 2005, without their periodogram): the
 * shortest high hill is taken, what it explains is removed, and the rest is searched again. A period must be held twice.
 * Missing values are not allowed. `hints` (in steps; a day, a week) need less evidence, are taken first, and a hill
 * beside a hint is taken for it. Costs about length^2 / 3 multiplications per period.
 */
export function findPeriods(values: Float64Array, hints: readonly number[] = []): Period[] {
  const found: Period[] = [];
  let rest = withoutLine(clipped(values));
  while (found.length < periodsMost) {
    // Farther than half of the series, to see whether a hill at its end goes on to rise.
    const half = Math.floor(rest.length / 2);
    const correlations = autocorrelations(rest, Math.min(rest.length - 1, half + reachOf(half)));
    const hills = hillsOf(correlations, half, rest.length, hints).filter(
      (hill) => !found.some(({ period }) => Math.abs(period - hill.period) <= Math.max(1, period / 8)),
    );
    const next = shortest(hills);
    if (next === undefined) break;
    found.push(next);
    rest = withoutSeason(rest, next.period);
  }
  return found;
}

interface Hill extends Period {
  readonly hinted: boolean;
}

function hillsOf(correlations: Float64Array, most: number, length: number, hints: readonly number[]): Hill[] {
  const hills: Hill[] = [];
  for (let lag = periodLeast; lag <= most; lag += 1) {
    const strength = correlations[lag]!;
    const hint = hints.find((period) => Math.abs(period - lag) <= Math.max(1, period / 24));
    const needed =
      (hint === undefined ? 1 : hintShare) *
      Math.max(
        strengthLeast,
        strengthAtTwoPeriods / Math.sqrt(length / lag - 1),
        standardErrorsLeast / Math.sqrt(length - lag),
      );
    if (strength < needed || !isTop(correlations, lag)) continue;
    const before = least(correlations, Math.ceil(lag / 2), lag);
    const after = least(correlations, lag, Math.min(most, Math.floor(1.5 * lag)));
    // Much beyond half of the series nothing is known: there the valley before must do.
    const valley = lag * 1.25 <= most ? Math.max(before, after) : before;
    if (strength - valley < prominenceLeast * needed) continue;
    const held = hint !== undefined && Math.round(hint) <= most;
    hills.push({
      period: held ? Math.round(hint) : refined(correlations.subarray(0, most + 1), lag),
      strength,
      hinted: held,
    });
  }
  return hills;
}

function shortest(hills: readonly Hill[]): Period | undefined {
  const highest = Math.max(...hills.map(({ strength }) => strength));
  const first = hills.find(({ hinted }) => hinted) ?? hills.find(({ strength }) => strength >= shortestShare * highest);
  return first && { period: first.period, strength: first.strength };
}

/**
 * The length near `lag` whose multiples correlate best: the top of one hill is blunt, that of a late multiple tells fractions of a step. It is a whole
 * number unless one that is not leaves clearly less unexplained.
 */
function refined(correlations: Float64Array, lag: number): number {
  const reach = Math.floor(lag / 12);
  const whole = bestLength(correlations, lag - reach, lag + reach, 1);
  const around = Math.max(0.5, reach);
  const part = bestLength(correlations, lag - around, lag + around, Math.floor((correlations.length - 1) / lag));
  return 1 - part.mean < fractionShareMost * (1 - whole.mean) ? part.length : whole.length;
}

/** Of the lengths from `low` to `high`, so many to a step, the one at whose multiples the mean correlation is highest; between lags, on lines. */
function bestLength(correlations: Float64Array, low: number, high: number, fractions: number) {
  const last = correlations.length - 1;
  let best = { length: low, mean: Number.NEGATIVE_INFINITY };
  for (let part = Math.ceil(low * fractions); part <= high * fractions; part += 1) {
    const length = part / fractions;
    let sum = 0;
    let count = 0;
    for (let multiple = length; multiple <= last; multiple += length) {
      const below = Math.min(last - 1, Math.floor(multiple));
      sum += correlations[below]! + (multiple - below) * (correlations[below + 1]! - correlations[below]!);
      count += 1;
    }
    if (count > 0 && sum / count > best.mean) best = { length, mean: sum / count };
  }
  return best;
}

/** How far a hill reaches from its top, at least. */
function reachOf(lag: number): number {
  return Math.max(1, Math.floor(lag / 8));
}

/** Whether no lag within an eighth of it correlates better. */
function isTop(correlations: Float64Array, lag: number): boolean {
  const reach = reachOf(lag);
  const last = Math.min(correlations.length - 1, lag + reach);
  for (let other = lag - reach; other <= last; other += 1) if (correlations[other]! > correlations[lag]!) return false;
  return true;
}

function least(values: Float64Array, first: number, last: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let index = first; index <= last; index += 1) least = Math.min(least, values[index]!);
  return least;
}

/** Correlations of the series with itself 0 to `most` steps later, each over the values that both have. */
function autocorrelations(series: Float64Array, most: number): Float64Array {
  const squares = new Float64Array(series.length + 1);
  for (const [index, value] of series.entries()) squares[index + 1] = squares[index]! + value ** 2;
  const total = squares[series.length]!;
  return Float64Array.from({ length: most + 1 }, (_, lag) => {
    let sum = 0;
    for (let index = lag; index < series.length; index += 1) sum += series[index]! * series[index - lag]!;
    const norm = Math.sqrt(squares[series.length - lag]! * (total - squares[lag]!));
    return norm > 0 ? sum / norm : 0;
  });
}

/** The series less its least-squares line. */
function withoutLine(values: Float64Array): Float64Array {
  const center = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let covariance = 0;
  let variance = 0;
  for (const [index, value] of values.entries()) {
    covariance += (index - center) * (value - mean);
    variance += (index - center) ** 2;
  }
  const slope = variance > 0 ? covariance / variance : 0;
  return values.map((value, index) => value - mean - slope * (index - center));
}

function withoutSeason(values: Float64Array, period: number): Float64Array {
  const sums = new Float64Array(Math.ceil(period));
  const counts = new Float64Array(Math.ceil(period));
  const phase = (index: number) => Math.floor(index % period);
  for (const [index, value] of values.entries()) {
    sums[phase(index)]! += value;
    counts[phase(index)]! += 1;
  }
  return values.map((value, index) => value - sums[phase(index)]! / counts[phase(index)]!);
}

function clipped(values: Float64Array): Float64Array {
  const sorted = Float64Array.from(values).sort();
  const count = Math.ceil(clippedShare * values.length);
  const low = sorted[count]!;
  const high = sorted[values.length - 1 - count]!;
  return values.map((value) => Math.min(high, Math.max(low, value)));
}
