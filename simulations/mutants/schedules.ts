import type { Mutant } from './mutant.ts';

const run = { in: 'schedules' } as const;
const ledger = 'ledger-schedules.ts';
const planner = 'planner/schedules.ts';

/** Bugs of what is due. */
export const scheduleMutants: readonly Mutant[] = [
  {
    ...run,
    name: 'accept an earlier occurrence',
    file: ledger,
    find: "if (occurrenceMs <= schedule.lastMs) return dropped('a later one was counted');",
    replace: '',
  },
  {
    ...run,
    name: 'count what a job was kept from the beginning of the mesh',
    file: 'ledger-retention.ts',
    find: 'job.endedAgeMs = ledger.ageMs;',
    replace: 'job.endedAgeMs = 0;',
  },
  {
    ...run,
    name: 'count the same time twice',
    file: 'planner/retention.ts',
    find: 'ageing.fromMs = nowMs;',
    replace: '',
  },
  {
    ...run,
    name: 'count the time in which others led',
    file: 'planner/step.ts',
    find: '  beginToAge(state);\n',
    replace: '',
  },
  {
    ...run,
    name: 'forget which occurrence was the last',
    file: ledger,
    find: 'schedule.lastMs = occurrenceMs;',
    replace: '',
  },
  {
    ...run,
    name: 'fire with a wrong clock',
    file: 'planner/clock.ts',
    find: 'Math.abs(offMs) <= limits.clockOffMs',
    replace: 'Math.abs(offMs) <= Number.MAX_SAFE_INTEGER',
  },
  {
    ...run,
    name: 'fire before most have told their time',
    file: 'planner/clock.ts',
    find: 'state.connected && near * 2 > here',
    replace: 'state.connected && near * 2 > offsMs.length',
  },
  {
    ...run,
    name: 'trust a clock that was right at the election',
    file: planner,
    find: "if (state.clock !== 'right') return;\n  for",
    replace: "if (state.clock === 'unheard') return;\n  for",
  },
  {
    ...run,
    name: 'start what is not due yet',
    file: planner,
    find: 'view.nextMs <= state.wallMs &&',
    replace: 'view.nextMs <= state.wallMs + 3_600_000 &&',
  },
  {
    ...run,
    name: 'start only the last of what is due',
    file: planner,
    find: 'lastMissed(view, occurrences, state.wallMs - limits.scheduleLateMs)',
    replace: 'lastMissed(view, occurrences, state.wallMs)',
  },
  {
    ...run,
    name: 'a new leader begins after its own first look',
    file: planner,
    find: 'moveOn(view, schedule.lastMs);',
    replace: 'moveOn(view, schedule.lastMs === undefined ? undefined : state.wallMs);',
  },
];
