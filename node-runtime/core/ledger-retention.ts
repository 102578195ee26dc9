import { limits } from '../contract/index.ts';
import type { Ledger, LedgerJob, Tombstone } from './ledger.ts';
import type { JobCommand, LedgerEvent, MeshCommand } from './ledger-commands.ts';

/** How much of the past is kept. */
export interface LedgerRetention {
  readonly endedJobs: number;
  readonly endedTasks: number;
  readonly tombstones: number;
}

/** A job has ended: the oldest make room for it. */
export function retireJob(ledger: Ledger, job: LedgerJob, key: string): LedgerEvent[] {
  ledger.ended.push(key);
  ledger.endedTasks += tasksOf(job);
  const events: LedgerEvent[] = [];
  while (hasTooMuch(ledger)) events.push(forget(ledger, ledger.ended.shift()!));
  buryOldest(ledger);
  return events;
}

/**
 * Somebody has led for so much longer. Jobs that have ended since it was last said begin to age now: they are kept too long by
 * that, never too short.
 */
export function passTime(ledger: Ledger, command: MeshCommand & { type: 'pass-time' }): LedgerEvent[] {
  const { passedMs } = command;
  if (!Number.isSafeInteger(passedMs) || passedMs < 0) return [{ type: 'dropped', command, reason: 'time goes on' }];
  ledger.ageMs += passedMs;
  for (let at = ledger.ended.length - 1; at >= 0; at -= 1) {
    const job = ledger.jobs.get(ledger.ended[at]!)!;
    if (job.endedAgeMs !== undefined) break;
    job.endedAgeMs = ledger.ageMs;
  }
  return [{ type: 'time-passed' }];
}

/** How long an ended job is still kept when the log is so old, milliseconds; infinite until its age counts. */
export function keptForMs({ plan, endedAgeMs = Number.POSITIVE_INFINITY }: LedgerJob, ageMs: number): number {
  return endedAgeMs + retentionMsOf(plan) - ageMs;
}

export function retentionMsOf({ retentionMs = limits.retentionMsDefault }: LedgerJob['plan']): number {
  return retentionMs;
}

export function expireJob(
  ledger: Ledger,
  job: LedgerJob,
  key: string,
  command: JobCommand & { type: 'expire-job' },
): LedgerEvent[] {
  const at = ledger.ended.indexOf(key);
  if (job.phase === 'running' || at < 0) return [{ type: 'dropped', command, reason: 'it has not ended' }];
  if (keptForMs(job, ledger.ageMs) > 0) return [{ type: 'dropped', command, reason: 'it is to be kept longer' }];
  ledger.ended.splice(at, 1);
  const events = [forget(ledger, key)];
  buryOldest(ledger);
  return events;
}

function forget(ledger: Ledger, key: string): LedgerEvent {
  const { specHash, phase } = ledger.jobs.get(key)!;
  ledger.endedTasks -= tasksOf(ledger.jobs.get(key)!);
  ledger.jobs.delete(key);
  ledger.tombstones.set(key, { key, specHash, phase: phase as Tombstone['phase'] });
  return { type: 'job-forgotten', key };
}

function buryOldest({ tombstones, retain }: Ledger): void {
  for (const oldest of tombstones.keys()) {
    if (tombstones.size <= retain.tombstones) break;
    tombstones.delete(oldest);
  }
}

/** Never the one that has just ended: somebody waits for it. */
function hasTooMuch({ ended, endedTasks, retain }: Ledger): boolean {
  return ended.length > 1 && (ended.length > retain.endedJobs || endedTasks > retain.endedTasks);
}

/** How many it has been cut into. */
export function tasksOf(job: LedgerJob): number {
  let tasks = 0;
  for (const stage of job.stages.values()) tasks += stage.tasks.length;
  return tasks;
}
