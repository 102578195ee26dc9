import { combinationsOf, type DataReference, limits, type MoveCounts, type Output } from '../../contract/index.ts';
import { type JobPlan, jobKeyOf, type StagePlan, taskKeyOf } from '../job-plan.ts';
import { findTask, type LedgerJob, type LedgerTask, stageOutput } from '../ledger.ts';
import type { Cut, CutTask, JobCommand, LedgerEvent } from '../ledger-commands.ts';
import { partName } from '../ledger-cuts.ts';
import { tasksOf } from '../ledger-retention.ts';
import { tell, transition } from '../task-states.ts';
import { askForIndex, awaitsIndex, cutRefused, cutSettled, isCutAsItRuns, keepRecords } from './chunks.ts';
import type { PlannerEffect } from './events.ts';
import { followRetired, noteMoved } from './moves.ts';
import { dropNode } from './nodes.ts';
import { notePace } from './pace.ts';
import { foreseeAtOnce } from './plan/index.ts';
import { followAge } from './retention.ts';
import { deadlineDueMs, followSchedule, openSchedule, scheduleDropped } from './schedules.ts';
import type { AttemptView, JobView, PlannerState, StageRecords, StageView, TaskView } from './state.ts';
import { endJob, forgetAttempt, makeReady } from './tasks.ts';
import { jobResultOf, jobStateOf } from './views.ts';

/** Begins (or, after an election, takes up again) the planning of an accepted job. */
export function openJob(state: PlannerState, job: LedgerJob, effects: PlannerEffect[]): void {
  const key = jobKeyOf(job.account, job.job);
  const schedule = openSchedule(state, job);
  const dueMs = deadlineDueMs(state, job);
  const view: JobView = {
    key,
    stages: new Map(),
    tasks: new Map(),
    attempts: 0,
    sinceMs: state.nowMs,
    revision: 0,
    dirty: true,
    publishedMs: Number.NEGATIVE_INFINITY,
    ending: false,
    ...(schedule === undefined ? {} : { schedule }),
    ...(dueMs === undefined ? {} : { dueMs }),
  };
  state.jobs.set(key, view);
  if (schedule !== undefined) return; // its occurrences are run, each as a job of its own
  for (const plan of job.plan.stages)
    view.stages.set(plan.stage, { plan, phase: 'needs', atNodes: 0, pace: { byNode: new Map() } });
  for (const stage of view.stages.values()) {
    const ledger = job.stages.get(stage.plan.stage)!;
    if (ledger.cut) openStage(state, job, view, stage, ledger.tasks);
    if (ledger.rest !== undefined) effects.push(askForIndex(job, stage, ledger.source!));
  }
  advance(state, job, view, effects);
}

/** Starts every stage whose needs are met. */
function advance(state: PlannerState, job: LedgerJob, view: JobView, effects: PlannerEffect[]): void {
  for (const stage of view.stages.values()) {
    if (stage.phase !== 'needs') continue;
    if (!stage.plan.needs.every((need) => job.stages.get(need)!.done)) continue;
    if (stage.plan.split === undefined) {
      proposeCut(state, job, stage, unindexedTasks(stage.plan), stage.plan.input, effects);
      continue;
    }
    const source = stage.plan.input ?? indexableOutput(stageOutput(job, stage.plan.needs[0]!));
    if (source === undefined) {
      const message = `stage ${stage.plan.stage} splits the output of ${stage.plan.needs[0]}, which is a list of parts`;
      effects.push(
        endJob(state, job, { code: 'MESH_INPUT_INVALID', message, mend: `give ${stage.plan.needs[0]} a \`merge\`` }),
      );
      return;
    }
    stage.phase = 'index';
    effects.push(askForIndex(job, stage, source));
  }
}

function indexableOutput(output: Output | Output[]): Output | undefined {
  return Array.isArray(output) ? undefined : output;
}

function proposeCut(
  state: PlannerState,
  job: LedgerJob,
  stage: StageView,
  tasks: CutTask[],
  source: DataReference | undefined,
  effects: PlannerEffect[],
): void {
  stage.phase = 'cut';
  const { account, job: id } = job;
  effects.push({
    type: 'propose',
    commands: [{ type: 'cut-stage', account, job: id, atMs: state.wallMs, ...cutOf(stage.plan, tasks, source) }],
  });
}

function cutOf({ stage }: StagePlan, tasks: CutTask[], source: DataReference | undefined): Cut {
  return source === undefined ? { stage, tasks } : { stage, tasks, source };
}

