import { chunkPolicy } from '../chunks/chunk-policy.ts';
import { planJob } from '../planning/plan-job.ts';
import { placeByCost } from './by-cost.ts';
import { costWeightsDefault, expectedCost } from './cost.ts';
import { placeByCurrentRoom } from './current-room.ts';
import { rankStages } from './rank-stages.ts';

/** What a leader sizes and places tasks and plans jobs with. */
export const standardPlacement = {
  place: placeByCurrentRoom,
  placeByCost,
  cost: expectedCost,
  weights: costWeightsDefault,
  rank: rankStages,
  plan: planJob,
  chunks: chunkPolicy,
};
