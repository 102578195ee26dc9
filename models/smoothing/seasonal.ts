import { measured, wholeRange } from '../baselines/empirical-bands.ts';
import { towardsEnds, widened } from '../baselines/young.ts';
import type { Forecaster, ForecasterFactory, QuantileCurves, SeriesOptions } from '../forecaster.ts';
import { gainLeast, seasonGain } from '../season/gain.ts';
import type { LevelValues } from '../season/history.ts';
import { beginning, meanOver, PeriodBins, profileOf } from '../season/profile.ts';
import { SeasonWatch, type SeasonWatchOptions } from '../season/season-watch.ts';
import { HorizonLayout, HorizonScores } from './horizon-scores.ts';
import { halvesOf } from './precision.ts';
import { SeasonalMember, type SmoothingWeights } from './seasonal-member.ts';

export interface SeasonalSmoothingOptions extends Pick<SeasonWatchOptions, 'historyValues' | 'periods'> {
  /** Steps ahead for which members are judged and mixed. Default 30. */
  readonly horizon?: number;
}

/** Most bins of a period: of 5 minutes in a day. */
const binsMost = 336;
/**
 * The members: few that differ, found on the training values of M4 Hourly alone, where each of these lowered the error of the best one most.
 * The first four know one season, the others two.
 */
const members: readonly SmoothingWeights[] = [
  { level: 0.05, trend: 0.02, seasons: [0.3], carried: 0.5 },
  { level: 0.2, trend: 0, seasons: [0.6], carried: 0 },
  { level: 0.01, trend: 0, seasons: [0.3], carried: 0.6 },
  { level: 0, trend: 0, seasons: [1], carried: 0 },
  { level: 0.05, trend: 0, seasons: [0.3, 0.4], carried: 0 },
  { level: 0.01, trend: 0, seasons: [0.05, 0.2], carried: 0 },
  { level: 0.05, trend: 0, seasons: [0.1, 0.1], carried: 0.9 },
  { level: 0, trend: 0, seasons: [0, 1], carried: 0 },
];
/** A member counts by the inverse of its error to that power: nearly the best one alone, but without its jumps. */
const sharpness = 12;
/** A member that counts less than that beside the best does not count. */
const shareLeast = 1e-3;

/** How many times as large the errors of one who knows the shorter of two seasons alone were over the long past, as those of one who knows the longer: from 1. */
function handicapOf(levels: readonly LevelValues[], [short, long]: readonly number[], steps: number): number {
  if (short === undefined || long === undefined) return 1;
  const common = levels.filter(({ values, stride }) => values.length * stride >= 2 * long);
  const gain = seasonGain(common, long, steps);
  return gain < gainLeast ? 1 : Math.sqrt(Math.max(1, (1 - seasonGain(common, short, steps)) / (1 - gain)));
}

/**
 * Exponential smoothing with the seasons that the series shows: several settings of it side by side, mixed by their errors on the
 * series' own last values, with bands from the errors of the mixture.
 */
export const seasonalSmoothing = (options: SeasonalSmoothingOptions = {}): ForecasterFactory => {
  const { horizon = 30 } = options;
  const layouts = members.map((_, index) => new HorizonLayout(index + 1, horizon));
  return (series, watch) => new SeasonalSmoothing(options, layouts, series, watch);
};

class SeasonalSmoothing implements Forecaster {
  readonly model = 'seasonal-smoothing';
  readonly #series: SeriesOptions;
  readonly #horizon: number;
  /** Of one member, of two, ... */
  readonly #layouts: readonly HorizonLayout[];
  readonly #watch: SeasonWatch;
  /** Whether the watch is its own: it is the one who feeds it then. */
  readonly #ownWatch: boolean;
  /** Those that the members know. */
  #periods: readonly number[] = [];
  #members: readonly SeasonalMember[] = [];
  #weights: readonly number[] = [];
  /** By how much the errors of those that know the shorter season alone are too small: they were judged on the last values, which may lie within one long season. */
  #handicap = 1;
  #scores: HorizonScores | undefined;
  /** Index of the last value. */
  #last = -1;
  /** Values that were not missing, and how far from 0 any was. */
  #known = 0;
  #greatest = 0;

  constructor(
    options: SeasonalSmoothingOptions,
    layouts: readonly HorizonLayout[],
    series: SeriesOptions,
    watch: SeasonWatch | undefined,
  ) {
    this.#layouts = layouts;
    this.#series = series;
    this.#horizon = options.horizon ?? 30;
    this.#watch = watch ?? new SeasonWatch({ ...options, intervalMs: series.intervalMs });
    this.#ownWatch = watch === undefined;
  }

  get ready(): boolean {
    return this.#periods.length > 0;
  }

