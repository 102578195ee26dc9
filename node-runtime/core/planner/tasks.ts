import type { Problem } from '../../contract/index.ts';
import { jobKeyOf } from '../job-plan.ts';
import type { LedgerJob } from '../ledger.ts';
import { tell, transition } from '../task-states.ts';
import type { PlannerEffect } from './events.ts';
import { countTask } from './quotas.ts';
import type { AttemptView, NodeView, PlannerState, TaskView } from './state.ts';

export function makeReady(state: PlannerState, task: TaskView, why: string): void {
  transition(task, 'ready', why);
  // It may still stand there from before: once is enough.
  if (!task.queued) enqueue(state, task);
  task.queued = true;
  task.job.dirty = true;
}

function enqueue(state: PlannerState, task: TaskView): void {
  const queue = state.ready[task.stage.plan.priority]!;
  const ofStage = queue.get(task.stage);
  if (ofStage === undefined) queue.set(task.stage, [task]);
  else ofStage.push(task);
}

export function endJob(
  state: PlannerState,
  job: Pick<LedgerJob, 'account' | 'job'>,
  problem: Problem,
  phase: 'failed' | 'cancelled' = 'failed',
): PlannerEffect {
  const { account, job: id } = job;
  const view = state.jobs.get(jobKeyOf(account, id));
  if (view !== undefined) view.ending = true;
  return {
    type: 'propose',
    commands: [{ type: 'end-job', account, job: id, atMs: state.wallMs, phase, problem: boundedProblem(problem) }],
  };
}

/** Where a task of an account runs now, the oldest of its attempts; undefined when it does not. */
export function whereRuns(
  state: PlannerState,
  account: string,
  job: string,
  task: string,
): { node: string; attempt: string } | undefined {
  const attempts = [...(state.jobs.get(jobKeyOf(account, job))?.tasks.get(task)?.attempts ?? [])];
  const attempt = attempts.find(({ startedMs }) => startedMs !== undefined) ?? attempts[0];
  return attempt === undefined ? undefined : { node: attempt.node, attempt: attempt.key };
}

export function addAttempt(
  state: PlannerState,
  node: NodeView,
  task: TaskView,
  key: string,
  resumed?: string,
): AttemptView {
  const attempt: AttemptView = {
    key,
    task,
    node: node.status.node,
    request: node.request,
    assignedMs: state.nowMs,
    progress: 0,
    ...(resumed === undefined ? {} : { resumed }),
  };
  state.attempts.set(key, attempt);
  countTask(state, task.job, 1);
  node.attempts.add(attempt);
  task.attempts.add(attempt);
  if (task.attempts.size === 1) task.stage.atNodes += 1;
  task.attemptsMade += 1;
  task.job.attempts += 1;
  task.job.dirty = true;
  return attempt;
}

export function forgetAttempt(state: PlannerState, attempt: AttemptView): void {
  if (state.attempts.delete(attempt.key)) {
    countTask(state, attempt.task.job, -1);
    attempt.task.job.attempts -= 1;
  }
  state.nodes.get(attempt.node)?.attempts.delete(attempt);
  const { task } = attempt;
  if (task.attempts.delete(attempt) && task.attempts.size === 0) task.stage.atNodes -= 1;
  task.job.dirty = true;
}

/** The attempt will never report: its task is ready again, unless another attempt of it goes on. */
export function loseAttempt(state: PlannerState, attempt: AttemptView, why: string): void {
  const { task } = attempt;
  forgetAttempt(state, attempt);
  if (task.attempts.size > 0 || task.committing) tell(task.story, `${attempt.key} on ${attempt.node}: ${why}`);
  else if (task.state === 'assigned' || task.state === 'running') makeReady(state, task, `${attempt.node}: ${why}`);
}

/** What a node or a holder says went wrong, as much of it as a job's state can carry for good. */
export function boundedProblem({ code, message, where, mend }: Problem): Problem {
  return {
    code: code.slice(0, 100),
    message: message.slice(0, 4_000),
    ...(where === undefined ? {} : { where: where.slice(0, 500) }),
    ...(mend === undefined ? {} : { mend: mend.slice(0, 500) }),
  };
}
