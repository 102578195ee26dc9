/** Forecasters: pure functions from the history of a series to quantile curves. */

export { fitByConditionalSquares } from './arima/conditional-squares.ts';
export { ArimaFilter } from './arima/filter.ts';
export { type ArimaOptions, arima } from './arima/forecaster.ts';
export type { ArimaModel, ArimaOrder, FitArima } from './arima/model.ts';
export { type ArimaPackage, fitByPackage } from './arima/package.ts';
export { climatology } from './baselines/climatology.ts';
export { movingAverage } from './baselines/moving-average.ts';
export { persistence } from './baselines/persistence.ts';
export { seasonalNaive } from './baselines/seasonal-naive.ts';
export {
  createForesight,
  type Foresight,
  type ForesightOptions,
  type ForesightState,
  type LearnedScore,
  type Member,
  type ObservedValue,
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
export { forecastersBy, naiveSeasonOf } from './forecasters.ts';
export {
  type GlobalModelRecord,
  isWorthUsing,
  type RetrainPolicy,
  type RetrainReason,
  retrainPolicy,
  shouldRetrain,
} from './global/retrain.ts';
export { originsIn } from './global/scaling.ts';
export { singleSeriesOf } from './global/single-series.ts';
export {
  decodeWeights,
  encodeWeights,
  type TrainedOn,
  type Weights,
  WeightsError,
  type WeightsFault,
  type WeightsHeader,
} from './global/weights.ts';
export { type LeavingHazard, type LeavingHazards, leavingHazards } from './hazard/leaving.ts';
export { lastValue } from './last-value.ts';
export { createLeaderForesight, type LeaderForesightOptions } from './leader-foresight.ts';
export type {
  CodeProfile,
  ObservedTask,
  ProfileBasis,
  QuantityEstimate,
  TaskPrediction,
  TaskQuestion,
} from './profiles/code-profile.ts';
export { predictTasks, type TaskPredictor } from './profiles/predict-tasks.ts';
export { type RidgeOptions, ridgeDefaults, ridgeModel, trainRidge } from './ridge/ridge.ts';
export {
  type BacktestOptions,
  type BacktestScores,
  type BacktestWindow,
  backtest,
  backtestOrigins,
  scoreBacktest,
} from './scoring/backtest.ts';
export { countCovered, meanAbsoluteError, meanPinballLoss, naiveScale, pinballLoss } from './scoring/scores.ts';
export { findPeriods, type Period } from './season/find-periods.ts';
export { dampedSmoothing } from './smoothing/damped.ts';
export { type SeasonalSmoothingOptions, seasonalSmoothing } from './smoothing/seasonal.ts';
export { seasonalClimatology } from './smoothing/seasonal-climatology.ts';
export { simpleSmoothing } from './smoothing/simple.ts';
