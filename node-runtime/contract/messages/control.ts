import * as z from 'zod';
import { limits } from '../limits.ts';
import { command } from './command.ts';
import { historyAsk, historyPage } from './history.ts';
import { problem } from './job.ts';
import { codeReference, trustChange, trustedKeys } from './manifest.ts';
import { allocation, preferencesChange, preferencesHeld } from './preferences.ts';
import {
  attemptKey,
  count,
  dataReference,
  fraction,
  identifier,
  logReference,
  output,
  splitBy,
  taskLimits,
  usage,
  version,
} from './shared.ts';

/** What a task reads. */
export const taskInput = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  /** A whole blob; iterated, it gives its lines. */
  z.object({ kind: z.literal('whole'), source: dataReference }),
  /** The records of a byte range [start, end), cut at record borders. */
  z.object({
    kind: z.literal('records'),
    by: splitBy,
    source: dataReference,
    start: count,
    end: count,
    firstRecord: count,
    records: count,
  }),
  /** The outputs of the stages needed; a split stage without merge gives one per task, in record order. */
  z.object({ kind: z.literal('outputs'), needs: z.record(identifier, z.union([output, z.array(output)])) }),
  /** The parts of this very stage, to be merged, in record order. */
  z.object({ kind: z.literal('parts'), parts: z.array(output) }),
  /** A description too large for a message (`inlineAssignBytes`): the blob holds it as CBOR. */
  z.object({ kind: z.literal('spilled'), description: dataReference }),
]);
export type TaskInput = z.infer<typeof taskInput>;

/**
 * The whole state of a task at one moment: from it any node can go on. `sequence` begins with 1; an attempt that goes on
 * from a checkpoint goes on counting from it.
 */
export const checkpoint = z.object({ sequence: count.min(1), state: dataReference });
export type Checkpoint = z.infer<typeof checkpoint>;

export const assign = z.object({
  type: z.literal('assign'),
  attempt: attemptKey,
  account: identifier,
  job: identifier,
  stage: identifier,
  task: identifier,
  code: codeReference,
  input: taskInput,
  parameters: z.json().optional(),
  /** For a program: engine `wasm`. */
  command: command.optional(),
  /** Go on from here. An engine that cannot begins at the beginning, and comes to the same. */
  resume: checkpoint.optional(),
  limits: taskLimits,
  /** An output up to this size travels inline; a larger one is put in a holder first. */
  inlineOutputBytes: count,
  priority: z.number().int().min(0).max(9),
  /** Those that its stage asks for, if any. */
  labels: z.array(identifier).max(limits.labelsPerNode).optional(),
  /** The leader's wall clock, milliseconds since 1970, where code has a date of expiry: a node's own clock may be wrong. */
  leaderMs: count.optional(),
});
export type Assign = z.infer<typeof assign>;

export const inboxMessage = z.discriminatedUnion('type', [
  assign,
  z.object({ type: z.literal('cancel'), attempt: attemptKey, reason: z.string() }),
  /** Give it back unless it has started: it shall go elsewhere. Answer: `released`, `started`, or what it came to. */
  z.object({ type: z.literal('reclaim'), attempt: attemptKey, reason: z.string().max(limits.reasonCharacters) }),
  /** The log has these outcomes, or does not want them: forget them. */
  z.object({ type: z.literal('committed'), attempts: z.array(attemptKey) }),
  /** Report again what was not committed, then say what is in hand. */
  z.object({ type: z.literal('inventory-request'), request: count }),
  /**
   * The mesh does not admit this boot of the node: its id is enrolled with another key, or nothing shows that it was let in.
   * It ends. What was said to an earlier boot, and is said again, ends nobody.
   */
  z.object({ type: z.literal('refused'), bootId: identifier, problem }),
  /** Somebody wants to see what the node has measured. */
  z.object({ type: z.literal('history-request'), request: count, ...historyAsk.shape }),
  /** An account wants the node to give more or less; with an empty change, to know what holds. */
  z.object({ type: z.literal('preferences-request'), request: count, change: preferencesChange }),
  /** An account changes whose code the node runs outside the sandbox of WebAssembly, or asks. */
  z.object({ type: z.literal('trust-request'), request: count, change: trustChange }),
  /** Give a running attempt more or less. */
  z.object({ type: z.literal('reallocate'), request: count, attempt: attemptKey, ...allocation.shape }),
]);
export type InboxMessage = z.infer<typeof inboxMessage>;

