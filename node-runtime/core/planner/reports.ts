import { limits, type OutboxMessage, parseAttemptKey } from '../../contract/index.ts';
import { jobKeyOf } from '../job-plan.ts';
import { tell, transition } from '../task-states.ts';
import { codeOf } from './dispatch.ts';
import type { PlannerEffect } from './events.ts';
import { hearHistory } from './foresight/index.ts';
import { hearReclaimed } from './moves.ts';
import { noteNear } from './near.ts';
import { noteStart } from './pace.ts';
import type { NodeView, PlannerState, TaskView } from './state.ts';
import { addAttempt, boundedProblem, endJob, loseAttempt } from './tasks.ts';

/** What a node says of its attempts, one message at a time. */
export function hearReport(
  state: PlannerState,
  node: NodeView,
  message: OutboxMessage,
  effects: PlannerEffect[],
): void {
  switch (message.type) {
    case 'checkpointed':
      hearCheckpoint(state, message, effects);
      return;
    case 'started':
    case 'progress': {
      const attempt = state.attempts.get(message.attempt);
      if (attempt === undefined || attempt.node !== node.status.node) return;
      if (attempt.startedMs === undefined) {
        attempt.startedMs = state.nowMs;
        if (message.type === 'started') noteStart(node, attempt);
      }
      if (attempt.leaving?.move.move.kind === 'reassign') delete attempt.leaving; // too late: it has begun
      if (message.type === 'progress') attempt.progress = Math.max(attempt.progress, message.fraction);
      if (attempt.task.state === 'assigned')
        transition(attempt.task, 'running', `${attempt.key} started on ${attempt.node}`);
      attempt.task.job.dirty = true;
      return;
    }
    case 'done':
    case 'failed':
      hearOutcome(state, node, message, effects);
      return;
    case 'released':
      hearReleased(state, node, message, effects);
      return;
    case 'inventory':
      hearInventory(state, node, message, effects);
      return;
    case 'history':
    case 'request-failed':
      hearHistory(state, node, message, effects);
  }
}

/** One of a task at a time is on its way into the log: of those that come meanwhile a later one will come too. */
function hearCheckpoint(
  state: PlannerState,
  { attempt, checkpoint }: OutboxMessage & { type: 'checkpointed' },
  effects: PlannerEffect[],
): void {
  const task = openTaskOf(state, attempt);
  if (task === undefined || task.state === 'done' || task.state === 'waiting') return;
  if (task.counting || task.committing || checkpoint.sequence <= (task.ledger.checkpoint?.sequence ?? 0)) return;
  task.counting = true;
  const { account, job, task: name } = parseAttemptKey(attempt);
  const head = { account, job, atMs: state.wallMs, task: name };
  effects.push({ type: 'propose', commands: [{ type: 'count-checkpoint', ...head, attempt, checkpoint }] });
}

/** Its owner wants the device: nobody's fault. Its status says whether it takes other work, and comes before or soon. */
function hearReleased(
  state: PlannerState,
  node: NodeView,
  message: OutboxMessage & { type: 'released' },
  effects: PlannerEffect[],
): void {
  const attempt = state.attempts.get(message.attempt);
  if (attempt === undefined || attempt.node !== node.status.node) return;
  const { task } = attempt;
  if (attempt.leaving !== undefined && task.attempts.size === 1 && !task.committing) {
    hearReclaimed(state, attempt, effects);
    return;
  }
  task.avoidUntilMs.set(attempt.node, state.nowMs + state.config.releasedBackoffMs);
  // Should no other node be able to: not at once to this one again.
  task.notBeforeMs = state.nowMs + state.config.nodeFaultBackoffMs / 2;
  loseAttempt(state, attempt, message.reason);
}

