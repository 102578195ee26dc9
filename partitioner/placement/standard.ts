import { chunkPolicy } from '../chunks/chunk-policy.ts';
import { repartitionTask } from '../repartition/repartition-task.ts';
import { placeByCost } from './by-cost.ts';
import { costWeightsDefault, expectedCost } from './cost.ts';
import { placeByCurrentRoom } from './current-room.ts';
import { rankStages } from './rank-stages.ts';

/** What a leader sizes and places tasks with. */
export const standardPlacement = {
  place: placeByCurrentRoom,
  placeByCost,
  cost: expectedCost,
  weights: costWeightsDefault,
  rank: rankStages,
  chunks: chunkPolicy,
  repartition: repartitionTask,
};
