/** Forecasters: pure functions from the history of a series to quantile curves. */
export type {
  Forecaster,
  ForecasterFactory,
  GlobalModel,
  QuantileCurves,
  SeriesOptions,
  SeriesRange,
  SeriesWindow,
} from './forecaster.ts';
export { quantileLevels } from './forecaster.ts';
export { lastValue } from './last-value.ts';
export { countCovered, meanAbsoluteError, meanPinballLoss, naiveScale, pinballLoss } from './scoring/scores.ts';