function hearOutcome(
  state: PlannerState,
  node: NodeView,
  message: OutboxMessage & { type: 'done' | 'failed' },
  effects: PlannerEffect[],
): void {
  const from = node.status.node;
  const task = openTaskOf(state, message.attempt);
  const counted = message.type === 'failed' && task !== undefined && hasFailed(task, message.attempt);
  if (task === undefined || task.state === 'done' || task.state === 'waiting' || counted) {
    // Late, twice, of a job that has ended, or of a merge that nobody was asked for: the log does not want it.
    effects.push({ type: 'send', node: from, message: { type: 'committed', attempts: [message.attempt] } });
    const late = state.attempts.get(message.attempt);
    if (late !== undefined) loseAttempt(state, late, 'its outcome is settled');
    return;
  }
  if (task.committing) {
    // Another outcome is on its way into the log: once that is in, this one is asked for again, and settled.
    node.owes = true;
    return;
  }
  const { account, job, task: name } = parseAttemptKey(message.attempt);
  const { attempt: ended, log } = message;
  const logged = log === undefined ? {} : { log };
  const head = { account, job, atMs: state.wallMs, task: name, attempt: ended, node: from };
  if (message.type === 'done') {
    task.committing = true;
    if ('blob' in message.output) noteNear(node, message.output.blob);
    tell(task.story, `${message.attempt} done on ${from}`);
    effects.push({
      type: 'propose',
      commands: [
        {
          type: 'commit-task',
          ...head,
          output: message.output,
          usage: message.usage,
          ...speedOf(node, task),
          ...logged,
        },
      ],
    });
    return;
  }
  const problem = boundedProblem({ code: message.code, message: message.message, where: `${name} on ${from}` });
  if (message.fault === 'task') {
    task.committing = true;
    effects.push({ type: 'propose', commands: [{ type: 'fail-attempt', ...head, problem, ...logged }] });
    return;
  }
  effects.push({ type: 'send', node: from, message: { type: 'committed', attempts: [message.attempt] } });
  if (message.code.startsWith('MESH_CODE_')) {
    refuseCode(state, node, task, message);
    return;
  }
  if (message.code === 'MESH_NODE_FULL') node.owes = true; // it holds what we do not know of
  const attempt = state.attempts.get(message.attempt);
  if (attempt === undefined) return; // counted when it came first, or given up before
  if (message.code === 'MESH_CHECKPOINT_LOST' && attempt.resumed !== undefined) {
    task.lostState = attempt.resumed;
    const { account, job, atMs } = head;
    const blob = attempt.resumed;
    effects.push({ type: 'propose', commands: [{ type: 'drop-checkpoint', account, job, atMs, task: name, blob }] });
  }
  task.nodeFaults += 1;
  const backoffMs = state.config.nodeFaultBackoffMs * 2 ** Math.min(5, task.nodeFaults - 1);
  task.avoidUntilMs.set(from, state.nowMs + backoffMs);
  if (task.nodeFaults > 1) task.notBeforeMs = state.nowMs + backoffMs / 2; // another node at once, after that not in a rush
  loseAttempt(state, attempt, `${message.code}: ${message.message}`);
  if (task.nodeFaults >= state.config.nodeFaultsMost) {
    const text = `task ${name} could not be run, ${task.nodeFaults} times, the last time on ${from}: ${message.message}`;
    effects.push(endJob(state, state.ledger.jobs.get(task.job.key)!, { ...problem, message: text }));
  }
}

/** By it the CPU time of one node says something of that of another. */
function speedOf(node: NodeView, task: TaskView): { readonly speed?: number } {
  const speed = node.status.speed[codeOf(task).engine];
  return speed === undefined ? {} : { speed };
}

/** The node's last word on this code: nothing is tried there again, and where no other node can, the job waits and says why. */
function refuseCode(
  state: PlannerState,
  node: NodeView,
  task: TaskView,
  { attempt, message }: OutboxMessage & { type: 'failed' },
): void {
  task.stage.codeRefusals ??= new Map();
  task.stage.codeRefusals.set(node.status.node, message.slice(0, limits.reasonCharacters * 2));
  delete task.stage.fits;
  const known = state.attempts.get(attempt);
  if (known !== undefined) loseAttempt(state, known, message);
}

/** The task of an attempt, made by whichever leader, while its job is open. */
function openTaskOf(state: PlannerState, attempt: string): TaskView | undefined {
  const { account, job, task } = parseAttemptKey(attempt);
  return state.jobs.get(jobKeyOf(account, job))?.tasks.get(task);
}

function hasFailed(task: TaskView, attempt: string): boolean {
  return task.ledger.failures.some((failure) => failure.attempt === attempt);
}

function hearInventory(
  state: PlannerState,
  node: NodeView,
  message: OutboxMessage & { type: 'inventory' },
  effects: PlannerEffect[],
): void {
  if (message.request > node.request) return; // an answer to another leader's question
  const listed = new Set(message.attempts);
  for (const key of listed) {
    if (state.attempts.has(key)) continue;
    const task = openTaskOf(state, key);
    const open =
      task !== undefined && (task.state === 'ready' || task.state === 'assigned' || task.state === 'running');
    const isWanted = open && !task.committing && task.withdrawn?.has(key) !== true;
    if (isWanted && !hasFailed(task, key)) {
      // Of an earlier leader, and still running: it goes on. Perhaps that one has but now moved it there.
      const attempt = addAttempt(state, node, task, key);
      attempt.startedMs = state.nowMs;
      task.movedMs = state.nowMs;
      if (task.state !== 'running') transition(task, 'running', `${key} still runs on ${node.status.node}`);
    } else {
      effects.push({
        type: 'send',
        node: node.status.node,
        message: { type: 'cancel', attempt: key, reason: 'not wanted any more' },
      });
    }
  }
  for (const attempt of [...node.attempts]) {
    if (!listed.has(attempt.key) && attempt.request < message.request && !attempt.task.committing) {
      loseAttempt(state, attempt, 'the node does not know it');
    }
  }
  // Of an answer that took long nobody knows when the clock was read.
  const isPrompt = state.nowMs - node.requestedMs < limits.clockOffMs / 3;
  if (message.clockMs !== undefined && message.request === node.request && isPrompt)
    node.clockTold = { leadMs: message.clockMs - state.nowMs, atMs: state.nowMs };
  if (message.request !== node.request || node.confirmed) return;
  node.confirmed = true;
  state.fleet += 1;
}
