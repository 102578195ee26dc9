import * as z from 'zod';
import type { MeshError } from '../errors.ts';
import { limits } from '../limits.ts';
import { catchUp, overlap } from './job-spec.ts';
import { moveCounts } from './moves.ts';
import { blobName, count, encodingOfOutput, fraction, identifier, version } from './shared.ts';

export const jobPhase = z.enum(['accepted', 'scheduled', 'running', 'done', 'failed', 'cancelled', 'refused']);
export type JobPhase = z.infer<typeof jobPhase>;
export const jobEndPhases: readonly JobPhase[] = ['done', 'failed', 'cancelled'];

export const problem = z.object({
  code: z.string(),
  message: z.string(),
  where: z.string().optional(),
  mend: z.string().optional(),
});
export type Problem = z.infer<typeof problem>;

export function problemOf({ code, message, where, mend }: MeshError): Problem {
  return { code, message, ...(where === undefined ? {} : { where }), ...(mend === undefined ? {} : { mend }) };
}

/** Why a job or a stage does not go on: a word that waits has a reason. */
export const waiting = z.enum(['needs', 'index', 'queued', 'unplaceable']);

export const stageState = z.object({
  stage: identifier,
  /** So far: 0 until the stage is cut, more with each piece of one that is cut while it runs. */
  tasks: count,
  waiting: count,
  running: count,
  done: count,
  failed: count,
  /** Share of the stage's records that are done or, in running tasks, reported as done. */
  progress: fraction,
  reason: waiting.optional(),
});
export type StageState = z.infer<typeof stageState>;

/** How a job with a `schedule` stands: each of its occurrences is a job of its own. Times are milliseconds since 1970. */
export const scheduleState = z.object({
  cron: z.string(),
  timezone: z.string(),
  catchUp,
  overlap,
  /** By what the leader knows, when the next one is due. */
  nextMs: count.optional(),
  /** The last one that was started or left out. */
  lastMs: count.optional(),
  /** The job of the last one that was started. */
  latest: identifier.optional(),
  started: count,
  skipped: count,
  /** The last one that was left out, and why. */
  lastSkipped: z.object({ atMs: count, reason: z.string() }).optional(),
});
export type ScheduleState = z.infer<typeof scheduleState>;

/** Of a job that should have ended by a time: milliseconds since 1970, by the clock of the leader that accepted it. */
export const deadlineState = z.object({
  atMs: count,
  missed: z.boolean(),
  confidence: fraction.optional(),
  /** That it will be met, as things are. */
  probability: fraction.optional(),
});

/** That a job is done within that time of its acceptance, with that probability; `madeMs` after it. The first that could be made is kept. */
export const jobPromise = z.object({ withinMs: count, confidence: fraction, madeMs: count });
export type JobPromise = z.infer<typeof jobPromise>;

/** In how many milliseconds from now what is expected is over, with that probability; of what lies beyond all that is foreseen nothing is said. */
export const finishTimes = z.object({ q10Ms: count.optional(), q50Ms: count.optional(), q90Ms: count.optional() });
export type FinishTimes = z.infer<typeof finishTimes>;

/**
 * `jobs/<account>/<job>/state`, retained. `accepted` is published only once the job is safe in the log. `refused` is not
 * retained and names the refused spec by `specHash`, so that it never hides the state of the job that holds the id.
 */
export const jobState = z.object({
  v: version,
  account: identifier,
  job: identifier,
  specHash: z.string(),
  phase: jobPhase,
  name: z.string().optional(),
  priority: z.number().int(),
  stages: z.array(stageState),
  /** What the leader expects to be left, from what has been done so far. */
  remainingMs: count.optional(),
  /** Since the job was accepted, by the leader's clock. */
  elapsedMs: count,
  /** A count that grows with every change: a reader keeps the highest (term, revision). */
  term: count,
  revision: count,
  problem: problem.optional(),
  schedule: scheduleState.optional(),
  /** Of the job of an occurrence: of which schedule, and when it was due. */
  occurrence: z.object({ schedule: identifier, atMs: count }).optional(),
  deadline: deadlineState.optional(),
  moves: moveCounts.optional(),
  /** When it will be done, as things are. */
  finish: finishTimes.optional(),
  promise: jobPromise.optional(),
});
export type JobState = z.infer<typeof jobState>;

/**
 * One output in a result: JSON as it is, text as a string, bytes as base64; a large one by reference. Base64 also carries JSON
 * and text (UTF-8) that would not fit, or not survive, being written as they are.
 */
export const resultOutput = z.union([
  z.object({ encoding: z.literal('json'), value: z.json() }),
  z.object({ encoding: z.literal('text'), value: z.string() }),
  z.object({ encoding: encodingOfOutput, base64: z.string() }),
  z.object({ encoding: encodingOfOutput, blob: blobName, sizeBytes: count }),
]);
export type ResultOutput = z.infer<typeof resultOutput>;

/** `jobs/<account>/<job>/result`, retained, JSON. `outputs` has one entry per stage that no other stage needs. */
export const jobResult = z.object({
  v: version,
  account: identifier,
  job: identifier,
  specHash: z.string(),
  phase: z.enum(['done', 'failed', 'cancelled']),
  outputs: z.record(identifier, resultOutput).optional(),
  problem: problem.optional(),
  elapsedMs: count,
  /** Tasks finished by each node. */
  tasksByNode: z.record(identifier, count),
  deadline: deadlineState.optional(),
  promise: jobPromise.optional(),
});
export type JobResult = z.infer<typeof jobResult>;

export const jobCancel = z.object({ v: version.optional(), reason: z.string().max(200).optional() });

export const jobLogs = z.object({
  v: version,
  node: identifier,
  task: identifier,
  attempt: z.string(),
  lines: z.array(z.string().max(limits.logLineCharacters)).max(limits.logLinesPerTask),
});
export type JobLogs = z.infer<typeof jobLogs>;
