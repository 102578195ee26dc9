/** Pure functions that cut work and place it. Imports nothing of ours, reads no clock, does no I/O. */

export type { ChunkPolicy } from './chunks/chunk-policy.ts';
export type { ChunkCopy, ChunkDeadline, ChunkDevice, ChunkOptions, RunningChunk } from './chunks/chunk-sizing.ts';
export { chunkSize, chunkToCopy } from './chunks/chunk-sizing.ts';
export type { GraphEdge, TaskGraph } from './graph/task-graph.ts';
export { buildTaskGraph, GraphError } from './graph/task-graph.ts';
export type {
  Alternative,
  ForeseenDevice,
  ForeseenPlacement,
  ForeseenTask,
  PlacingOptions,
} from './placement/by-cost.ts';
export { placeByCost } from './placement/by-cost.ts';
export type { CostFunction, CostQuestion, CostTerms, CostWeights, CostWishes, ExpectedCost } from './placement/cost.ts';
export { costWeightsDefault, expectedCost } from './placement/cost.ts';
export type { Device, DeviceOffer, PlaceableTask, Placement, Refusal, TaskNeeds } from './placement/current-room.ts';
export { placeByCurrentRoom, refusalForGood } from './placement/current-room.ts';
export type { Quantiles, SlotCapacity } from './placement/expected-finish.ts';
export { finishQuantiles, meanOf } from './placement/expected-finish.ts';
export { type RankedStage, rankStages } from './placement/rank-stages.ts';
export * from './planning/index.ts';
export * from './records/index.ts';
export * from './repartition/index.ts';
export * from './scheduling/index.ts';
export { standardPlanning } from './standard-planning.ts';
