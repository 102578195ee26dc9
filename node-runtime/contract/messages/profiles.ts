import * as z from 'zod';
import { limits } from '../limits.ts';
import { blobName, count, engineName, identifier } from './shared.ts';

const amount = z.number().min(0);
/**
 * How an estimate grows with the input is `seen`, of tasks with inputs of different size; or nobody has seen it, and the input asked about is `near`
 * those that were, or of another size: then the estimate is `guessed` from them. Absent: the leader is of an earlier release.
 */
export const inputGrowth = z.enum(['seen', 'near', 'guessed']);

/** Not exceeded with probability 0.1, 0.5 and 0.9; and how it grows with the input: about `fixed + perByte * inputBytes`. */
const quantity = z.object({
  ...{ q10: amount, q50: amount, q90: amount, fixed: amount, perByte: amount },
  growth: inputGrowth.optional(),
});

/** Tasks of this code that were seen, and other codes that are known: of its category, and of its engine. */
export const profileEvidence = z.object({ tasks: count, categoryCodes: count, codes: count });

/** A `profile` that no other code has. `startsFrom` is the known category that it was probably meant to be; `known` are those that there are. */
export const unknownCategory = z.object({
  name: identifier,
  startsFrom: identifier.optional(),
  known: z.array(identifier).max(limits.whyNames),
});
export type UnknownCategory = z.infer<typeof unknownCategory>;

/** What a task will take, by what finished ones took. A quantity that nobody has measured is absent. */
export const taskEstimate = z.object({
  /** On a core of speed 1: see `speed` of a status. */
  workSeconds: quantity.optional(),
  peakMemoryBytes: quantity.optional(),
  outputBytes: quantity.optional(),
  /** What it rests on most: tasks of this code, other codes of its category, all other codes of its engine, nothing. */
  basis: z.enum(['own', 'category', 'all', 'none']),
  evidence: profileEvidence,
  unknownCategory: unknownCategory.optional(),
});
export type TaskEstimate = z.infer<typeof taskEstimate>;

/** Of a code; without one, of any other code of the category; without that too, of any other code. */
export const profileRow = z.object({
  engine: engineName,
  code: blobName.optional(),
  category: identifier.optional(),
  /** The stage that it was last seen in. */
  stage: identifier.optional(),
  /** What the estimate is of: the input that tasks of this code typically had. */
  inputBytes: amount,
  estimate: taskEstimate,
});
export type ProfileRow = z.infer<typeof profileRow>;

/** The beginning of a code's name, with or without `sha256-`, or a stage, or a category. */
export const profileName = z
  .string()
  .min(1)
  .max(limits.identifierCharacters + 7);
