import type { PlannedJob, PlannedTask } from '@foremesh/partitioner';
import type { FinishTimes, JobState, Problem } from '../../../contract/index.ts';
import { deadlineOf, type LedgerJob } from '../../ledger.ts';
import type { PlannerEffect } from '../events.ts';
import type { JobView, PlannerState } from '../state.ts';
import type { JobGraph } from './graph.ts';
import { confidenceOf, deadlineProblem, finishTimesOf, millisecondsOf, outlookOf } from './make-plan.ts';

/** A job that is over sooner is not worth a promise. */
const promisedAfterMs = 1_000;
/** Jobs with a deadline are told at once whether it will be met, but the leader does not spend all its time on that: others follow in its rounds. */
const atOnceEveryMs = 100;
/** How old what is expected of a job may become. */
const foreseenForMs = 5_000;

/** One job in each round of the leader, the one that has waited longest: what is expected of it is worked out anew. */
export function watchPromises(state: PlannerState, effects: PlannerEffect[]): void {
  if (!state.connected || state.nowMs < state.graceUntilMs) return;
  let due: JobView | undefined;
  let oldestMs = state.nowMs - foreseenForMs;
  for (const view of state.jobs.values()) {
    if (view.schedule !== undefined || view.ending) continue;
    if (view.dueMs === undefined && state.nowMs - view.sinceMs < promisedAfterMs) continue;
    // What was expected before it was known how many tasks there are is worth little.
    const isKnown = view.outlook !== undefined && (!view.outlook.isCounting || isCounting(view));
    const atMs = isKnown ? view.outlook!.atMs : Number.NEGATIVE_INFINITY;
    if (atMs > oldestMs || (due !== undefined && atMs === oldestMs)) continue;
    due = view;
    oldestMs = atMs;
  }
  if (due !== undefined) foresee(state, due, effects);
}

/** Of a job that has just been accepted, and has a deadline. */
export function foreseeAtOnce(state: PlannerState, view: JobView, effects: PlannerEffect[]): void {
  if (view.dueMs === undefined || state.nowMs < state.graceUntilMs) return;
  if (state.nowMs - state.foreseenMs >= atOnceEveryMs) foresee(state, view, effects);
}

/** Works out when a job will be done. The first time that is known it is a promise, which goes into the log. */
function foresee(state: PlannerState, view: JobView, effects: PlannerEffect[]): void {
  const job = state.ledger.jobs.get(view.key)!;
  const before = view.outlook?.planned;
  // Cheap: it is done for every job, again and again.
  const quick = { algorithm: 'heft', evaluations: 0, ...(before === undefined ? {} : { incumbent: before }) } as const;
  const { graph, planned } = outlookOf(state, job, quick);
  const dueMs = deadlineOf(job);
  const late =
    planned === undefined || dueMs === undefined || job.missedDeadline === true
      ? undefined
      : deadlineProblem(job, planned, Math.max(0, dueMs - state.wallMs));
  state.foreseenMs = state.nowMs;
  view.outlook = {
    atMs: state.nowMs,
    isCounting: isCounting(view),
    ...(planned === undefined ? {} : { planned }),
    ...(late === undefined ? {} : { late }),
    followsSeconds: followsOf(graph, planned),
  };
  view.dirty = true;
  if (planned === undefined || job.promise !== undefined || view.outlook.isCounting) return;
  const confidence = confidenceOf(job);
  const leftMs = millisecondsOf(planned.finishQuantile(confidence));
  if (leftMs === undefined) return;
  const madeMs = Math.max(0, Math.round(state.wallMs - job.acceptedAtMs));
  const { account, job: id } = job;
  const promise = { withinMs: madeMs + leftMs, confidence, madeMs };
  effects.push({ type: 'propose', commands: [{ type: 'promise-job', account, job: id, atMs: state.wallMs, promise }] });
}

/** What comes after the parts of each stage, in the middle of what is planned. */
function followsOf({ stages }: JobGraph, planned: PlannedJob | undefined): Map<string, number> {
  const follows = new Map<string, number>();
  if (planned === undefined) return follows;
  const lastOf = (tasks: readonly PlannedTask[]) => Math.max(0, ...tasks.map(({ finishSeconds }) => finishSeconds));
  const end = lastOf(planned.tasks);
  for (const { plan, merges, open, tasks } of stages)
    if (open > 0 && tasks.length > 0)
      follows.set(
        plan.stage,
        end - lastOf(tasks.slice(0, merges ? -1 : undefined).map((task) => planned.tasks[task]!)),
      );
  return follows;
}

/** Records of a stage are being counted, and cut: how many tasks it will have is not known for sure. */
function isCounting({ stages }: JobView): boolean {
  for (const { phase } of stages.values()) if (phase === 'index' || phase === 'cut') return true;
  return false;
}

/** What is said of it in the job's state. */
export function promiseStateOf(
  state: PlannerState,
  { promise }: LedgerJob,
  view: JobView | undefined,
): Pick<JobState, 'finish' | 'promise'> {
  const { planned, atMs } = view?.outlook ?? {};
  const sinceMs = atMs === undefined ? 0 : state.nowMs - atMs;
  return {
    ...(planned === undefined ? {} : { finish: later(finishTimesOf(planned), sinceMs) }),
    ...(promise === undefined ? {} : { promise }),
  };
}

/** The probability to meet the deadline, as it was worked out last. */
export function probabilityOf(state: PlannerState, job: LedgerJob, view: JobView | undefined): number | undefined {
  const { planned, atMs } = view?.outlook ?? {};
  const dueMs = deadlineOf(job);
  if (planned === undefined || atMs === undefined || dueMs === undefined) return undefined;
  return planned.probabilityBy((dueMs - state.wallMs + (state.nowMs - atMs)) / 1_000);
}

export function lateProblem(view: JobView | undefined): Problem | undefined {
  return view?.outlook?.late;
}

/** The same, so much later. */
function later(times: FinishTimes, passedMs: number): FinishTimes {
  const shifted = Object.entries(times).flatMap(([name, ms]) =>
    ms === undefined ? [] : [[name, Math.max(0, Math.round(ms - passedMs))]],
  );
  return Object.fromEntries(shifted) as FinishTimes;
}
