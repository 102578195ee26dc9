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
export type {
  CodeProfile,
  ObservedTask,
  ProfileBasis,
  QuantityEstimate,
  TaskPrediction,
  TaskQuestion,
} from './profiles/code-profile.ts';
export { predictTasks, type TaskPredictor } from './profiles/predict-tasks.ts';
export { countCovered, meanAbsoluteError, meanPinballLoss, naiveScale, pinballLoss } from './scoring/scores.ts';
