import type { Found, FuzzOptions, FuzzResult } from '../search/fuzz.ts';
import { runSchedule } from './run.ts';
import { scheduleScenarioOf } from './scenario.ts';

export interface ScheduleFuzzResult extends FuzzResult {
  readonly started: number;
  readonly skipped: number;
  readonly changes: number;
  readonly jumps: number;
  readonly days: number;
}

/** Schedule after schedule, each from a seed of its own. */
export function fuzzSchedules(
  { fromSeed, seeds, goOn, onSeed, stopAtFirst }: FuzzOptions,
  occurrences: number,
): ScheduleFuzzResult {
  const found: Found[] = [];
  const sums = { started: 0, skipped: 0, changes: 0, jumps: 0, days: 0 };
  let done = 0;
  while (done < seeds && goOn()) {
    const seed = fromSeed + done;
    const { violation, ...counts } = runSchedule(scheduleScenarioOf(seed, occurrences));
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += counts[name];
    done += 1;
    if (violation !== undefined) found.push({ seed, checker: violation.checker, message: violation.message });
    onSeed?.(done, found);
    if (violation !== undefined && stopAtFirst === true) break;
  }
  return { seeds: done, found, ...sums };
}
