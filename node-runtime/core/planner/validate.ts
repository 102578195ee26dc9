import { findTask } from '../ledger.ts';
import { isWhole } from '../ledger-cuts.ts';
import type { AttemptView, JobView, NodeView, PlannerState, TaskView } from './state.ts';

/** Throws when the planner's indexes contradict each other or the ledger. For tests and simulation. */
export function validatePlanner(state: PlannerState): void {
  if (!state.leading) return;
  const queued = countQueued(state);
  for (const [key, attempt] of state.attempts) checkAttempt(state, key, attempt);
  let ofNodes = 0;
  for (const [id, node] of state.nodes) {
    checkNode(state, id, node);
    ofNodes += node.attempts.size;
  }
  let ofTasks = 0;
  for (const [key, view] of state.jobs) {
    if (state.ledger.jobs.get(key)?.phase !== 'running') fail(`job ${key} is planned, in the ledger it is not running`);
    let ofJob = 0;
    for (const [name, task] of view.tasks) {
      checkTask(state, view, name, task, queued.get(task) ?? 0);
      ofTasks += task.attempts.size;
      ofJob += task.attempts.size;
    }
    if (ofJob !== view.attempts) fail(`job ${key} counts ${view.attempts} attempts, its tasks have ${ofJob}`);
    checkStages(state, view);
  }
  if (ofNodes !== state.attempts.size) fail(`nodes have ${ofNodes} attempts, there are ${state.attempts.size}`);
  const ofAccounts = [...state.tasksAtOnce.values()].reduce((sum, count) => sum + count, 0);
  if (ofAccounts !== state.attempts.size)
    fail(`accounts have ${ofAccounts} attempts, there are ${state.attempts.size}`);
  if (ofTasks !== state.attempts.size) fail(`tasks have ${ofTasks} attempts, there are ${state.attempts.size}`);
  for (const [key, job] of state.ledger.jobs) {
    if (job.phase === 'running' && !state.jobs.has(key)) fail(`job ${key} runs and is not planned`);
  }
  for (const key of state.accepting.keys())
    if (state.ledger.jobs.has(key)) fail(`job ${key} is accepted and accepting`);
}

function fail(message: string): never {
  throw new Error(`planner: ${message}`);
}

function countQueued(state: PlannerState): Map<TaskView, number> {
  const queued = new Map<TaskView, number>();
  for (const [priority, queue] of state.ready.entries()) {
    for (const [stage, tasks] of queue) {
      if (tasks.length === 0) fail(`of stage ${stage.plan.stage} nothing is ready, and it stands in a queue`);
      for (const task of tasks) {
        if (task.stage !== stage) fail(`${task.key} stands among the tasks of ${stage.plan.stage}`);
        if (stage.plan.priority !== priority) fail(`${task.key} stands in the queue of priority ${priority}`);
        queued.set(task, (queued.get(task) ?? 0) + 1);
      }
    }
  }
  return queued;
}

function checkAttempt(state: PlannerState, key: string, attempt: AttemptView): void {
  if (attempt.key !== key) fail(`attempt ${attempt.key} is filed under ${key}`);
  if (!state.nodes.get(attempt.node)?.attempts.has(attempt))
    fail(`node ${attempt.node} does not know its attempt ${key}`);
  if (!attempt.task.attempts.has(attempt)) fail(`task ${attempt.task.key} does not know its attempt ${key}`);
  const { task } = attempt;
  if (state.jobs.get(task.job.key) !== task.job || task.job.tasks.get(task.ledger.task) !== task) {
    fail(`attempt ${key} is of a task that is not planned`);
  }
}

function checkNode(state: PlannerState, id: string, node: NodeView): void {
  if (node.status.node !== id) fail(`node ${node.status.node} is filed under ${id}`);
  if (!node.online && (node.confirmed || node.attempts.size > 0)) fail(`node ${id} is gone and still has work`);
  for (const attempt of node.attempts)
    if (state.attempts.get(attempt.key) !== attempt) fail(`node ${id} has ${attempt.key}, unknown`);
}

function checkTask(state: PlannerState, view: JobView, name: string, task: TaskView, queued: number): void {
  const tell = (message: string) => fail(`${task.key} (${task.state}): ${message}; story: ${task.story.join(' | ')}`);
  const job = state.ledger.jobs.get(view.key)!;
  if (task.ledger !== findTask(job, name)) tell('is not the task of the ledger');
  for (const attempt of task.attempts)
    if (state.attempts.get(attempt.key) !== attempt) tell(`has ${attempt.key}, unknown`);
  if (queued > 1) tell(`stands in the queue ${queued} times`);
  if ((task.state === 'done') !== (task.ledger.committed !== undefined)) tell('done is wrong');
  switch (task.state) {
    case 'waiting':
      if (!task.ledger.merges || job.stages.get(task.ledger.stage)!.openParts === 0) tell('waits for nothing');
      if (task.attempts.size > 0) tell('waits and has attempts');
      return;
    case 'ready':
      if (queued !== 1) tell('is in no queue');
      if (task.attempts.size > 0) tell('is ready and has attempts');
      return;
    case 'assigned':
    case 'running':
    case 'moving':
      if (task.attempts.size === 0 && !task.committing && !view.ending) tell('has no attempt');
      return;
    case 'done':
      if (task.committing) tell('is done and being committed');
      if (task.attempts.size > 0) tell('is done and has attempts');
      return;
    case 'failed':
    case 'cancelled':
      tell('its job is open');
  }
}

function checkStages(state: PlannerState, view: JobView): void {
  const job = state.ledger.jobs.get(view.key)!;
  for (const [name, stage] of view.stages) {
    const ledger = job.stages.get(name)!;
    if (ledger.cut !== (stage.phase === 'open' || stage.phase === 'done'))
      fail(`stage ${name} of ${view.key}: cut is wrong`);
    if (ledger.done !== (stage.phase === 'done')) fail(`stage ${name} of ${view.key} is ${stage.phase}`);
    for (const task of ledger.tasks)
      if (view.tasks.has(task.task) === (task.replacedBy !== undefined))
        fail(`task ${task.task} of ${view.key} is not planned`);
    const atNodes = ledger.tasks.filter(({ task }) => (view.tasks.get(task)?.attempts.size ?? 0) > 0).length;
    if (stage.atNodes !== atNodes)
      fail(`stage ${name} of ${view.key} counts ${stage.atNodes} at nodes, has ${atNodes}`);
    if (state.cutting.has(stage) !== (stage.records !== undefined && !isWhole(ledger)))
      fail(`stage ${name} of ${view.key} is to be cut as it runs, or not?`);
    if (stage.phase === 'needs' && !view.ending && stage.plan.needs.every((need) => job.stages.get(need)!.done)) {
      fail(`stage ${name} of ${view.key} has what it needs and was not begun`);
    }
  }
}
