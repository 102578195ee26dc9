/** Forecasters: pure functions from the history of a series to quantile curves. */
export type { Forecaster, ForecasterFactory, QuantileCurves, SeriesRange } from './forecaster.ts';
export { lastValue } from './last-value.ts';
