/** Foremesh under a virtual clock. */
export { runScenario, type RunResult } from './run.ts';
export { type Fault, type Scenario, scenarioOf } from './scenario/scenario.ts';
export { Violation } from './checks.ts';
export { shrink } from './search/shrink.ts';
export { tellStory } from './search/story.ts';
