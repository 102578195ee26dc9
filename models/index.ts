/** Forecasters: pure functions from the history of a series to quantile curves. */
export { climatology } from './baselines/climatology.ts';
export { movingAverage } from './baselines/moving-average.ts';
export { persistence } from './baselines/persistence.ts';
export { seasonalNaive } from './baselines/seasonal-naive.ts';
export {
  createForesight,
  type Foresight,
  type ForesightOptions,
  type ForesightState,
  type Member,
  type Reasons,
  type SeriesIdentity,
} from './engine/foresight.ts';
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
export { dampedSmoothing } from './smoothing/damped.ts';
export { simpleSmoothing } from './smoothing/simple.ts';
