import {
  climatology,
  createForesight,
  dampedSmoothing,
  type ForecasterFactory,
  lastValue,
  movingAverage,
  persistence,
  ridgeModel,
  seasonalNaive,
  simpleSmoothing,
  singleSeriesOf,
  trainRidge,
} from '@foremesh/models';
import { keepsForecasterContract } from '../../support/forecaster-contract.ts';

const engine: ForecasterFactory = (series) =>
  createForesight({ steps: 12 }).open({ key: 'node', kind: 'cpu', ...series });

const ramp = {
  intervalMs: 60_000,
  range: { low: 0, high: 100 },
  values: Float64Array.from({ length: 400 }, (_, at) => at % 90),
};
const ridge = singleSeriesOf(ridgeModel(trainRidge([ramp], { steps: 6 })!));

keepsForecasterContract('last-value', () => lastValue, { numRuns: 1_250 });
keepsForecasterContract('persistence', () => persistence);
keepsForecasterContract('moving-average', () => movingAverage());
keepsForecasterContract('climatology', () => climatology, { followsShifts: false });
keepsForecasterContract('seasonal-naive', () => seasonalNaive(7));
keepsForecasterContract('simple-smoothing', () => simpleSmoothing);
keepsForecasterContract('damped-smoothing', () => dampedSmoothing);
keepsForecasterContract('ridge', () => ridge, { followsShifts: false, sureOf: 0.01 });
keepsForecasterContract('engine', () => engine, { sureOf: 0.5, widensOpen: false });