/** Cuts that need nothing but the spec: logged with the acceptance, they cost no second wait for the disk. */
export function cutsOnAcceptance(plan: JobPlan): Cut[] {
  return plan.stages
    .filter((stage) => stage.split === undefined && stage.needs.length === 0)
    .map((stage) => cutOf(stage, unindexedTasks(stage), stage.input));
}

/** The tasks of a stage whose input is not cut: one, or one for each combination of its matrix. */
function unindexedTasks({ stage, matrix }: StagePlan): CutTask[] {
  const count = matrix === undefined ? 1 : combinationsOf(matrix);
  return Array.from({ length: count }, (_, number) => ({ task: partName(stage, number) }));
}

/** The holder knows where the records are: the stage is cut, or can be as it runs. */
export function cutIndexedStage(
  state: PlannerState,
  job: LedgerJob,
  stage: StageView,
  { source, index }: StageRecords,
  effects: PlannerEffect[],
): void {
  const ledger = job.stages.get(stage.plan.stage)!;
  if (!awaitsIndex(stage, ledger)) return; // an answer that came twice
  if (ledger.cut || (isCutAsItRuns(stage.plan) && index.totalRecords > 0)) {
    const view = state.jobs.get(jobKeyOf(job.account, job.job))!;
    const problem = keepRecords(state, view, stage, ledger, { source, index });
    if (problem !== undefined) effects.push(contradiction(state, job, stage, problem));
    return;
  }
  const { chunks = index.totalRecords } = stage.plan.split!;
  const count = Math.max(1, Math.min(chunks, index.totalRecords, limits.tasksPerStage));
  const pieces = state.policy.cut(
    index,
    Array.from({ length: count }, () => 1),
  );
  if (typeof pieces === 'string') {
    effects.push(contradiction(state, job, stage, pieces));
    return;
  }
  const tasks = pieces.map((range, number) => ({ task: partName(stage.plan.stage, number), range }));
  const after = tasksOf(job) + tasks.length;
  if (after > limits.tasksPerJob) {
    const message = `tasksPerJob is ${limits.tasksPerJob}; with stage ${stage.plan.stage} the job would have ${after}`;
    effects.push(
      endJob(state, job, { code: 'MESH_LIMIT_EXCEEDED', message, mend: 'set `split: { chunks: ... }` lower' }),
    );
    return;
  }
  proposeCut(state, job, stage, tasks, source, effects);
}

/** Cut by it, records would be lost without a word. */
function contradiction(state: PlannerState, job: LedgerJob, { plan }: StageView, problem: string): PlannerEffect {
  const message = `the holder's record index of stage ${plan.stage} contradicts itself: ${problem}`;
  return endJob(state, job, { code: 'MESH_INPUT_INVALID', message });
}

/** The log has tasks of the stage: they can be assigned. */
function openStage(
  state: PlannerState,
  job: LedgerJob,
  view: JobView,
  stage: StageView,
  tasks: Iterable<LedgerTask>,
): void {
  const ledger = job.stages.get(stage.plan.stage)!;
  stage.phase = ledger.done ? 'done' : 'open';
  for (const task of tasks) {
    if (task.replacedBy !== undefined) continue;
    const taskView = createTask(job, view, stage, task);
    view.tasks.set(task.task, taskView);
    if (task.committed !== undefined) transition(taskView, 'done', 'already in the log');
    else if (!task.merges || ledger.openParts === 0) makeReady(state, taskView, 'its stage was cut');
  }
}

function createTask(job: LedgerJob, view: JobView, stage: StageView, ledger: LedgerTask): TaskView {
  return {
    key: taskKeyOf(job.account, job.job, ledger.task),
    job: view,
    stage,
    ledger,
    state: 'waiting',
    story: [],
    attempts: new Set(),
    attemptsMade: ledger.failures.length,
    queued: false,
    committing: false,
    nodeFaults: 0,
    counting: false,
    notBeforeMs: Number.NEGATIVE_INFINITY,
    avoidUntilMs: new Map(),
  };
}

