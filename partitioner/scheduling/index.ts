export type { SchedulingAlgorithm, SchedulingOptions } from './algorithms.ts';
export { evaluationsFor, planSchedule, schedulingAlgorithms } from './algorithms.ts';
export type { Schedule, SchedulingProblem } from './problem.ts';
export { lowerBoundSeconds, problemBySpeeds, scheduleProblem } from './problem.ts';
