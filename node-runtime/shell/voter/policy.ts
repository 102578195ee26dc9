import { createForesight, leavingHazards, predictTasks } from '@foremesh/models';
import { cutByWeights, recordIndexProblem, standardPlacement } from '@foremesh/partitioner';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';
import { learnedKinds, type PlannerPolicy, plannerDefaults } from '../../core/index.ts';
import { modelOf } from '../foresight/shelf.ts';
import type { PolicyName } from '../node-options.ts';

/** What a leader forecasts, cuts and places with, looking ahead. */
export const planningPolicy: PlannerPolicy = {
  cut: (index, weights) => recordIndexProblem(index) ?? cutByWeights(index, weights),
  ...standardPlacement,
  looksAhead: true,
  occurrences: occurrencesOf,
  predictTasks,
  createLeaving: leavingHazards,
  createForesight: () => {
    const foresight = createForesight({ steps: plannerDefaults.forecastSteps, learnedKinds });
    return Object.assign(foresight, {
      useWeights: (kind: string, weights: Uint8Array) => foresight.use(kind, modelOf(weights)),
    });
  },
};

export function planningPolicyOf(name: PolicyName): PlannerPolicy {
  return { ...planningPolicy, looksAhead: name === 'predictive' };
}
