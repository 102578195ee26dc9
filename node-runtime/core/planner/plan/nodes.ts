import type { PlanNode } from '@foremesh/partitioner';
import { jobKeyOf } from '../../job-plan.ts';
import type { LedgerJob } from '../../ledger.ts';
import { capacityOf, leavesPerSecondOf } from '../foresight/index.ts';
import type { NodeView, PlannerState, StageView, TaskView } from '../state.ts';
import { workOfTask } from './work.ts';

/** What a link carries, as long as nobody has measured it: 100 Mbit/s, the least that a board with a cable has. */
export const linkBytesPerSecond = 12_500_000;
/** How long a task goes on of which nobody knows anything, seconds. */
const unknownTaskSeconds = 60;
/** A task that has run for longer than others did goes on for that share of what they take. */
const overdueShare = 0.1;

/** The nodes that take work now, and the same as a plan sees them; in one order. */
export interface Fleet {
  readonly views: readonly NodeView[];
  readonly nodes: readonly PlanNode[];
}

/**
 * What there is to plan on: all nodes that take work now, less what was promised before. What is assigned holds its slot until it is
 * probably done; ready tasks of other jobs that come first are spread over the slots that are free first.
 *
 * @param job the job that is to be planned: what comes before it are tasks of a higher priority, and of an equal one of jobs that were there before
 */
export function fleetOf(state: PlannerState, job: LedgerJob): Fleet {
  const views: NodeView[] = [];
  for (const node of state.nodes.values()) if (node.online && node.confirmed && node.status.slots > 0) views.push(node);
  const free = views.map((node) => freeSecondsOf(state, node));
  spreadWork(state, views, free, secondsAhead(state, job));
  const nodes = views.map((node, index) => ({
    node: node.status.node,
    freeSeconds: free[index]!,
    capacity: capacityOf(state, node),
    bytesPerSecond: linkBytesPerSecond,
    leavesPerSecond: leavesPerSecondOf(state, node),
  }));
  return { views, nodes };
}

/** When each slot of a node is done with what it has: attempts in the order of their assignment, each in the slot that is free first. */
function freeSecondsOf(state: PlannerState, node: NodeView): number[] {
  const free = Array.from({ length: node.status.slots }, () => 0);
  for (const attempt of node.attempts) {
    const at = Math.min(...free);
    free[free.indexOf(at)] = at + leftSeconds(state, node, attempt.task, at === 0 ? attempt.startedMs : undefined);
  }
  return free;
}

/** What an attempt on a node still takes, in the middle of what is expected. */
export function leftSeconds(
  state: PlannerState,
  node: NodeView,
  task: TaskView,
  startedMs: number | undefined,
): number {
  const whole = wallSeconds(state, node, task);
  const ran = startedMs === undefined ? 0 : (state.nowMs - startedMs) / 1_000;
  return Math.max(whole - ran, whole * overdueShare);
}

/** By what others of its stage took, else by what is known of its code. */
function wallSeconds(state: PlannerState, node: NodeView, task: TaskView): number {
  const { meanWallMs } = task.stage;
  if (meanWallMs !== undefined && !task.ledger.merges) return meanWallMs / 1_000;
  const job = state.ledger.jobs.get(task.job.key);
  const work = job === undefined ? undefined : workOfTask(state, job, task.ledger);
  if (work === undefined) return unknownTaskSeconds;
  return work.workSeconds.q50 / rateNow(state, node, task.stage);
}

/** Work per second of one slot as it is now. */
function rateNow(state: PlannerState, node: NodeView, { plan }: Pick<StageView, 'plan'>): number {
  return (node.status.speed[plan.code.engine] ?? 1) * (capacityOf(state, node).q50.rates[0] ?? 1);
}

/** Of ready tasks of other jobs that come before those of this one: seconds on a core of speed 1. */
function secondsAhead(state: PlannerState, job: LedgerJob): number {
  const own = jobKeyOf(job.account, job.job);
  const priority = Math.max(...job.plan.stages.map((stage) => stage.priority));
  const counts = new Map<StageView, { task: TaskView; tasks: number }>();
  for (const queue of state.ready.slice(priority)) {
    for (const task of queue) {
      if (task.state !== 'ready' || task.job.key === own) continue;
      const isFirst = task.stage.plan.priority > priority || isBefore(state, task.job.key, own);
      if (!isFirst) continue;
      const known = counts.get(task.stage);
      if (known === undefined) counts.set(task.stage, { task, tasks: 1 });
      else known.tasks += 1;
    }
  }
  let seconds = 0;
  for (const { task, tasks } of counts.values()) {
    const other = state.ledger.jobs.get(task.job.key);
    const work = other === undefined ? undefined : workOfTask(state, other, task.ledger);
    seconds += tasks * (work?.workSeconds.q50 ?? unknownTaskSeconds);
  }
  return seconds;
}

/** Jobs stand in the order in which they were accepted; one that is not there yet comes last. */
function isBefore(state: PlannerState, other: string, own: string): boolean {
  const mine = state.ledger.jobs.get(own);
  const theirs = state.ledger.jobs.get(other);
  return mine === undefined || theirs === undefined || theirs.acceptedAtMs <= mine.acceptedAtMs;
}

/** Raises the times at which slots are free to one level, as water would stand, until the work fits below it. */
function spreadWork(state: PlannerState, views: readonly NodeView[], free: number[][], workSeconds: number): void {
  if (workSeconds <= 0) return;
  const slots = views.flatMap((node, index) => {
    const engine = node.status.engines[0];
    const rate = (engine === undefined ? 1 : (node.status.speed[engine] ?? 1)) * capacityOf(state, node).q50.rates[0]!;
    return free[index]!.map((at, slot) => ({ index, slot, at, rate }));
  });
  slots.sort((one, other) => one.at - other.at || one.index - other.index || one.slot - other.slot);
  let left = workSeconds;
  let rate = 0;
  let level = 0;
  for (const [position, slot] of slots.entries()) {
    level = slot.at;
    rate += slot.rate;
    const next = slots[position + 1]?.at ?? Number.POSITIVE_INFINITY;
    if ((next - level) * rate >= left) {
      level += left / rate;
      break;
    }
    left -= (next - level) * rate;
  }
  for (const { index, slot, at } of slots) free[index]![slot] = Math.max(at, level);
}
