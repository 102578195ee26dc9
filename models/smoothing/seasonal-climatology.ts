import type { Forecaster, ForecasterFactory, QuantileCurves, SeriesOptions } from '../forecaster.ts';
import { quantileLevels } from '../forecaster.ts';
import { bounded, PeriodBins } from '../season/profile.ts';
import { SeasonWatch, type SeasonWatchOptions } from '../season/season-watch.ts';

/** Most bins of a period: of a quarter of an hour in a day. */
const binsMost = 96;
/** Values remembered per bin, of several visits to it, and of the series as a whole. */
const valuesPerBin = 24;
const valuesPerVisitMost = 4;
const valuesOverall = 96;
/** What the series as a whole weighs against the first values of a bin, in values; nothing when the bin is full. */
const overallWeight = 8;

/**
 * The distribution of the values at that phase of the season, shrunk to that of the last values as a whole while the phase has been
 * seen seldom. Where no season is seen: that of the last 96 values.
 */
export const seasonalClimatology =
  (options: Pick<SeasonWatchOptions, 'historyValues' | 'periods'> = {}): ForecasterFactory =>
  (series) =>
    new SeasonalClimatology(options, series);

class SeasonalClimatology implements Forecaster {
  readonly model = 'seasonal-climatology';
  readonly #series: SeriesOptions;
  readonly #watch: SeasonWatch;
  readonly #overall = new ValueRing(valuesOverall);
  #period: number | undefined;
  #season: Season | undefined;
  #last = -1;

  constructor(options: Pick<SeasonWatchOptions, 'historyValues' | 'periods'>, series: SeriesOptions) {
    this.#series = series;
    this.#watch = new SeasonWatch({ ...options, intervalMs: series.intervalMs });
  }

  observe(value: number): void {
    const known = Number.isFinite(value) ? bounded(this.#clip(value)) : Number.NaN;
    if (this.#last < 0 && Number.isNaN(known)) return;
    this.#last += 1;
    this.#watch.observe(known);
    this.#overall.push(known);
    const [period] = this.#watch.periods;
    // What else was found beside it is not used: to begin anew from a compact past for that would forget the spread of single values.
    if (period !== this.#period) this.#begin(period);
    else this.#season?.push(known, this.#last);
  }

  forecast(steps: number): QuantileCurves {
    const { intervalMs, range } = this.#series;
    const [q10, q50, q90]: [number[], number[], number[]] = [[], [], []];
    const overall = this.#overall.quantiles();
    const middle = (bounded(range.low) + bounded(range.high)) / 2;
    for (let step = 1; step <= steps; step += 1) {
      const at = overall && (this.#season?.at(this.#last + step, overall) ?? overall);
      q10.push(at === undefined ? range.low : this.#clip(at[0]));
      q50.push(at === undefined ? middle : this.#clip(at[1]));
      q90.push(at === undefined ? range.high : this.#clip(at[2]));
    }
    return { intervalMs, q10, q50, q90 };
  }

  #clip(value: number): number {
    return Math.min(this.#series.range.high, Math.max(this.#series.range.low, value));
  }

  #begin(period: number | undefined): void {
    this.#period = period;
    this.#season = period === undefined ? undefined : new Season(new PeriodBins(period, binsMost));
    const levels = this.#watch.history.levels();
    // From the coarsest: of each the blocks that lie before the next finer one.
    for (let level = levels.length - 1; level >= 0; level -= 1) {
      const { values, stride, first } = levels[level]!;
      const end = levels[level - 1]?.first ?? Number.POSITIVE_INFINITY;
      for (const [index, value] of values.entries()) {
        const at = first + index * stride;
        if (at + stride <= end) this.#season?.push(value, at);
      }
    }
  }
}

type Quantiles = readonly [number, number, number];

/** Values by phase, and their quantiles. */
class Season {
  readonly #bins: PeriodBins;
  readonly #rings: readonly ValueRing[];
  readonly #stride: number;
  #bin = 0;
  #visit = 0;

  constructor(bins: PeriodBins) {
    this.#bins = bins;
    this.#rings = Array.from({ length: bins.count }, () => new ValueRing(valuesPerBin));
    this.#stride = Math.max(1, Math.floor(bins.period / bins.count / valuesPerVisitMost));
  }

  push(value: number, index: number): void {
    const bin = this.#bins.at(index);
    this.#visit = bin === this.#bin ? this.#visit + 1 : 0;
    this.#bin = bin;
    if (this.#visit % this.#stride === 0) this.#rings[bin]!.push(value);
  }

  at(index: number, overall: Quantiles): Quantiles | undefined {
    const ring = this.#rings[this.#bins.at(index)]!;
    const own = ring.quantiles();
    if (own === undefined) return undefined;
    const share = ring.count / (ring.count + overallWeight * (1 - ring.count / valuesPerBin));
    const shrunk = (level: 0 | 1 | 2) => share * own[level] + (1 - share) * overall[level];
    return [shrunk(0), shrunk(1), shrunk(2)];
  }
}

/** The last values, and their quantiles: worked out when they are asked for and a value has come. */
class ValueRing {
  readonly #values: Float32Array;
  #seen = 0;
  #quantiles: Quantiles | undefined;

  constructor(size: number) {
    this.#values = new Float32Array(size);
  }

  get count(): number {
    return Math.min(this.#seen, this.#values.length);
  }

  /** NaN is passed over. */
  push(value: number): void {
    if (Number.isNaN(value)) return;
    this.#values[this.#seen % this.#values.length] = value;
    this.#seen += 1;
    this.#quantiles = undefined;
  }

  /** Undefined before any value. */
  quantiles(): Quantiles | undefined {
    if (this.#seen === 0) return undefined;
    if (this.#quantiles === undefined) {
      const sorted = this.#values.slice(0, this.count).sort();
      const at = (level: number) => {
        // The place at which the next value is exceeded with that probability (Weibull 1939), as far as there is one.
        const place = Math.min(sorted.length - 1, Math.max(0, level * (sorted.length + 1) - 1));
        const below = Math.floor(place);
        const share = place - below;
        return (1 - share) * sorted[below]! + share * sorted[Math.ceil(place)]!;
      };
      this.#quantiles = [at(quantileLevels[0]), at(quantileLevels[1]), at(quantileLevels[2])];
    }
    return this.#quantiles;
  }
}
