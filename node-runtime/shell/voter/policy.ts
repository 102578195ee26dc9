import {
  climatology,
  createLeaderForesight,
  leavingHazards,
  predictTasks,
  type SeriesOptions,
  simpleSmoothing,
} from '@foremesh/models';
import { standardPlanning } from '@foremesh/partitioner';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';
import { limits } from '../../contract/index.ts';
import { learnedKinds, type PlannerPolicy, plannerDefaults } from '../../core/index.ts';
import { modelOf } from '../foresight/shelf.ts';
import type { PolicyName } from '../node-options.ts';

/** What a leader forecasts, cuts and places with, looking ahead. */
export const planningPolicy: PlannerPolicy = {
  ...standardPlanning,
  looksAhead: true,
  occurrences: occurrencesOf,
  predictTasks,
  createLeaving: leavingHazards,
  createForesight: () => {
    const foresight = createLeaderForesight({
      steps: plannerDefaults.forecastSteps,
      learnedKinds,
      arimaSeriesMost: limits.arimaSeriesPerKind,
    });
    return Object.assign(foresight, {
      // Alone they are best, and cheap: of shares of a machine, and of what comes in bursts.
      meanwhile: (series: SeriesOptions) =>
        (Number.isFinite(series.range.high) ? simpleSmoothing : climatology)(series),
      useWeights: (kind: string, weights: Uint8Array) => foresight.use(kind, modelOf(weights)),
    });
  },
};

export function planningPolicyOf(name: PolicyName): PlannerPolicy {
  return { ...planningPolicy, looksAhead: name === 'predictive' };
}
