import { wholeRange } from '../baselines/empirical-bands.ts';
import { widened } from '../baselines/young.ts';
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
    if (this.#ownWatch) this.#overall = new ValueRings(1, valuesOverall);
  }

  get ready(): boolean {
    return this.#season !== undefined;
  }

  observe(value: number): void {
    const known = Number.isFinite(value) ? bounded(this.#clip(value)) : Number.NaN;
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
    this.#season = period === undefined ? undefined : new Season(new PeriodBins(period, binsMost));
    const levels = this.#watch.history.levels();
    if (this.#overall === undefined) {
      this.#overall = new ValueRings(1, valuesOverall);
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

  constructor(bins: PeriodBins) {
    this.#bins = bins;
    this.#rings = new ValueRings(bins.count, valuesPerBin);
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

/** The last values of several streams, and their quantiles: worked out when they are asked for and a value has come. All in three arrays, whatever their number. */
class ValueRings {
  readonly #size: number;
  readonly #values: Float32Array;
  readonly #seen: Uint32Array;
  /** Of each stream three; the first is NaN where they are to be worked out. */
  readonly #quantiles: Float64Array;

  constructor(streams: number, size: number) {
    this.#size = size;
    this.#values = new Float32Array(streams * size);
    this.#seen = new Uint32Array(streams);
    this.#quantiles = new Float64Array(3 * streams).fill(Number.NaN);
  }

  count(stream: number): number {
    return Math.min(this.#seen[stream]!, this.#size);
  }

  /** The greatest distance from 0. */
  size(stream: number): number {
    const known = this.#values.subarray(stream * this.#size, stream * this.#size + this.count(stream));
    return known.reduce((greatest, value) => Math.max(greatest, Math.abs(value)), 0);
  }

  /** NaN is passed over. */
  push(stream: number, value: number): void {
    if (Number.isNaN(value)) return;
    this.#values[stream * this.#size + (this.#seen[stream]! % this.#size)] = value;
    this.#seen[stream]! += 1;
    this.#quantiles[3 * stream] = Number.NaN;
  }

  /** Undefined before any value. */
  quantiles(stream: number): Quantiles | undefined {
    const count = this.count(stream);
    if (count === 0) return undefined;
    const known = this.#quantiles.subarray(3 * stream, 3 * stream + 3);
    if (Number.isNaN(known[0]!)) {
      const sorted = this.#values.slice(stream * this.#size, stream * this.#size + count).sort();
      for (const [index, level] of quantileLevels.entries()) {
        // The place at which the next value is exceeded with that probability (Weibull 1939), as far as there is one.
        const place = Math.min(count - 1, Math.max(0, level * (count + 1) - 1));
        const below = Math.floor(place);
        const share = place - below;
        known[index] = (1 - share) * sorted[below]! + share * sorted[Math.ceil(place)]!;
      }
    }
    return [known[0]!, known[1]!, known[2]!];
  }
}
