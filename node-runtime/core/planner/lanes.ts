import type { LedgerJob } from '../ledger.ts';
import { believedWork, profileOf, workByEstimate } from './profiles.ts';
import { tasksLeft } from './quotas.ts';
import type { JobView, PlannerState, StageView, TaskView } from './state.ts';

/** Stages of one priority that one dispatch chooses among: those that became ready first. */
const lanesMost = 128;
/** Ranks of a job are worked out anew after this time. */
const rankedForMs = 1_000;
/** A stage whose tasks wait for better is looked at again when an attempt began or ended, a node or a task came, or after this time. */
const heldForMs = 250;

/** The ready tasks of one stage, in order. */
export interface Lane {
  readonly stage: StageView;
  readonly job: JobView;
  readonly tasks: readonly TaskView[];
  /** How many of them were looked at. */
  at: number;
}

/**
 * Whose turn it is among the stages of one priority: of the job that has fewest attempts, and of that the stage with the longest way to the end
 * of the job. What is planned for tasks that wait for better counts as if they had it.
 */
export class Turns {
  readonly #state: PlannerState;
  readonly #lanes = new Set<Lane>();
  readonly #held = new Map<JobView, number>();

  /** Of an account that has enough of them the tasks hold up nobody. What stands there of jobs that have ended is taken out. */
  constructor(state: PlannerState, queue: Map<StageView, TaskView[]>) {
    this.#state = state;
    for (const [stage, tasks] of queue) {
      if (this.#lanes.size === lanesMost) break;
      const { job } = tasks[0]!;
      if (state.jobs.get(job.key) !== job) queue.delete(stage);
      else if (stage.refusedByFleet !== state.fleet && !isHeld(state, stage, tasks) && tasksLeft(state, job) > 0)
        this.#lanes.add({ stage, job, tasks, at: 0 });
    }
  }

  next(): Lane | undefined {
    let next: Lane | undefined;
    for (const lane of this.#lanes) if (next === undefined || this.#isBefore(lane, next)) next = lane;
    return next;
  }

  #isBefore(lane: Lane, next: Lane): boolean {
    if (lane.job === next.job) return rankOf(this.#state, lane) > rankOf(this.#state, next);
    return this.#servedOf(lane) < this.#servedOf(next);
  }

  #servedOf({ job }: Lane): number {
    return job.attempts + (this.#held.get(job) ?? 0);
  }

  /**
   * How many tasks of a lane are placed before it is another job's turn, where so many have room: one more than that has; but where there is
   * much room, as many as leave the others enough to catch up.
   */
  share(lane: Lane, room: number): number {
    const jobs = new Set<JobView>();
    let least = Number.POSITIVE_INFINITY;
    for (const other of this.#lanes) {
      jobs.add(other.job);
      if (other.job !== lane.job) least = Math.min(least, this.#servedOf(other));
    }
    const lead = least - this.#servedOf(lane) + 1;
    return Math.max(1, lead, Math.floor(room / (2 * jobs.size)));
  }

  /** So many tasks of the job wait for better. */
  hold({ job }: Lane, tasks: number): void {
    this.#held.set(job, (this.#held.get(job) ?? 0) + tasks);
  }

  /** It is over with this stage for this time. */
  end(lane: Lane): void {
    this.#lanes.delete(lane);
  }
}

/** Looks at the next tasks of a lane, until there are `most` that may be placed; none, and it is at its end. */
export function nextOf(state: PlannerState, lane: Lane, most: number): TaskView[] {
  const group: TaskView[] = [];
  for (; lane.at < lane.tasks.length && group.length < most; lane.at += 1) {
    const task = lane.tasks[lane.at]!;
    if (task.state !== 'ready' || task.notBeforeMs > state.nowMs) continue;
    // A merge is other code than the parts are.
    if (group.length > 0 && group[0]!.ledger.merges !== task.ledger.merges) break;
    group.push(task);
  }
  return group;
}

export function markHeld(state: PlannerState, stage: StageView, tasks: readonly TaskView[]): void {
  stage.heldBy = { atMs: state.nowMs, sign: signOf(state, tasks) };
}

function isHeld(state: PlannerState, { heldBy }: StageView, tasks: readonly TaskView[]): boolean {
  return heldBy !== undefined && state.nowMs - heldBy.atMs < heldForMs && heldBy.sign === signOf(state, tasks);
}

function signOf({ nextAttempt, attempts, fleet }: PlannerState, tasks: readonly TaskView[]): string {
  return `${nextAttempt} ${attempts.size} ${fleet} ${tasks.length}`;
}

/** How long the way to the end of the job is from a stage, in seconds of work. */
function rankOf(state: PlannerState, { job: view, stage }: Lane): number {
  if (view.ranks === undefined || state.nowMs - view.ranks.atMs >= rankedForMs)
    view.ranks = { atMs: state.nowMs, byStage: ranksOf(state, state.ledger.jobs.get(view.key)!) };
  return view.ranks.byStage.get(stage.plan.stage)!;
}

function ranksOf(state: PlannerState, job: LedgerJob): Map<string, number> {
  const { stages } = job.plan;
  const foreseen = new Map<string, number>();
  const known = stages.map((plan) => {
    const byAuthor = workByEstimate(job, { stage: plan.stage, merges: false });
    return believedWork(profileOf(state, job, plan, foreseen), byAuthor)?.workSeconds.q50;
  });
  const some = known.filter((seconds) => seconds !== undefined);
  // Of stages of which nothing is known one is as long as the others are.
  const typical = some.length === 0 ? 1 : some.reduce((sum, seconds) => sum + seconds, 0) / some.length;
  const index = new Map(stages.map(({ stage }, at) => [stage, at]));
  const ranks = state.policy.rank(
    stages.map(({ needs }, at) => ({ seconds: known[at] ?? typical, needs: needs.map((need) => index.get(need)!) })),
  );
  return new Map(stages.map(({ stage }, at) => [stage, ranks[at]!]));
}
