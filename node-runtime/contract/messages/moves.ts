import * as z from 'zod';
import { limits } from '../limits.ts';
import { count, identifier } from './shared.ts';

/**
 * How a task is moved: `reassign`, before it begins; `restart`, begun anew, or from its last checkpoint, elsewhere; `resplit`, cut
 * anew; `live`, frozen, to go on elsewhere.
 */
export const moveKind = z.enum(['reassign', 'restart', 'resplit', 'live']);
export type MoveKind = z.infer<typeof moveKind>;

/** Tasks of a job that this leader has moved, of each kind that there was; absent when it has moved none. */
export const moveCounts = z.partialRecord(moveKind, count);
export type MoveCounts = z.infer<typeof moveCounts>;

const seconds = z.number().min(0);

/** What it costs to run a task somewhere, seconds; `total` is their sum by the weights of the job. */
export const moveTerms = z.object({
  /** From then until its expected end. */
  finishSeconds: seconds,
  /** Of CPU that the device's own work would lose. */
  contentionSeconds: seconds,
  /** For which its input is on its way. */
  transferSeconds: seconds,
  /** Of work that is expected to be lost because the device leaves. */
  riskSeconds: seconds,
  total: seconds,
});

/** One way in which it could have moved. Its `chargeSeconds`, work done twice, transfer, stop and start, must be less than what it gains. */
export const moveWay = z.object({
  kind: moveKind,
  to: z.array(identifier),
  terms: moveTerms,
  gainSeconds: z.number(),
  chargeSeconds: seconds,
});

/** What the leader decided of a task when its node had too much of its work, or was going to: to move it, or to let it stay. */
export const whyMove = z.object({
  decision: z.enum(['moved', 'stays']),
  agoMs: count,
  from: identifier,
  /** Why that node had too much, and why the task stays, if it does. */
  text: z.string(),
  /** What it cost to stay. */
  stay: moveTerms,
  /** The best first: the one that was taken, if it was moved. */
  alternatives: z.array(moveWay).max(limits.moveAlternatives),
});
export type WhyMove = z.infer<typeof whyMove>;