/** Follows what the log has just committed. */
export function followLedger(state: PlannerState, event: LedgerEvent, effects: PlannerEffect[]): void {
  if (event.type === 'dropped') {
    if (event.command.type === 'accept-job') state.accepting.delete(jobKeyOf(event.command.account, event.command.job));
    if ('job' in event.command) scheduleDropped(state, event.command);
    if (event.command.type === 'cut-stage') refuseCut(state, event.command);
    if (event.command.type === 'count-checkpoint') {
      const { account, job, task } = event.command;
      checkpointSettled(state, jobKeyOf(account, job), task);
    }
    if (event.command.type === 'commit-task' || event.command.type === 'fail-attempt') {
      effects.push({
        type: 'send',
        node: event.command.node,
        message: { type: 'committed', attempts: [event.command.attempt] },
      });
    }
    return;
  }
  // Who is in the mesh, and who votes: the planner works with whom its driver shows it.
  if (event.type === 'node-removed') {
    dropNode(state, event.node, effects);
    return;
  }
  if (event.type === 'time-passed') {
    followAge(state);
    return;
  }
  if (event.type === 'voters-set' || event.type === 'quota-set' || event.type === 'model-kept') return;
  if (event.type === 'node-enrolled' || event.type === 'voters-certified') return;
  if (event.type === 'job-forgotten') {
    const [account, job] = event.key.split('/') as [string, string];
    effects.push({ type: 'clear-job', account, job });
    return;
  }
  const job = state.ledger.jobs.get(event.key);
  if (job === undefined) return; // accepted and, in the same batch, forgotten
  if (event.type === 'job-accepted') {
    state.accepting.delete(event.key);
    openJob(state, job, effects);
    const opened = state.jobs.get(event.key)!;
    // Whoever set a deadline is told at once whether it will be met.
    foreseeAtOnce(state, opened, effects);
    opened.dirty = false; // it is published right here
    opened.publishedMs = state.nowMs;
    effects.push(
      { type: 'publish-state', state: jobStateOf(state, job) },
      { type: 'clear-spec', account: job.account, job: job.job },
    );
    return;
  }
  const view = state.jobs.get(event.key);
  if (view === undefined) return;
  view.dirty = true;
  switch (event.type) {
    case 'stage-cut': {
      const stage = view.stages.get(event.stage)!;
      cutSettled(state, stage, job.stages.get(event.stage)!);
      openStage(state, job, view, stage, tasksNamed(job, event.tasks));
      if (event.stageDone) advance(state, job, view, effects);
      return;
    }
    case 'task-retired': {
      const move = followRetired(view.tasks.get(event.task)!, effects);
      dropRetired(state, view, event.task, effects);
      openStage(state, job, view, view.stages.get(event.stage)!, tasksNamed(job, event.into));
      if (move !== undefined) for (const part of event.into) noteMoved(state, view.tasks.get(part)!, move);
      return;
    }
    case 'task-committed': {
      finishTask(state, job, view, event.task, event.attempt, effects);
      if (event.stageDone) {
        view.stages.get(event.stage)!.phase = 'done';
        advance(state, job, view, effects);
      }
      return;
    }
    case 'attempt-failed':
      retryOrGiveUp(state, job, view, event.task, event.attempt, effects);
      return;
    case 'checkpoint-counted': {
      const task = view.tasks.get(event.task)!;
      task.savedSeconds = Math.max(task.savedSeconds ?? 0, ...[...task.attempts].map(({ done }) => done?.seconds ?? 0));
      checkpointSettled(state, event.key, event.task);
      return;
    }
    case 'job-promised':
    case 'checkpoint-dropped':
      return;
    case 'deadline-missed':
    case 'schedule-begun':
    case 'occurrence-started':
    case 'occurrence-skipped':
      followSchedule(state, event, effects);
      return;
    case 'job-ended':
      closeJob(state, job, view, effects);
  }
}

/** The next one may be proposed. */
function checkpointSettled(state: PlannerState, key: string, name: string): void {
  const task = state.jobs.get(key)?.tasks.get(name);
  if (task !== undefined) task.counting = false;
}

/** While its job is planned. */
function refuseCut(state: PlannerState, { account, job, stage }: JobCommand & { type: 'cut-stage' }): void {
  const key = jobKeyOf(account, job);
  const view = state.jobs.get(key)?.stages.get(stage);
  const ledger = state.ledger.jobs.get(key)?.stages.get(stage);
  if (view !== undefined && ledger !== undefined) cutRefused(state, view, ledger);
}

function tasksNamed(job: LedgerJob, names: readonly string[]): LedgerTask[] {
  return names.map((name) => findTask(job, name)!);
}

