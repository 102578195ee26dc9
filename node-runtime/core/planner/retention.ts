import type { JobCommand, MeshCommand } from '../ledger-commands.ts';
import { keptForMs, retentionMsOf } from '../ledger-retention.ts';
import type { PlannerEffect } from './events.ts';
import type { PlannerState } from './state.ts';

/** How often a leader looks for jobs that have been kept long enough. */
const lookEveryMs = 1_000;
/** Proposed in one round: what is left comes with the next. */
const expiredAtOnce = 100;
/** How old the log is, is said this often when ended jobs or models wait for it, so that the next leader goes on from there... */
const passEveryMs = 600_000;
/** ...and after this part of the shortest retention, so that such jobs do not wait much longer than was said. */
const passShare = 0.1;

/** From when on a leader counts the time that passes. */
export function beginToAge(state: PlannerState): void {
  state.ageing = { fromMs: state.nowMs, lookedMs: state.nowMs, isProposed: false };
}

/**
 * Forgets ended jobs that were kept as long as they were to be. No wall clock is asked, for the one by which a job ended may
 * have been wrong by years: the log says how long the mesh has been led, and while nobody leads nothing grows older.
 */
export function expireJobs(state: PlannerState, effects: PlannerEffect[]): void {
  const { ageing, ledger, nowMs, wallMs } = state;
  if (ageing.isProposed || nowMs - ageing.lookedMs < lookEveryMs) return;
  ageing.lookedMs = nowMs;
  const passedMs = sinceSaidMs(state);
  let passMs = ledger.ended.length + ledger.models.size === 0 ? Number.POSITIVE_INFINITY : passEveryMs;
  const expired: JobCommand[] = [];
  for (const key of ledger.ended) {
    const job = ledger.jobs.get(key)!;
    if (job.endedAgeMs === undefined) passMs = Math.min(passMs, retentionMsOf(job.plan) * passShare);
    else if (keptForMs(job, ledger.ageMs + passedMs) <= 0 && expired.length < expiredAtOnce)
      expired.push({ type: 'expire-job', account: job.account, job: job.job, atMs: wallMs });
  }
  if (expired.length === 0 && passedMs < passMs) return;
  effects.push({ type: 'propose', commands: [...passedTime(state), ...expired] });
}

/** Says how old the log is by now; nothing while that is on its way already. */
export function passedTime(state: PlannerState): MeshCommand[] {
  if (state.ageing.isProposed) return [];
  state.ageing.isProposed = true;
  return [{ type: 'pass-time', passedMs: sinceSaidMs(state) }];
}

/** How old the log is now, milliseconds: see `Ledger.ageMs`. */
export function ageOf(state: PlannerState): number {
  return state.ledger.ageMs + sinceSaidMs(state);
}

function sinceSaidMs({ ageing, nowMs }: PlannerState): number {
  return Math.max(0, Math.floor(nowMs - ageing.fromMs));
}

/** What was proposed is in the log. Whatever has ended meanwhile ages from now on: the time on the way counts for nothing. */
export function followAge({ ageing, nowMs }: PlannerState): void {
  ageing.fromMs = nowMs;
  ageing.isProposed = false;
}