  observe(value: number): void {
    const known = measured(value, this.#series.range) ?? Number.NaN;
    if (this.#ownWatch) this.#watch.observe(known);
    this.#last = this.#watch.history.length - 1;
    if (this.#last < 0) return;
    if (!Number.isNaN(known)) {
      this.#known += 1;
      this.#greatest = Math.max(this.#greatest, Math.abs(known));
    }
    const periods = this.#watch.periods.filter((period) => 2 * period <= this.#last + 1);
    const changed = periods.length !== this.#periods.length || periods.some((each, at) => each !== this.#periods[at]);
    if (periods.length === 0) this.#rest();
    else if (changed) this.#begin(periods);
    else this.#learn(known, this.#last);
  }

  forecast(steps: number): QuantileCurves {
    const { intervalMs, range } = this.#series;
    if (this.#last < 0) return wholeRange(intervalMs, range, steps);
    if (this.#scores === undefined) this.#begin([]);
    const q10: number[] = [];
    const q50: number[] = [];
    const q90: number[] = [];
    const bands = this.#scores!.bands(steps);
    for (let step = 1; step <= steps; step += 1) {
      const middle = this.#mixed(step);
      const { low, high } = bands?.[step - 1] ?? { low: 0, high: 0 };
      q10.push(this.#clip(middle + low));
      q50.push(this.#clip(middle));
      q90.push(this.#clip(middle + high));
    }
    const curves = { intervalMs, q10, q50, q90 };
    // Before any error is known it may be anywhere.
    return bands === undefined
      ? towardsEnds(curves, range, 1, this.#greatest)
      : widened(curves, range, this.#known, this.#greatest);
  }

  /** Without a season, members are made when a forecast is asked for and kept until the next value: they would seldom be heard. */
  #rest(): void {
    this.#periods = [];
    this.#members = [];
    this.#scores = undefined;
  }

  /** Members that know these periods begin from the long history, then live through the last values again. */
  #begin(periods: readonly number[]): void {
    this.#periods = periods;
    const levels = this.#watch.history.levels();
    const { values, first } = levels[0]!;
    const bins = periods.map((period) => new PeriodBins(period, binsMost));
    const start = beginning(levels, periods.at(-1) ?? 4, first);
    const level = start.values.reduce((sum, value) => sum + value, 0) / start.values.length;
    const profiles: Float32Array[] = [];
    for (const [season, own] of bins.entries()) {
      const from = beginning(levels, own.period, first);
      const rest = from.values.map((value, index) => {
        const at = from.first + index * from.stride;
        return profiles.reduce(
          (left, profile, other) => left - meanOver(profile, bins[other]!, at, from.stride),
          value - level,
        );
      });
      profiles.push(profileOf({ ...from, values: rest }, own, season));
    }
    const used = members.filter(({ seasons, level: weight }) =>
      periods.length === 0 ? seasons.length === 1 && weight > 0 : seasons.length <= periods.length,
    );
    const span = this.#series.range.high - this.#series.range.low;
    // What a season adds may be below 0.
    const precision = halvesOf({ low: -span, high: span });
    // A member has as many of the profiles as it knows seasons; those of all are in one array, since each has an overhead.
    const lengths = used.map(({ seasons }) => bins.slice(0, seasons.length).reduce((sum, { count }) => sum + count, 0));
    const all = precision.create(lengths.reduce((sum, length) => sum + length, 0));
    const codes = profiles.flatMap((profile) => Array.from(profile, (value) => precision.encode(value)));
    let end = 0;
    this.#members = used.map((weights, index) => {
      const begin = end;
      end += lengths[index]!;
      const own = all.subarray(begin, end);
      own.set(codes.slice(0, own.length));
      return new SeasonalMember(weights, bins, level, own, precision);
    });
    this.#weights = used.map(() => 1 / used.length);
    this.#handicap = handicapOf(levels, periods, this.#horizon);
    this.#scores = new HorizonScores(this.#layouts[used.length - 1]!);
    for (const [index, value] of values.entries()) this.#learn(value, first + index);
  }

  #learn(value: number, index: number): void {
    const scores = this.#scores!;
    scores.settle(index, value);
    for (const member of this.#members) member.observe(value, index);
    if (!scores.isOrigin(index)) return;
    this.#weigh(scores);
    scores.note(index, this.#weights, (model, steps) => this.#members[model]!.expected(steps, index));
  }

  #weigh(scores: HorizonScores): void {
    const errors = this.#members.map(
      (member, model) => scores.errorOf(model) * (member.seasons === 1 ? this.#handicap : 1),
    );
    const least = Math.min(...errors);
    if (!Number.isFinite(least)) return;
    const shares = errors.map((error) => (error === least ? 1 : (least / error) ** sharpness));
    for (const [model, share] of shares.entries()) if (share < shareLeast) shares[model] = 0;
    const sum = shares.reduce((total, share) => total + share, 0);
    this.#weights = shares.map((share) => share / sum);
  }

  #mixed(steps: number): number {
    let sum = 0;
    for (const [model, member] of this.#members.entries())
      if (this.#weights[model]! > 0) sum += this.#weights[model]! * member.expected(steps, this.#last);
    return sum;
  }

  #clip(value: number): number {
    const { low, high } = this.#series.range;
    return Math.min(high, Math.max(low, value));
  }
}
