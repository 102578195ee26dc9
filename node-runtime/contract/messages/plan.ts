import * as z from 'zod';
import { limits } from '../limits.ts';
import { finishTimes, problem } from './job.ts';
import { inputGrowth, profileEvidence, unknownCategory } from './profiles.ts';
import { count, fraction, identifier } from './shared.ts';

const amount = z.number().min(0);
/** Not exceeded with probability 0.1, 0.5 and 0.9. */
const quantiles = z.object({ q10: amount, q50: amount, q90: amount });

/** By which algorithm a plan is made: see `bench -- partition`. `default` is never worse than any of the others. */
export const planAlgorithm = z.enum(['heft', 'cpop', 'peft', 'min-min', 'single', 'search', 'default']);
export type PlanAlgorithm = z.infer<typeof planAlgorithm>;

/** What a plan costs, in seconds: see docs/task-authoring.md. */
export const planCost = z.object({
  /** When the last task ends, in the middle of what is expected. */
  finishSeconds: amount,
  /** For how long tasks will want what their device needs itself, summed. */
  contentionSeconds: amount,
  /** For how long what tasks read is on its way, summed. */
  transferSeconds: amount,
  /** Work that will be done twice because nodes leave: what is expected. */
  riskSeconds: amount,
});
export type PlanCost = z.infer<typeof planCost>;

export const planStage = z.object({
  stage: identifier,
  needs: z.array(identifier).max(limits.stagesPerJob),
  /** Tasks that it has still to do, its merge not counted; as many as it will probably be cut into. */
  tasks: count,
  /** Whether `tasks` is known: it is cut, or its author says how many; else it is what is expected. */
  isExact: z.boolean(),
  merges: z.boolean(),
  /**
   * Of a stage that is cut as it runs, of a job with a deadline: a piece is as large as what its node does in its time with that probability, which
   * is this share of what nodes do in the middle.
   */
  sizedFor: z.object({ confidence: fraction, share: fraction }).optional(),
  /** What one of them takes on a core of speed 1. */
  workSeconds: quantiles.optional(),
  /** What that rests on: see `profiles`; `author`: what the author says (`estimate`). */
  basis: z.enum(['own', 'category', 'all', 'none', 'author']),
  /** As of an estimate: see `profiles`; of what the author says there is no `evidence`. */
  evidence: profileEvidence.optional(),
  /** How that grows with the input, of what finished tasks tell: see `profiles`. */
  growth: inputGrowth.optional(),
  unknownCategory: unknownCategory.optional(),
  /** When its first task starts and its last one ends, in the middle of what is expected. */
  startMs: count.optional(),
  finishMs: count.optional(),
  /** Why it cannot be planned: no node can take it, or nobody knows what it takes. */
  problem: problem.optional(),
});
export type PlanStage = z.infer<typeof planStage>;

export const planTask = z.object({
  task: identifier,
  stage: identifier,
  node: identifier,
  /** Which of its slots, from 0; absent of one that runs already. */
  slot: count.optional(),
  startMs: count,
  finishMs: count,
  /** It stands for so many tasks that follow each other, where a stage has more than a plan takes one by one. */
  stands: count.optional(),
});
export type PlanTaskRow = z.infer<typeof planTask>;

/** How a job would go on the mesh as it is, and as it is foreseen. */
export const planAnswer = z.object({
  stages: z.array(planStage).max(limits.stagesPerJob),
  /** The nodes that could take something. */
  nodes: z.array(z.object({ node: identifier, slots: count, tasks: count })).max(limits.queryRows),
  algorithm: planAlgorithm,
  /** Absent when a stage cannot be planned. */
  finish: finishTimes.optional(),
  cost: planCost.optional(),
  /** By when the job is done with that probability: `finish` at the confidence that was asked for. */
  promise: z.object({ withinMs: count, confidence: fraction }).optional(),
  /** Of a job with a deadline: in how long it is, and the probability that the job is done by then. */
  deadline: z.object({ withinMs: count, confidence: fraction, probability: fraction }).optional(),
  /** What a person should know: stages that cannot be planned, a deadline that will not be met. */
  problems: z.array(problem).max(limits.stagesPerJob + 1),
  tasks: z.array(planTask).max(limits.queryRows),
  truncated: count,
});
export type PlanAnswer = z.infer<typeof planAnswer>;
