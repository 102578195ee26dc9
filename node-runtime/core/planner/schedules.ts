import { limits, type Problem } from '../../contract/index.ts';
import { jobKeyOf } from '../job-plan.ts';
import { deadlineOf, type LedgerJob } from '../ledger.ts';
import type { JobCommand, LedgerEvent } from '../ledger-commands.ts';
import { occurrenceId } from '../ledger-schedules.ts';
import type { PlannerEffect } from './events.ts';
import { quotaProblem } from './quotas.ts';
import type { JobView, Occurrences, PlannerState, ScheduleView } from './state.ts';

const occurrencesAtOnce = 100;

export function openSchedule(state: PlannerState, { plan, schedule }: LedgerJob): ScheduleView | undefined {
  if (plan.schedule === undefined || schedule === undefined) return undefined;
  const view: ScheduleView = {
    occurrences: state.policy.occurrences(plan.schedule),
    beginning: false,
    afterMs: Number.NEGATIVE_INFINITY,
  };
  moveOn(view, schedule.lastMs);
  return view;
}

/** When the deadline of an open job is over, by our monotonic clock: from now on it does not matter how the other one jumps. */
export function deadlineDueMs(state: PlannerState, job: LedgerJob): number | undefined {
  const dueMs = job.missedDeadline || job.schedule !== undefined ? undefined : deadlineOf(job);
  return dueMs === undefined ? undefined : state.nowMs + (dueMs - state.wallMs);
}

function moveOn(view: ScheduleView, lastMs: number | undefined): void {
  if (lastMs === undefined || typeof view.occurrences === 'string' || lastMs <= view.afterMs) return;
  view.afterMs = lastMs;
  delete view.nextMs;
  const nextMs = view.occurrences.next(lastMs);
  if (nextMs !== undefined) view.nextMs = nextMs;
}

/** A leader's round: what is due is started, what nobody could start in time is left out or made up for. */
export function runSchedules(state: PlannerState, effects: PlannerEffect[]): void {
  if (state.clock !== 'right') return;
  for (const view of state.jobs.values()) {
    if (view.schedule === undefined || view.ending) continue;
    const job = state.ledger.jobs.get(view.key)!;
    const commands = dueCommands(state, job, view.schedule);
    if (commands.length > 0) effects.push({ type: 'propose', commands });
  }
}

function dueCommands(state: PlannerState, job: LedgerJob, view: ScheduleView): JobCommand[] {
  const { account, job: id, plan, schedule } = job;
  const { occurrences } = view;
  const head = { account, job: id, atMs: state.wallMs };
  if (typeof occurrences === 'string') return [];
  if (schedule!.lastMs === undefined) {
    if (view.beginning) return [];
    view.beginning = true;
    return [{ type: 'begin-schedule', ...head, fromMs: state.wallMs }];
  }
  const commands: JobCommand[] = [];
  const take = (occurrenceMs: number, skip?: string): void => {
    const reason = skip ?? quotaProblem(state, account, plan)?.message;
    commands.push({
      type: 'start-occurrence',
      ...head,
      occurrenceMs,
      ...(reason === undefined ? {} : { skip: reason }),
    });
    if (reason === undefined) state.accepting.set(jobKeyOf(account, occurrenceId(id, occurrenceMs)), job.specHash);
    moveOn(view, occurrenceMs);
  };
  const missed = lastMissed(view, occurrences, state.wallMs - limits.scheduleLateMs);
  if (missed !== undefined) {
    const isLast = (occurrences.next(missed) ?? Number.POSITIVE_INFINITY) > state.wallMs;
    if (plan.schedule!.catchUp === 'one' && isLast) take(missed);
    else
      take(missed, `nobody could start it, or those before it, in time (scheduleLateMs is ${limits.scheduleLateMs})`);
  }
  while (view.nextMs !== undefined && view.nextMs <= state.wallMs && commands.length < occurrencesAtOnce)
    take(view.nextMs);
  return commands;
}

/** The last of those that are too late, if any is. */
function lastMissed({ nextMs }: ScheduleView, { latest }: Occurrences, untilMs: number): number | undefined {
  if (nextMs === undefined || nextMs > untilMs) return undefined;
  return Math.max(nextMs, latest(untilMs) ?? nextMs);
}

/** What the log says of schedules and deadlines. */
export function followSchedule(state: PlannerState, event: LedgerEvent, effects: PlannerEffect[]): void {
  if (event.type === 'deadline-missed') {
    const text = `job ${event.key} has not ended by its deadline; it goes on`;
    effects.push({ type: 'event', event: { kind: 'deadline-missed', severity: 'warning', text } });
  }
  if (event.type === 'occurrence-skipped') {
    const text = `${event.job} of schedule ${event.key} was left out: ${event.reason}`;
    effects.push({ type: 'event', event: { kind: 'occurrence-skipped', severity: 'warning', text } });
    const [account] = event.key.split('/') as [string];
    state.accepting.delete(jobKeyOf(account, event.job));
  }
  if (event.type === 'schedule-begun' || event.type === 'occurrence-skipped' || event.type === 'occurrence-started') {
    const view = state.jobs.get(event.key);
    if (view?.schedule === undefined) return;
    view.dirty = true;
    moveOn(view.schedule, state.ledger.jobs.get(event.key)?.schedule?.lastMs);
  }
}

/** What came to nothing may be tried again. */
export function scheduleDropped(state: PlannerState, command: JobCommand): void {
  const { account, job } = command;
  const view = state.jobs.get(jobKeyOf(account, job))?.schedule;
  if (command.type === 'begin-schedule' && view !== undefined) view.beginning = false;
  if (command.type === 'start-occurrence')
    state.accepting.delete(jobKeyOf(account, occurrenceId(job, command.occurrenceMs)));
}

export function watchDeadlines(state: PlannerState, effects: PlannerEffect[]): void {
  for (const view of state.jobs.values()) {
    if (view.dueMs === undefined || view.dueMs > state.nowMs || view.ending) continue;
    delete view.dueMs;
    const { account, job } = state.ledger.jobs.get(view.key)!;
    effects.push({ type: 'propose', commands: [{ type: 'miss-deadline', account, job, atMs: state.wallMs }] });
  }
}

/** Why a schedule does not go on as it should. */
export function scheduleProblem(state: PlannerState, view: JobView | undefined): Problem | undefined {
  const occurrences = view?.schedule?.occurrences;
  if (occurrences === undefined) return undefined;
  if (typeof occurrences !== 'string') return state.clockProblem;
  const mend = 'let another node lead, or install a Node with full ICU there';
  return {
    code: 'MESH_CLOCK_UNSURE',
    message: `${state.id} leads, and cannot tell when it is due: ${occurrences}`,
    mend,
  };
}
