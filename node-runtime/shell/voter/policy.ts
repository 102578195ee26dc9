import { createForesight, leavingHazards, predictTasks } from '@foremesh/models';
import { cutByWeights, placeByCurrentRoom, recordIndexProblem } from '@foremesh/partitioner';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';
import { type PlannerPolicy, plannerDefaults } from '../../core/index.ts';

/** What a leader forecasts, cuts and places with. */
export const planningPolicy: PlannerPolicy = {
  cut: (index, weights) => recordIndexProblem(index) ?? cutByWeights(index, weights),
  place: placeByCurrentRoom,
  occurrences: occurrencesOf,
  predictTasks,
  createLeaving: leavingHazards,
  createForesight: () => createForesight({ steps: plannerDefaults.forecastSteps }),
};
