import { limits } from '../contract/index.ts';
import { jobKeyOf } from './job-plan.ts';
import type { Ledger, LedgerJob } from './ledger.ts';
import type { JobCommand, LedgerEvent } from './ledger-commands.ts';

/** How far a schedule has come. Times are milliseconds since 1970, of cron, whoever's clock says that it is so late. */
export interface LedgerSchedule {
  /** Only what comes later counts; absent until a leader whose clock is right has said from when on. */
  lastMs?: number;
  /** The job of the last occurrence that was started. */
  latest?: string;
  started: number;
  skipped: number;
  lastSkipped?: { readonly atMs: number; readonly reason: string };
}

type OfSchedule = JobCommand & { type: 'begin-schedule' | 'start-occurrence' };

/** What is to be run when an occurrence is due: the ledger makes its job. */
export type CreateJob = (job: string, occurrence: { readonly schedule: string; readonly atMs: number }) => LedgerEvent;

/** One occurrence is one entry of the log, with the job that it becomes: whoever leads, it is started or left out once. */
export function applyToSchedule(
  ledger: Ledger,
  job: LedgerJob,
  key: string,
  command: OfSchedule,
  create: CreateJob,
): LedgerEvent[] {
  const dropped = (reason: string): LedgerEvent[] => [{ type: 'dropped', command, reason }];
  const { schedule } = job;
  if (schedule === undefined) return dropped('it has no schedule');
  if (command.type === 'begin-schedule') {
    if (schedule.lastMs !== undefined) return dropped('it has begun');
    schedule.lastMs = command.fromMs;
    return [{ type: 'schedule-begun', key }];
  }
  const { occurrenceMs } = command;
  if (schedule.lastMs === undefined) return dropped('it has not begun');
  if (occurrenceMs <= schedule.lastMs) return dropped('a later one was counted');
  schedule.lastMs = occurrenceMs;
  const id = occurrenceId(job.job, occurrenceMs);
  const reason = command.skip ?? whyNotNow(ledger, job, jobKeyOf(job.account, id));
  if (reason !== undefined) {
    schedule.skipped += 1;
    schedule.lastSkipped = { atMs: occurrenceMs, reason };
    return [{ type: 'occurrence-skipped', key, job: id, occurrenceMs, reason }];
  }
  schedule.started += 1;
  schedule.latest = id;
  return [
    { type: 'occurrence-started', key, job: id, occurrenceMs },
    create(id, { schedule: job.job, atMs: occurrenceMs }),
  ];
}

function whyNotNow({ jobs, tombstones }: Ledger, { account, plan, schedule }: LedgerJob, key: string) {
  if (jobs.has(key) || tombstones.has(key)) return 'another job has its id';
  const before = jobs.get(jobKeyOf(account, schedule!.latest ?? ''));
  return plan.schedule!.overlap === 'skip' && before?.phase === 'running'
    ? `${before.job} still ran, and overlap is skip`
    : undefined;
}

/** `<schedule>-20261224T180000Z`, always UTC: no two occurrences have one name, whatever clocks are turned back. */
export function occurrenceId(schedule: string, occurrenceMs: number): string {
  const seconds = Math.floor(occurrenceMs / 1_000);
  const days = Math.floor(seconds / 86_400);
  const ofDay = seconds - days * 86_400;
  const { year, month, day } = civilDate(days);
  const two = (number: number) => String(number).padStart(2, '0');
  const time = `${two(Math.floor(ofDay / 3_600))}${two(Math.floor(ofDay / 60) % 60)}${two(ofDay % 60)}`;
  return `${schedule}-${String(year).padStart(4, '0')}${two(month)}${two(day)}T${time}Z`;
}

/** Days since 1970 as a date of the Gregorian calendar, counted in eras of 400 years that begin in March. */
function civilDate(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const sinceMarch0 = days + 719_468;
  const era = Math.floor(sinceMarch0 / 146_097);
  const ofEra = sinceMarch0 - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1_460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1,
  };
}

/** What contradicts itself, if anything does. */
export function findScheduleFault({ job, plan, schedule, stages }: LedgerJob): string | undefined {
  if ((schedule === undefined) !== (plan.schedule === undefined)) return 'a schedule without a plan, or the reverse';
  if (schedule === undefined) return undefined;
  if (job.length > limits.scheduleCharacters) return 'its occurrences could have no names';
  if ([...stages.values()].some(({ cut }) => cut)) return 'a schedule has tasks of its own';
  if (schedule.started > 0 !== (schedule.latest !== undefined)) return 'it counts what it has not started';
  if (schedule.started + schedule.skipped > 0 && schedule.lastMs === undefined) return 'it has not begun';
  return undefined;
}
