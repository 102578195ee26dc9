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
export {
  type GlobalModelRecord,
  isWorthUsing,
  type RetrainPolicy,
  type RetrainReason,
  retrainPolicy,
  shouldRetrain,
} from './global/retrain.ts';
export {
  decodeWeights,
  encodeWeights,
  type TrainedOn,
  type Weights,
  WeightsError,
  type WeightsFault,
  type WeightsHeader,
} from './global/weights.ts';
export { lastValue } from './last-value.ts';
export { type RidgeOptions, ridgeDefaults, ridgeModel, trainRidge } from './ridge/ridge.ts';
export { countCovered, meanAbsoluteError, meanPinballLoss, naiveScale, pinballLoss } from './scoring/scores.ts';
