/** Foremesh under a virtual clock: what `foremesh sim` does, as functions. */
export { Violation } from './checks/violation.ts';
export { brokerProfiles, calmWeather, VirtualBroker, type VirtualConnection } from './engine/broker.ts';
export { Chance } from './engine/chance.ts';
export { VirtualDisk } from './engine/disk.ts';
export { Timeline } from './engine/timeline.ts';
export { hunt, mutate } from './mutants/hunt.ts';
export { mutants } from './mutants/index.ts';
export { runScenario } from './run.ts';
export { readScenario, scenarioLimits } from './scenario/read-scenario.ts';
export { faultKinds, type Scenario, scenarioOf } from './scenario/scenario.ts';
export { fuzzSchedules } from './schedules/fuzz.ts';
export { runSchedule } from './schedules/run.ts';
export { type ScheduleScenario, scheduleScenarioOf } from './schedules/scenario.ts';
export { shrink } from './search/shrink.ts';
export { tellStory } from './search/story.ts';
