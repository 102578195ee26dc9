import type { CostWeights, ExpectedCost } from '@foremesh/partitioner';
import { type CostTerm, costTerm, type PlacementCost } from '../../contract/index.ts';
import type { LedgerJob } from '../ledger.ts';
import { expectedOf, foreseenWork, weightsOf } from './ahead.ts';
import { codeOf, inputOf } from './dispatch.ts';
import { slotsFreeSeconds } from './foresight/index.ts';
import { nearBytes, neededBlobs } from './near.ts';
import type { NodeView, PlannerState, TaskView } from './state.ts';

/** What a task that waits would cost on a node, from now; undefined where that is not looked ahead, or nobody knows when a slot is free. */
export function costOn(state: PlannerState, job: LedgerJob, task: TaskView, node: NodeView): ExpectedCost | undefined {
  const workSeconds = foreseenWork(state, task);
  const startSeconds = Math.min(...slotsFreeSeconds(state, node));
  if (workSeconds === undefined || startSeconds === Number.POSITIVE_INFINITY) return undefined;
  const needed = neededBlobs(inputOf(job, task));
  const question = {
    ...expectedOf(state, node),
    workSeconds,
    speed: node.status.speed[codeOf(task).engine] ?? 1,
    startSeconds,
    inputBytes: needed.totalBytes - nearBytes(state, node, needed),
  };
  return state.policy.cost(question, weightsOf(state, job));
}

/** As it is told: to the millisecond. */
export function toldCost({ terms, finish, startSeconds }: ExpectedCost): PlacementCost {
  const told = (seconds: number) => Math.round(Math.min(Number.MAX_SAFE_INTEGER, seconds) * 1_000) / 1_000;
  return {
    startSeconds: told(startSeconds),
    finishQuantilesSeconds: { q10: told(finish.q10), q50: told(finish.q50), q90: told(finish.q90) },
    finishSeconds: told(terms.finishSeconds),
    contentionSeconds: told(terms.contentionSeconds),
    transferSeconds: told(terms.transferSeconds),
    riskSeconds: told(terms.riskSeconds),
    totalSeconds: told(terms.total),
  };
}

/** The term by which one place is better than another, most of all, weighted; undefined: by none. */
export function decidedBy(better: PlacementCost, other: PlacementCost, weights: CostWeights): CostTerm | undefined {
  const gain: Record<CostTerm, number> = {
    makespan: weights.makespan * (other.finishSeconds - better.finishSeconds),
    contention: weights.contention * (other.contentionSeconds - better.contentionSeconds),
    transfer: weights.transfer * (other.transferSeconds - better.transferSeconds),
    risk: weights.risk * (other.riskSeconds - better.riskSeconds),
  };
  let most: CostTerm | undefined;
  for (const term of costTerm.options) if (gain[term] > (most === undefined ? 0 : gain[most])) most = term;
  return most;
}
