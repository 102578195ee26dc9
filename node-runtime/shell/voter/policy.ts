import { createForesight, leavingHazards, predictTasks } from '@foremesh/models';
import {
  costWeightsDefault,
  cutByWeights,
  expectedCost,
  placeByCost,
  placeByCurrentRoom,
  rankStages,
  recordIndexProblem,
} from '@foremesh/partitioner';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';
import { learnedKinds, type PlannerPolicy, plannerDefaults } from '../../core/index.ts';
import { modelOf } from '../foresight/shelf.ts';

/** What a leader forecasts, cuts and places with. */
export const planningPolicy: PlannerPolicy = {
  cut: (index, weights) => recordIndexProblem(index) ?? cutByWeights(index, weights),
  cost: expectedCost,
  weights: costWeightsDefault,
  placeByCost,
  rank: rankStages,
  looksAhead: true,
  place: placeByCurrentRoom,
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
