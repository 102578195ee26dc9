import { parentPort, workerData } from 'node:worker_threads';
import { fuzzSchedules } from '../schedules/fuzz.ts';
import { fuzz } from '../search/fuzz.ts';

/** Of a schedule, in a run: a bug shows in many short ones sooner than in a long one. */
const occurrences = 15;

const { fromSeed, seeds, simulation } = workerData as { fromSeed: number; seeds: number; simulation?: 'schedules' };
const options = { fromSeed, seeds, goOn: () => true, stopAtFirst: true };
parentPort!.postMessage(simulation === 'schedules' ? fuzzSchedules(options, occurrences) : fuzz(options));
