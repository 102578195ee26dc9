import type { Forecaster, ForecasterFactory, QuantileCurves, SeriesOptions } from '../forecaster.ts';
import { lastValue } from '../last-value.ts';
import { findPeriods } from '../season/find-periods.ts';
import { bounded } from '../season/profile.ts';
import { fractionOf } from '../season/spread.ts';
import { chooseOrder } from './choose-order.ts';
import { ArimaFilter } from './filter.ts';
import type { ArimaOrder, FitArima } from './model.ts';

export interface ArimaOptions {
  readonly fit: FitArima;
  /** The only order to use; without it small ones are tried on what was held out, seasonal ones where a season is seen. */
  readonly order?: ArimaOrder;
  /** Values that a fit reads: at least 60. Default 288. */
  readonly windowValues?: number;
  /** Values between two fits. Default 720. Between them every value is filtered through the fitted model. */
  readonly refitValues?: number;
}

/** Values before the first fit, and up to as many again: series that begin together are not all fitted at once. */
const firstFitValues = 40;
/** Orders are chosen at every fit while the window grows, and then at one of so many. */
const fitsPerChoice = 4;
/** Share of the window that may be missing for a fit. */
const missingShareMost = 0.5;
/** Weight of the newest squared error in the running variance. */
const varianceWeight = 0.02;
/** Weight of the newest error in their running mean, by which a shift of the level is seen; an error counts for at most 3 deviations. */
const driftWeight = 0.2;
const driftErrorMost = 3;
/** A running mean of that many deviations is no chance: the model's level is not the series' any more. */
const driftMost = 1.5;
/** A median farther outside of the values than that many of their spans is a divergence. */
const spansMost = 1;
/** Standard normal quantile at 0.9. */
const z90 = 1.2815515655446004;
const dayMs = 86_400_000;
const defaultOrder: ArimaOrder = { p: 1, d: 0, q: 1 };

/**
 * ARIMA, re-fitted rarely and filtered at every value. Falls back to the last value where there is no model: too few values, a
 * constant series, a fit or a forecast that diverges, a level that has shifted.
 */
export const arima =
  (options: ArimaOptions): ForecasterFactory =>
  (series) =>
    new ArimaForecaster(options, series);

class ArimaForecaster implements Forecaster {
  readonly model = 'arima';
  readonly #options: ArimaOptions;
  readonly #series: SeriesOptions;
  readonly #fallback: Forecaster;
  readonly #window: Float64Array;
  #seen = 0;
  #fits = 0;
  #waited = false;
  #nextFit = firstFitValues;
  #order: ArimaOrder;
  #filter: ArimaFilter | undefined;
  #variance = 0;
  /** Of the values that the last fit read, and those since. */
  #least = 0;
  #most = 0;
  #drift = 0;

  constructor(options: ArimaOptions, series: SeriesOptions) {
    this.#options = options;
    this.#series = series;
    this.#fallback = lastValue(series);
    this.#window = new Float64Array(Math.max(60, options.windowValues ?? 288));
    this.#order = options.order ?? defaultOrder;
  }

  /** Where it has no model it only says the last value. */
  get ready(): boolean {
    return this.#filter !== undefined;
  }

  observe(value: number): void {
    const { low, high } = this.#series.range;
    const known = Number.isFinite(value) ? bounded(Math.min(high, Math.max(low, value))) : Number.NaN;
    this.#fallback.observe(known);
    if (this.#seen === 0 && Number.isNaN(known)) return;
    this.#window[this.#seen % this.#window.length] = known;
    this.#seen += 1;
    if (known < this.#least) this.#least = known;
    if (known > this.#most) this.#most = known;
    const error = this.#filter?.push(known) ?? Number.NaN;
    if (!Number.isNaN(error)) this.#judge(error);
    if (this.#seen >= this.#nextFit) this.#refit();
  }

  forecast(steps: number): QuantileCurves {
    const { intervalMs, range } = this.#series;
    if (this.#filter === undefined || steps < 1) return this.#fallback.forecast(steps);
    const { means, variances } = this.#filter.forecast(steps);
    if (!this.#isPlausible(means)) return this.#fallback.forecast(steps);
    const scale = this.#variance / this.#filter.model.variance;
    const clip = (value: number) => Math.min(range.high, Math.max(range.low, value));
    const halves = variances.map((variance) => z90 * Math.sqrt(variance * scale));
    return {
      intervalMs,
      q10: means.map((mean, step) => clip(mean - halves[step]!)),
      q50: means.map(clip),
      q90: means.map((mean, step) => clip(mean + halves[step]!)),
    };
  }

  #judge(error: number): void {
    this.#variance += varianceWeight * (error ** 2 - this.#variance);
    const deviations = error / Math.sqrt(this.#filter!.model.variance);
    const counted = Math.min(driftErrorMost, Math.max(-driftErrorMost, deviations));
    this.#drift += driftWeight * (counted - this.#drift);
    if (Math.abs(this.#drift) <= driftMost) return;
    // The last value follows the shift; a model comes again when there are values of the new level.
    this.#filter = undefined;
    this.#nextFit = Math.min(this.#nextFit, this.#seen + firstFitValues);
  }

  #refit(): void {
    const { fit, order, refitValues = 720 } = this.#options;
    const values = this.#values();
    const fraction = fractionOf(values);
    // A window that is still growing is fitted again when it has grown by half or so.
    this.#nextFit = this.#seen + Math.ceil(Math.min(refitValues, this.#seen) * (0.5 + fraction / 2));
    if (!this.#waited) {
      this.#waited = true;
      return;
    }
    const filled = filledIn(values);
    if (filled === undefined) return;
    this.#least = Math.min(...filled);
    this.#most = Math.max(...filled);
    const whole = this.#seen >= this.#window.length;
    if (order === undefined && (!whole || this.#fits++ % fitsPerChoice === 0)) {
      const periods = findPeriods(filled, [dayMs / this.#series.intervalMs]);
      const period = periods.find(({ period }) => 3 * period <= filled.length)?.period;
      this.#order = chooseOrder(filled, period && Math.round(period)) ?? defaultOrder;
    }
    const model = fit(filled, this.#order);
    if (model === undefined) {
      this.#filter = undefined;
      return;
    }
    this.#filter = ArimaFilter.after(model, values);
    this.#variance = model.variance;
    this.#drift = 0;
  }

  /** The window, oldest first; NaN where a value is missing. */
  #values(): Float64Array {
    const { length } = this.#window;
    const count = Math.min(this.#seen, length);
    return Float64Array.from({ length: count }, (_, index) => this.#window[(this.#seen - count + index) % length]!);
  }

  #isPlausible(means: readonly number[]): boolean {
    const far = spansMost * (this.#most - this.#least);
    return means.every((mean) => mean >= this.#least - far && mean <= this.#most + far);
  }
}

/** What is missing takes the value before it, or the first that is there; undefined where too much is. */
function filledIn(values: Float64Array): Float64Array | undefined {
  let missing = 0;
  let last = values.find((value) => !Number.isNaN(value))!;
  const filled = values.map((value) => {
    if (Number.isNaN(value)) missing += 1;
    else last = value;
    return last;
  });
  return missing > missingShareMost * values.length ? undefined : filled;
}
