/** A forecast of one series: for each step ahead the value that is not exceeded with probability 0.1, 0.5 and 0.9. */
export interface QuantileCurves {
  /** Milliseconds between two steps; the first step is one interval after the last observation. */
  readonly intervalMs: number;
  readonly q10: readonly number[];
  readonly q50: readonly number[];
  readonly q90: readonly number[];
}

/** The values a series can have; forecasts are clipped to it. `high` may be Infinity. */
export interface SeriesRange {
  readonly low: number;
  readonly high: number;
}

/** One series, one model. Pure: the same observations give the same forecast. */
export interface Forecaster {
  readonly model: string;
  /** The next value, one interval after the one before; NaN says that it is missing. Never throws. */
  observe(value: number): void;
  /** Curves of `steps` points. Without any observation: the whole range, honestly. */
  forecast(steps: number): QuantileCurves;
}

export type ForecasterFactory = (options: { readonly intervalMs: number; readonly range: SeriesRange }) => Forecaster;
