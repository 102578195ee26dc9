import type { Quantiles } from '@foremesh/partitioner';
import { combinationsOf, limits, type PlanStage } from '../../../contract/index.ts';
import { type LedgerJob, type LedgerTask, wishedConfidence } from '../../ledger.ts';
import { partsOf, stagePlanOf } from '../../ledger-cuts.ts';
import { sureShareOf } from '../pace.ts';
import { believedWork, type Prediction, profileOfTask, workByEstimate } from '../profiles.ts';
import type { PlannerState } from '../state.ts';

/** What one task takes, as far as anybody can tell. */
export interface Work {
  /** On a core of speed 1. */
  readonly workSeconds: Quantiles;
  readonly basis: PlanStage['basis'];
  readonly evidence: Prediction['evidence'];
  readonly growth: PlanStage['growth'];
  readonly unknownCategory?: Prediction['unknownCategory'];
  /** Share of what is not known of it that is not known of all tasks of its kind together. */
  readonly sharedVariance: number;
  readonly outputBytes: number;
}

/** A merge of which nothing is known puts together what is there: seconds. */
const mergeSeconds: Quantiles = { q10: 0.005, q50: 0.05, q90: 0.5 };
/** Into how many tasks a stage is cut, as long as it runs, for each slot of the mesh, and at least: by factoring, about. */
const chunksPerSlot = 8;
const chunksLeast = 12;
/** An output of which nothing is known. */
const outputBytesUnknown = 4_096;

/** Of a task that the log has, or will have. Undefined: nobody knows. */
export function workOfTask(state: PlannerState, job: LedgerJob, task: LedgerTask): Work | undefined {
  const known = profileOfTask(state, job, task);
  return task.merges ? workOfMerge(known) : workOfPart(known, job, task);
}

function workOfMerge(known: Prediction): Work {
  // What other code took says nothing of it: that computes, a merge puts together.
  const workSeconds = known.basis === 'all' ? undefined : known.workSeconds;
  return { ...restOf(known), workSeconds: workSeconds ?? mergeSeconds };
}

function workOfPart(known: Prediction, job: LedgerJob, task: LedgerTask): Work | undefined {
  const believed = believedWork(known, workByEstimate(job, task));
  return believed && { ...restOf(known), ...believed, ...(believed.basis === 'author' ? { sharedVariance: 1 } : {}) };
}

function restOf({ workSeconds, basis, evidence, unknownCategory, outputBytes }: Prediction): Omit<Work, 'workSeconds'> {
  return {
    basis,
    evidence,
    growth: workSeconds?.growth,
    unknownCategory,
    sharedVariance: 1 / (1 + evidence.tasks),
    outputBytes: outputBytes?.q50 ?? outputBytesUnknown,
  };
}

/** How many tasks a stage has, its merge not counted, or will probably be cut into. */
export function partsExpected(state: PlannerState, job: LedgerJob, stage: string): number {
  const ledger = job.stages.get(stage)!;
  const { cut, rest, source } = ledger;
  if (cut && rest === undefined) return partsOf(ledger).length;
  if (rest !== undefined && rest.firstRecord > 0) {
    const known = partsOf(ledger).length;
    // The first pieces are small: of what is in none yet there will be fewer than as many for as much.
    const alike = Math.ceil((known * rest.totalRecords) / rest.firstRecord) - known;
    return known + Math.max(1, Math.min(alike, Math.max(slotsOf(state), chunksBySlots(state, job) - known)));
  }
  const { split, matrix, input, estimateSeconds } = stagePlanOf(job, stage);
  if (matrix !== undefined) return combinationsOf(matrix);
  if (split === undefined) return 1;
  if (split.chunks !== undefined) return split.chunks;
  const sizeBytes = (source ?? input)?.sizeBytes;
  if (split.blockBytes !== undefined && sizeBytes !== undefined)
    return Math.max(1, Math.min(limits.tasksPerStage, Math.ceil(sizeBytes / split.blockBytes)));
  const bySlots = chunksBySlots(state, job);
  const byEstimate = estimateSeconds === undefined ? bySlots : Math.max(1, Math.floor(estimateSeconds / 0.5));
  return Math.max(1, Math.min(bySlots, byEstimate, limits.tasksPerStage, sizeBytes ?? limits.tasksPerStage));
}

/** How many chunks a stage that is cut as it runs will probably have: the more the smaller they are. */
function chunksBySlots(state: PlannerState, job: LedgerJob): number {
  const confidence = wishedConfidence(job);
  const share = confidence === undefined ? 1 : sureShareOf(state, confidence);
  return Math.ceil(Math.max(chunksLeast, slotsOf(state) * chunksPerSlot) / share);
}

function slotsOf(state: PlannerState): number {
  let slots = 0;
  for (const node of state.nodes.values()) if (node.online && node.confirmed) slots += node.status.slots;
  return slots;
}

/** The job as if every split said how many chunks there will be: what is known of tasks is asked for by that. */
export function withExpectedChunks(state: PlannerState, job: LedgerJob): LedgerJob {
  const stages = job.plan.stages.map((plan) =>
    plan.split === undefined || job.stages.get(plan.stage)!.cut
      ? plan
      : { ...plan, split: { ...plan.split, chunks: partsExpected(state, job, plan.stage) } },
  );
  return { ...job, plan: { ...job.plan, stages } };
}
