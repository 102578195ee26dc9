export { splitAnew } from './chunks.ts';
export { committedTogether } from './committed.ts';
export type { PlannerEffect, PlannerEvent } from './events.ts';
export {
  type Foresight,
  foresightBy,
  hasMoreToLearn,
  historiesOf,
  type LearnedKind,
  learnedKinds,
  type SeriesName,
} from './foresight/index.ts';
export { profileOf, profileOfTask } from './profiles.ts';
export { ageOf } from './retention.ts';
export {
  createPlanner,
  type PlannerConfig,
  type PlannerOptions,
  type PlannerPolicy,
  type PlannerState,
  plannerDefaults,
} from './state.ts';
export { type Instant, stepPlanner } from './step.ts';
export { whereRuns } from './tasks.ts';
export { validatePlanner } from './validate.ts';
export { answerQuery, jobStateOf, refusedStateOf } from './views.ts';
