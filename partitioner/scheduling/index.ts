export type { SchedulingAlgorithm, SchedulingOptions } from './algorithms.ts';
export { planSchedule, schedulingAlgorithms } from './algorithms.ts';
export type { CapacityCurve } from './capacity.ts';
export { finishUnder } from './capacity.ts';
export type { Incumbent } from './list-schedulers.ts';
export { heftFrom } from './list-schedulers.ts';
export type { Schedule, SchedulingProblem } from './problem.ts';
export { lowerBoundSeconds, problemBySpeeds, scheduleProblem } from './problem.ts';
export { upwardRanks } from './ranks.ts';