export const taskFault = z.enum(['task', 'node']);

/** `log`: where the end of what it has logged is, if a holder has it. */
const outcomeFields = { attempt: attemptKey, usage, log: logReference.optional() };
export const outcome = z.discriminatedUnion('type', [
  z.object({ type: z.literal('done'), ...outcomeFields, output }),
  /** `fault` tells whose it is: the task's counts against `retries`, the node's does not. */
  z.object({
    type: z.literal('failed'),
    ...outcomeFields,
    fault: taskFault,
    code: z.string(),
    message: z.string().max(4_000),
  }),
]);
export type Outcome = z.infer<typeof outcome>;

export const outboxMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('started'), attempt: attemptKey }),
  z.object({ type: z.literal('progress'), attempt: attemptKey, fraction }),
  /** Its state is durable in a holder: it may count. */
  z.object({ type: z.literal('checkpointed'), attempt: attemptKey, checkpoint }),
  ...outcome.options,
  /**
   * What this boot has accepted and not finished, in answer to `request`. Sent after every outcome that is not committed
   * yet: an attempt that the leader assigned before it asked, and that neither reports nor is listed, is lost.
   */
  z.object({
    type: z.literal('inventory'),
    request: count,
    attempts: z.array(attemptKey),
    /** The node's wall clock when it said so, milliseconds since 1970: a leader whose own differs from most starts no schedule. */
    clockMs: count.optional(),
  }),
  /** The node gives it back, through no fault of its task: its owner wants the device for himself, or the leader has asked for it. */
  z.object({ type: z.literal('released'), attempt: attemptKey, reason: z.string().max(limits.reasonCharacters) }),
  z.object({ type: z.literal('history'), request: count, page: historyPage }),
  z.object({ type: z.literal('preferences'), request: count, preferences: preferencesHeld }),
  z.object({ type: z.literal('trusted'), request: count, keys: trustedKeys }),
  z.object({ type: z.literal('reallocated'), request: count, attempt: attemptKey, ...allocation.required().shape }),
  /** A request (for history, other preferences, another allocation) that could not be met. */
  z.object({ type: z.literal('request-failed'), request: count, problem }),
]);
export type OutboxMessage = z.infer<typeof outboxMessage>;

/** Control messages travel in envelopes, so that many small ones cost one publish. */
const envelopeFields = {
  v: version,
  from: identifier,
  bootId: identifier,
  /** Grows by one per envelope of (sender's boot, receiver): a duplicate is noticed by it. */
  seq: count,
  /** Inbox: the leader's term. Outbox: the highest term the node has seen. */
  term: count,
};
export const inboxEnvelope = z.object({
  ...envelopeFields,
  messages: z.array(inboxMessage).max(limits.messagesPerEnvelope),
});
export type InboxEnvelope = z.infer<typeof inboxEnvelope>;
export const outboxEnvelope = z.object({
  ...envelopeFields,
  messages: z.array(outboxMessage).max(limits.messagesPerEnvelope),
});
export type OutboxEnvelope = z.infer<typeof outboxEnvelope>;

/** Splits an attempt key; the key has been checked by its schema. */
export function parseAttemptKey(key: string): { account: string; job: string; task: string; term: number; n: number } {
  const [path, number] = key.split('#') as [string, string];
  const [account, job, task] = path.split('/') as [string, string, string];
  const [term, n] = number.split('.').map(Number) as [number, number];
  return { account, job, task, term, n };
}
