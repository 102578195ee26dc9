import type { PlanNode } from '@foremesh/partitioner';
import { jobKeyOf } from '../../job-plan.ts';
import type { LedgerJob } from '../../ledger.ts';
import { expectedOf } from '../ahead.ts';
import { slotsFreeSeconds } from '../foresight/index.ts';
import type { NodeView, PlannerState } from '../state.ts';
import { workOfTask } from './work.ts';

/** How long a task goes on of which nobody knows anything, seconds. */
const unknownTaskSeconds = 60;

/** The nodes that take work now. */
export function nodesToPlan(state: PlannerState): NodeView[] {
  return [...state.nodes.values()].filter(({ online, confirmed, status }) => online && confirmed && status.slots > 0);
}

/**
 * The same as a plan sees them, in the same order, less what is promised to others. What is assigned holds its slot until it is probably
 * done; ready tasks of other jobs that will run meanwhile are spread over the slots that are free first.
 *
 * @param ownSeconds what is left of the job that is to be planned, on a core of speed 1
 */
export function planNodesOf(
  state: PlannerState,
  job: LedgerJob,
  views: readonly NodeView[],
  ownSeconds: number,
): PlanNode[] {
  const free = views.map((node) =>
    slotsFreeSeconds(state, node).map((seconds) =>
      seconds === Number.POSITIVE_INFINITY ? unknownTaskSeconds : seconds,
    ),
  );
  const expected = views.map((node) => expectedOf(state, node));
  // Of the engines of a node the first is as good as any: what is ahead may be of all of them.
  const rates = views.map(
    ({ status }, index) => (Object.values(status.speed)[0] ?? 1) * expected[index]!.capacity.q50.rates[0]!,
  );
  spreadWork(free, rates, secondsMeanwhile(state, job, ownSeconds));
  return views.map((node, index) => ({
    node: node.status.node,
    freeSeconds: free[index]!,
    ...expected[index]!,
  }));
}

/**
 * Work of other jobs that nodes will do before this one is done: all that is ready of a higher priority; and, since jobs of one priority take
 * turns, of each such job as much as this one has itself.
 */
function secondsMeanwhile(state: PlannerState, job: LedgerJob, ownSeconds: number): number {
  const own = jobKeyOf(job.account, job.job);
  const priority = Math.max(...job.plan.stages.map((stage) => stage.priority));
  let meanwhile = 0;
  const equals = new Map<string, number>();
  for (const [above, queue] of state.ready.slice(priority).entries()) {
    for (const tasks of queue.values()) {
      const first = tasks.find((task) => task.state === 'ready');
      if (first === undefined || first.job.key === own) continue;
      const other = state.ledger.jobs.get(first.job.key);
      if (other === undefined) continue;
      const ready = tasks.reduce((count, task) => count + (task.state === 'ready' ? 1 : 0), 0);
      const seconds = ready * (workOfTask(state, other, first.ledger)?.workSeconds.q50 ?? unknownTaskSeconds);
      if (above > 0) meanwhile += seconds;
      else equals.set(first.job.key, (equals.get(first.job.key) ?? 0) + seconds);
    }
  }
  for (const seconds of equals.values()) meanwhile += Math.min(seconds, ownSeconds);
  return meanwhile;
}

/** Raises the times at which slots are free to one level, as water would stand, until the work fits below it. */
function spreadWork(free: readonly number[][], rates: readonly number[], workSeconds: number): void {
  if (workSeconds <= 0) return;
  const slots = free.flatMap((times, node) => times.map((at, slot) => ({ node, slot, at })));
  slots.sort((one, other) => one.at - other.at || one.node - other.node || one.slot - other.slot);
  let left = workSeconds;
  let rate = 0;
  let level = 0;
  for (const [position, { node, at }] of slots.entries()) {
    rate += rates[node]!;
    level = at + left / rate;
    const next = slots[position + 1]?.at ?? Number.POSITIVE_INFINITY;
    if (level <= next) break;
    left -= (next - at) * rate;
  }
  for (const { node, slot, at } of slots) free[node]![slot] = Math.max(at, level);
}
