import { chunkPolicy } from './chunks/chunk-policy.ts';
import { placeByCost } from './placement/by-cost.ts';
import { costWeightsDefault, expectedCost } from './placement/cost.ts';
import { placeByCurrentRoom, refusalForGood } from './placement/current-room.ts';
import { rankStages } from './placement/rank-stages.ts';
import { planJob } from './planning/index.ts';
import { cutByWeights, type RecordIndex, type RecordPiece, recordIndexProblem } from './records/index.ts';
import { repartitionTask } from './repartition/index.ts';

/** What a leader cuts work with, places it, and moves it. */
export const standardPlanning = {
  cut: (index: RecordIndex, weights: readonly number[]): RecordPiece[] | string =>
    recordIndexProblem(index) ?? cutByWeights(index, weights),
  chunks: chunkPolicy,
  plan: planJob,
  cost: expectedCost,
  weights: costWeightsDefault,
  rank: rankStages,
  refusal: refusalForGood,
  place: placeByCurrentRoom,
  placeByCost,
  repartition: repartitionTask,
};
