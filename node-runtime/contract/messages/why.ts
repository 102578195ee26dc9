import * as z from 'zod';
import { limits } from '../limits.ts';
import { moveKind } from './moves.ts';
import { taskEstimate } from './profiles.ts';
import { count, identifier } from './shared.ts';

/** Why a task is where it is: one word for a program; `text` says it to a person. */
export const whyReason = z.enum([
  'done',
  'failed',
  'cancelled',
  /** It runs, or its result is on the way into the log. */
  'running',
  /** On its way to a node, or waiting there behind others. */
  'assigned',
  /** Other stages come first. */
  'needs',
  /** Records are being counted, or the cut is on its way into the log. */
  'index',
  /** There is room for it, and it rather waits for a better place. */
  'held',
  /** A merge waits for the parts. */
  'parts',
  /** The leader is new, and asks the nodes what still runs. */
  'grace',
  /** Nodes could not run it just now; it is tried again soon. */
  'backoff',
  /** Nodes that could take it are busy, or others come first. */
  'queued',
  /** Its account has as many tasks at nodes as it may have at once. */
  'quota',
  /** No node can take it: `code` is `MESH_NO_ROOM`. */
  'unplaceable',
  /** A schedule: it waits for its next occurrence, or for a leader with a clock that is right. */
  'scheduled',
]);
export type WhyReason = z.infer<typeof whyReason>;

/**
 * When there is first room, by the forecast: in how many milliseconds, at best (with a probability of one in ten), in the middle
 * and at worst (nine in ten). What is absent lies beyond `horizonMs`.
 */
export const firstRoom = z.object({
  earliestMs: count.optional(),
  afterMs: count.optional(),
  latestMs: count.optional(),
  horizonMs: count,
  /** What of the node's memory is expected to be free then, in the middle. */
  memoryBytes: count.optional(),
});
export type FirstRoom = z.infer<typeof firstRoom>;

const seconds = z.number().min(0);

/**
 * What it is expected to cost to run a task on a node, seconds: until it can begin, until it ends (with probability 0.1, 0.5 and 0.9 by then, and the
 * mean), and what else counts; `totalSeconds` is the sum of `finishSeconds` and the three after it, by the weights of the job.
 */
export const placementCost = z.object({
  startSeconds: seconds,
  finishQuantilesSeconds: z.object({ q10: seconds, q50: seconds, q90: seconds }),
  finishSeconds: seconds,
  contentionSeconds: seconds,
  transferSeconds: seconds,
  riskSeconds: seconds,
  totalSeconds: seconds,
});
export type PlacementCost = z.infer<typeof placementCost>;

/** By the weights of a job each is one term of the cost. */
export const costTerm = z.enum(['makespan', 'contention', 'transfer', 'risk']);
export type CostTerm = z.infer<typeof costTerm>;

/** What one node has to do with it: `chosen`, `could` take it, `later` perhaps, `never` as it is. */
export const whyNode = z.object({
  node: identifier,
  verdict: z.enum(['chosen', 'could', 'later', 'never']),
  reason: z.enum([
    'room',
    'busy',
    'memory-now',
    'engine',
    'trust',
    'labels',
    'memory',
    'no-slots',
    'reserved',
    'away',
    'unconfirmed',
    'failed',
    'backoff',
  ]),
  text: z.string(),
  mend: z.string().optional(),
  /** Of a task whose work is known and not too short to look ahead. */
  cost: placementCost.optional(),
  /** Of a node that has no room now, and could have some later. */
  room: firstRoom.optional(),
});
export type WhyNode = z.infer<typeof whyNode>;

/** One way in which a task could have moved; its charge, for work done twice, transfer, stop and start, must be less than what it gains. */
export const moveWay = z.object({
  kind: moveKind,
  to: z.array(identifier),
  cost: placementCost,
  gainSeconds: z.number(),
  chargeSeconds: z.number().min(0),
});

/** What the leader decided of a task when its node had too much of its work, or was going to: to move it, or to let it stay. */
export const whyMove = z.object({
  decision: z.enum(['moved', 'stays']),
  agoMs: count,
  from: identifier,
  /** Why that node had too much, and why the task stays, if it does. */
  text: z.string(),
  /** What it would have cost to stay. */
  stay: placementCost,
  /** The best first: the one that was taken, if it was moved. */
  alternatives: z.array(moveWay).max(limits.moveAlternatives),
});
export type WhyMove = z.infer<typeof whyMove>;

/** A stage that is not done yet, and what it waits for. */
export const whyStage = z.object({ stage: identifier, reason: whyReason, text: z.string() });
export type WhyStage = z.infer<typeof whyStage>;

/** What the leader knows of why a task waits, or is where it is. */
export const whyAnswer = z.object({
  job: identifier,
  /** The one that is explained; absent when the job has none to explain. */
  task: identifier.optional(),
  reason: whyReason,
  text: z.string(),
  mend: z.string().optional(),
  /** An error code, of what will not go on by itself. */
  code: z.string().optional(),
  /** Tasks that come before it: all, and those of a higher priority. */
  ahead: z.object({ tasks: count, higher: count }).optional(),
  /** Of one that waits for room: where there is some first, for it or for what comes before it. */
  room: firstRoom.extend({ node: identifier }).optional(),
  /** Of one that waits behind others: where and in how many milliseconds it begins in the plan of its job, in the middle. */
  planned: z.object({ node: identifier, startMs: count }).optional(),
  /** Tasks or stages that it waits for, some of them when they are many. */
  waitsFor: z.array(identifier).max(limits.whyNames),
  /** What the task will take, while it is not done. */
  estimate: taskEstimate.optional(),
  /** What a second of each term counts for this job; and, of the chosen node or the one that is waited for, the term that made it better than the next. */
  weights: z.object({ makespan: seconds, contention: seconds, transfer: seconds, risk: seconds }).optional(),
  decidedBy: costTerm.optional(),
  /** Where it is; `assignedMs` and `startedMs` ago. */
  placed: z
    .object({ node: identifier, attempt: z.string(), assignedMs: count, startedMs: count.optional() })
    .optional(),
  /** The last time that it was to be moved, or might have been. */
  move: whyMove.optional(),
  /** Of a task that waits, how things are now; of one that was placed, how they were then. */
  nodes: z.array(whyNode).max(limits.queryRows),
  truncated: count,
  stages: z.array(whyStage).max(limits.stagesPerJob),
});
export type WhyAnswer = z.infer<typeof whyAnswer>;
