import { Chance } from '../engine/chance.ts';

/** A schedule over a long time, and all that may disturb it. Plain data. */
export interface ScheduleScenario {
  readonly seed: number;
  readonly cron: string;
  readonly timezone: string;
  readonly catchUp: 'none' | 'one';
  readonly overlap: 'allow' | 'skip';
  /** Milliseconds since 1970. */
  readonly startMs: number;
  /** Ends once so many have come. */
  readonly occurrences: number;
  readonly nodes: number;
  /** Of the moments that are looked at: at so many another node leads, after nobody has for a while. */
  readonly changePermille: number;
  /** For how long nobody leads, at most. */
  readonly gapMostMs: number;
  /** And at so many the clock of a node jumps; never of half the nodes. */
  readonly jumpPermille: number;
  /** Of the proposals: those that are lost with their leader, and those that come once more, too late. */
  readonly strayPercent: number;
  /** How long a run takes, at most. */
  readonly runMostMs: number;
}

const hourMs = 3_600_000;

export function scheduleScenarioOf(seed: number, occurrences = 40): ScheduleScenario {
  const chance = new Chance(seed).fork('schedules');
  const quiet = chance.percent(15);
  const cron = chance.pick([
    '0 * * * *',
    '*/20 * * * *',
    '30 2 * * *',
    '15 */3 * * *',
    '*/15 * * * * *',
    '0 9 * * 1-5',
  ]);
  return {
    seed,
    cron,
    timezone: chance.pick(['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe']),
    catchUp: chance.pick(['none', 'one'] as const),
    overlap: chance.pick(['allow', 'allow', 'skip'] as const),
    // Now and then just before clocks are turned, in Europe and America.
    startMs: chance.pick([
      Date.UTC(2026, 2, 7) + chance.between(0, 24 * hourMs),
      Date.UTC(2026, 2, 28) + chance.between(0, 24 * hourMs),
      Date.UTC(2026, 9, 24) + chance.between(0, 24 * hourMs),
      Date.UTC(2027, 0, 1) + chance.between(0, 8_000 * hourMs),
    ]),
    occurrences,
    nodes: chance.pick([1, 3, 5]),
    changePermille: quiet ? 0 : chance.pick([0, 2, 20]),
    gapMostMs: chance.pick([5_000, 45_000, 3 * hourMs]),
    jumpPermille: quiet ? 0 : chance.pick([0, 2, 20]),
    strayPercent: quiet ? 0 : chance.pick([0, 20]),
    // Longer than the time between two of them, or not; never a hundred at once.
    runMostMs: cron.startsWith('*/15') ? chance.pick([2_000, 40_000]) : chance.pick([2_000, 2_000, 2 * hourMs]),
  };
}
