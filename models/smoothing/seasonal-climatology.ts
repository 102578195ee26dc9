import { measured, wholeRange } from '../baselines/empirical-bands.ts';
import { widened } from '../baselines/young.ts';
import type { Forecaster, ForecasterFactory, QuantileCurves, SeriesOptions } from '../forecaster.ts';
import { quantileLevels } from '../forecaster.ts';
import { PeriodBins } from '../season/profile.ts';
import { SeasonWatch, type SeasonWatchOptions } from '../season/season-watch.ts';
import { halvesOf, type Precision, singles } from './precision.ts';

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
  (series, watch) =>
    new SeasonalClimatology(options, series, watch);

class SeasonalClimatology implements Forecaster {
  readonly model = 'seasonal-climatology';
  readonly #series: SeriesOptions;
  readonly #watch: SeasonWatch;
  /** Whether the watch is its own: it is the one who feeds it then. */
  readonly #ownWatch: boolean;
  /** Of the last values. With the watch of others only from a season on: before that, it is not asked. */
  #overall: ValueRings | undefined;
  #period: number | undefined;
  #season: Season | undefined;
  #last = -1;

  constructor(
    options: Pick<SeasonWatchOptions, 'historyValues' | 'periods'>,
    series: SeriesOptions,
    watch: SeasonWatch | undefined,
  ) {
    this.#series = series;
    this.#watch = watch ?? new SeasonWatch({ ...options, intervalMs: series.intervalMs });
    this.#ownWatch = watch === undefined;
    if (this.#ownWatch) this.#overall = new ValueRings(1, valuesOverall, singles);
  }

  get ready(): boolean {
    return this.#season !== undefined;
  }

  observe(value: number): void {
    const known = measured(value, this.#series.range) ?? Number.NaN;
    if (this.#ownWatch) this.#watch.observe(known);
    this.#last = this.#watch.history.length - 1;
    if (this.#last < 0) return;
    this.#overall?.push(0, known);
    const [period] = this.#watch.periods;
    // What else was found beside it is not used: to begin anew from a compact past for that would forget the spread of single values.
    if (period !== this.#period) this.#begin(period);
    else this.#season?.push(known, this.#last);
  }

  forecast(steps: number): QuantileCurves {
    const { intervalMs, range } = this.#series;
    const [q10, q50, q90]: [number[], number[], number[]] = [[], [], []];
    const overall = this.#overall?.quantiles(0);
    if (overall === undefined) return wholeRange(intervalMs, range, steps);
    for (let step = 1; step <= steps; step += 1) {
      const at = this.#season?.at(this.#last + step, overall) ?? overall;
      q10.push(this.#clip(at[0]));
      q50.push(this.#clip(at[1]));
      q90.push(this.#clip(at[2]));
    }
    return widened({ intervalMs, q10, q50, q90 }, range, this.#overall!.count(0), this.#overall!.size(0));
  }

  #clip(value: number): number {
    return Math.min(this.#series.range.high, Math.max(this.#series.range.low, value));
  }

  #begin(period: number | undefined): void {
    this.#period = period;
    this.#season = undefined;
    const levels = this.#watch.history.levels();
    if (period !== undefined) {
      const bins = new PeriodBins(period, binsMost);
      const size = levels.reduce((greatest, { values }) => values.reduce((a, b) => Math.max(a, b), greatest), 0);
      this.#season = new Season(bins, new ValueRings(bins.count, valuesPerBin, halvesOf(this.#series.range, size)));
    }
    if (this.#overall === undefined) {
      this.#overall = new ValueRings(1, valuesOverall, singles);
      for (const value of levels[0]!.values.subarray(-valuesOverall)) this.#overall.push(0, value);
    }
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
  readonly #rings: ValueRings;
  readonly #stride: number;
  #bin = 0;
  #visit = 0;

  constructor(bins: PeriodBins, rings: ValueRings) {
    this.#bins = bins;
    this.#rings = rings;
    this.#stride = Math.max(1, Math.floor(bins.period / bins.count / valuesPerVisitMost));
  }

  push(value: number, index: number): void {
    const bin = this.#bins.at(index);
    this.#visit = bin === this.#bin ? this.#visit + 1 : 0;
    this.#bin = bin;
    if (this.#visit % this.#stride === 0) this.#rings.push(bin, value);
  }

  at(index: number, overall: Quantiles): Quantiles | undefined {
    const bin = this.#bins.at(index);
    const own = this.#rings.quantiles(bin);
    if (own === undefined) return undefined;
    const count = this.#rings.count(bin);
    const share = count / (count + overallWeight * (1 - count / valuesPerBin));
    const shrunk = (level: 0 | 1 | 2) => share * own[level] + (1 - share) * overall[level];
    return [shrunk(0), shrunk(1), shrunk(2)];
  }
}

/** The last values of several streams, and their quantiles: worked out when they are asked for and a value has come. All in one array, whatever their number. */
class ValueRings {
  readonly #streams: number;
  readonly #size: number;
  readonly #precision: Precision;
  /** Of all streams the values; then of each the three quantiles, unknown where they are to be worked out; then how many values there were, a whole ring less once that says as much. */
  readonly #numbers: Float32Array | Uint16Array;

  constructor(streams: number, size: number, precision: Precision) {
    this.#streams = streams;
    this.#size = size;
    this.#precision = precision;
    this.#numbers = precision
      .create(streams * (size + 4))
      .fill(precision.encode(Number.NaN), streams * size, streams * (size + 3));
  }

  count(stream: number): number {
    return Math.min(this.#numbers[this.#seen(stream)]!, this.#size);
  }

  /** The greatest distance from 0. */
  size(stream: number): number {
    return this.#known(stream).reduce((greatest, value) => Math.max(greatest, Math.abs(value)), 0);
  }

  /** NaN is passed over. */
  push(stream: number, value: number): void {
    if (Number.isNaN(value)) return;
    const seen = this.#seen(stream);
    const count = this.#numbers[seen]!;
    this.#numbers[stream * this.#size + (count % this.#size)] = this.#precision.encode(value);
    this.#numbers[seen] = count + 1 < 2 * this.#size ? count + 1 : this.#size;
    this.#numbers[this.#quantiles(stream)] = this.#precision.encode(Number.NaN);
  }

  /** Undefined before any value. */
  quantiles(stream: number): Quantiles | undefined {
    const count = this.count(stream);
    if (count === 0) return undefined;
    const precision = this.#precision;
    const at = this.#quantiles(stream);
    if (Number.isNaN(precision.decode(this.#numbers[at]!))) {
      const sorted = this.#known(stream).sort();
      for (const [index, level] of quantileLevels.entries()) {
        // The place at which the next value is exceeded with that probability (Weibull 1939), as far as there is one.
        const place = Math.min(count - 1, Math.max(0, level * (count + 1) - 1));
        const below = Math.floor(place);
        const share = place - below;
        this.#numbers[at + index] = precision.encode((1 - share) * sorted[below]! + share * sorted[Math.ceil(place)]!);
      }
    }
    const quantile = (level: number) => precision.decode(this.#numbers[at + level]!);
    return [quantile(0), quantile(1), quantile(2)];
  }

  #known(stream: number): Float32Array {
    const begin = stream * this.#size;
    const known = new Float32Array(this.count(stream));
    for (let index = 0; index < known.length; index += 1)
      known[index] = this.#precision.decode(this.#numbers[begin + index]!);
    return known;
  }

  #quantiles(stream: number): number {
    return this.#streams * this.#size + 3 * stream;
  }

  #seen(stream: number): number {
    return this.#streams * (this.#size + 3) + stream;
  }
}
