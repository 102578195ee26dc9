import type { SeasonWatch } from './season/season-watch.ts';

/** A forecast of one series: for each step ahead the value that is not exceeded with probability 0.1, 0.5 and 0.9. */
export interface QuantileCurves {
  /** Milliseconds between two steps; the first step is one interval after the last observation. */
  readonly intervalMs: number;
  readonly q10: readonly number[];
  readonly q50: readonly number[];
  readonly q90: readonly number[];
  /** What the model expects, where it says something else than the median. */
  readonly point?: readonly number[];
}

/** The probabilities of the three curves, lowest first. */
export const quantileLevels = [0.1, 0.5, 0.9] as const;

/** The values a series can have; forecasts are clipped to it. `high` may be Infinity. */
export interface SeriesRange {
  readonly low: number;
  readonly high: number;
}

export interface SeriesOptions {
  /** Milliseconds between two observations. */
  readonly intervalMs: number;
  readonly range: SeriesRange;
}

/** One series, one model. Pure: the same observations give the same forecast. */
export interface Forecaster {
  readonly model: string;
  /** False while the model has nothing of its own to say, as a seasonal one before it sees a season: a mixture leaves it aside. */
  readonly ready?: boolean;
  /** The next value, one interval after the one before; NaN says that it is missing. Never throws. */
  observe(value: number): void;
  /**
   * Values of the time before the first one, one interval after the other, NaN where none is known; perhaps means over several of them. They tell of the
   * seasons of the series alone. To be called before the first `observe`, once. A model without it does not go by seasons.
   */
  recall?(values: ArrayLike<number>): void;
  /** Curves of `steps` points, a whole number from 0. Always finite. Without any observation: the whole range, honestly (see `wholeRange` for open ends). */
  forecast(steps: number): QuantileCurves;
}

/**
 * `watch` follows the seasons of the same series: who gives it to several models has it observe each value before they do. Without one,
 * a model that needs it has its own.
 */
export type ForecasterFactory = (options: SeriesOptions, watch?: SeasonWatch) => Forecaster;

/** What a global model reads of one series: its last values, oldest first, without gaps, in the series' own unit. */
export interface SeriesWindow extends SeriesOptions {
  readonly values: Float64Array;
}

/** A model whose parameters were learned on many series at once: it predicts a batch of windows in one go. */
export interface GlobalModel {
  readonly model: string;
  /** How many values it reads; a window that has fewer is for the caller to leave out. */
  readonly lags: number;
  /** The most values that it reads, where more than `lags` make it better; what a window holds before them it does not look at. */
  readonly context?: number;
  /** The farthest step that it predicts. */
  readonly steps: number;
  /** One curve of `steps` points per window, in the window's unit, clipped to its range, never crossing. */
  predict(windows: readonly SeriesWindow[]): QuantileCurves[];
}
