import {
  climatology,
  createForesight,
  dampedSmoothing,
  type ForecasterFactory,
  lastValue,
  movingAverage,
  persistence,
  seasonalNaive,
  simpleSmoothing,
} from '@foremesh/models';
import { keepsForecasterContract } from '../../support/forecaster-contract.ts';

const engine: ForecasterFactory = (series) =>
  createForesight({ steps: 12 }).open({ key: 'node', kind: 'cpu', ...series });

keepsForecasterContract('last-value', () => lastValue, { numRuns: 1_250 });
keepsForecasterContract('persistence', () => persistence);
keepsForecasterContract('moving-average', () => movingAverage());
keepsForecasterContract('climatology', () => climatology, { followsShifts: false });
keepsForecasterContract('seasonal-naive', () => seasonalNaive(7));
keepsForecasterContract('simple-smoothing', () => simpleSmoothing);
keepsForecasterContract('damped-smoothing', () => dampedSmoothing);
keepsForecasterContract('engine', () => engine, { sureOf: 0.5, widensOpen: false });