/** Its records are in other tasks now: nobody wants what its attempts come to. */
function dropRetired(state: PlannerState, view: JobView, name: string, effects: PlannerEffect[]): void {
  const task = view.tasks.get(name);
  if (task === undefined) return; // cut and split anew in one batch
  for (const attempt of [...task.attempts]) stopAttempt(state, attempt, 'its records were split anew', effects);
  transition(task, 'cancelled', `its records are in ${task.ledger.replacedBy!.join(', ')}`);
  view.tasks.delete(name);
}

/** Nobody wants what comes of it: should it have ended, its outcome is settled by that. */
function stopAttempt(state: PlannerState, attempt: AttemptView, reason: string, effects: PlannerEffect[]): void {
  forgetAttempt(state, attempt);
  effects.push(
    { type: 'send', node: attempt.node, message: { type: 'cancel', attempt: attempt.key, reason } },
    { type: 'send', node: attempt.node, message: { type: 'committed', attempts: [attempt.key] } },
  );
}

function finishTask(
  state: PlannerState,
  job: LedgerJob,
  view: JobView,
  name: string,
  attempt: string,
  effects: PlannerEffect[],
): void {
  const task = view.tasks.get(name)!;
  const { node, usage } = task.ledger.committed!;
  task.committing = false;
  transition(task, 'done', `${attempt} of ${node} committed`);
  const before = task.stage.meanWallMs;
  if (!task.ledger.merges)
    task.stage.meanWallMs = before === undefined ? usage.wallMs : before * 0.8 + usage.wallMs * 0.2;
  notePace(state, task);
  const nodeView = state.nodes.get(node);
  if (nodeView !== undefined) nodeView.tasksDone += 1;
  effects.push({ type: 'send', node, message: { type: 'committed', attempts: [attempt] } });
  for (const other of [...task.attempts]) {
    if (other.key === attempt) forgetAttempt(state, other);
    else stopAttempt(state, other, 'another attempt was first', effects);
  }
  const stage = job.stages.get(task.ledger.stage)!;
  const last = stage.tasks.at(-1)!;
  if (!last.merges || stage.openParts > 0) return;
  // The ledger is ahead of the events of one batch: the first of them that sees no open part is enough.
  const merge = view.tasks.get(last.task);
  if (merge?.state === 'waiting') makeReady(state, merge, 'every part is done');
}

function retryOrGiveUp(
  state: PlannerState,
  job: LedgerJob,
  view: JobView,
  name: string,
  attempt: string,
  effects: PlannerEffect[],
): void {
  const task = view.tasks.get(name)!;
  task.committing = false;
  const failed = state.attempts.get(attempt);
  if (failed !== undefined) forgetAttempt(state, failed);
  const { failures } = task.ledger;
  const last = failures.at(-1)!;
  effects.push({ type: 'send', node: last.node, message: { type: 'committed', attempts: [attempt] } });
  const machines = new Set(failures.map((each) => each.node)).size;
  if (machines >= limits.poisonMachines) {
    const message = `task ${name} failed on ${machines} machines, the last time: ${last.problem.message}`;
    effects.push(endJob(state, job, { ...last.problem, code: 'MESH_TASK_POISON', message }));
  } else if (failures.length > task.stage.plan.retries) {
    const message = `task ${name} failed ${failures.length} time${failures.length === 1 ? '' : 's'}: ${last.problem.message}`;
    effects.push(endJob(state, job, { ...last.problem, message }));
  } else if (task.attempts.size === 0) {
    if (task.state !== 'ready') makeReady(state, task, `${attempt} failed: ${last.problem.code}`);
  } else tell(task.story, `${attempt} failed: ${last.problem.code}`);
}

function closeJob(state: PlannerState, job: LedgerJob, view: JobView, effects: PlannerEffect[]): void {
  for (const task of view.tasks.values()) {
    for (const attempt of [...task.attempts]) {
      forgetAttempt(state, attempt);
      effects.push({
        type: 'send',
        node: attempt.node,
        message: { type: 'cancel', attempt: attempt.key, reason: `the job is ${job.phase}` },
      });
    }
    if (task.state !== 'done') transition(task, 'cancelled', `the job is ${job.phase}`);
  }
  state.jobs.delete(view.key);
  for (const stage of view.stages.values()) state.cutting.delete(stage);
  publishEnd(state, job, effects, view.moves);
}

/** The last words on a job: its state and its result. */
export function publishEnd(state: PlannerState, job: LedgerJob, effects: PlannerEffect[], moves?: MoveCounts): void {
  effects.push(
    { type: 'publish-result', result: jobResultOf(job) },
    { type: 'publish-state', state: jobStateOf(state, job, moves) },
  );
}
