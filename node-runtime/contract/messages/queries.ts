import * as z from 'zod';
import { limits } from '../limits.ts';
import { historyAsk, historyPage } from './history.ts';
import { jobPhase, jobState, problem, waiting } from './job.ts';
import { trustChange, trustedKeys } from './manifest.ts';
import { metricSample, nodeStatus } from './node.ts';
import { planAlgorithm, planAnswer } from './plan.ts';
import { allocation, preferencesChange, preferencesHeld } from './preferences.ts';
import { profileName, profileRow } from './profiles.ts';
import { quotaChange, quotaRow } from './quotas.ts';
import { attemptKey, count, identifier, logReference, version } from './shared.ts';
import { whyAnswer } from './why.ts';

const request = { v: version, id: identifier };

/** How many voters, and how patient the mesh is before it changes them, milliseconds. */
const voterSettings = z.object({
  count: z.union([z.literal('auto'), z.literal(1), z.literal(3), z.literal(5)]).optional(),
  settleMs: count.max(limits.voterPatienceMs).optional(),
  replaceAfterMs: count.max(limits.voterPatienceMs).optional(),
});
export type VoterSettingsAsk = z.infer<typeof voterSettings>;

export const voterRow = z.object({
  node: identifier,
  /** `joining`: it gets the log and does not count yet. `leaving`: it counts until those that come after it are in. */
  role: z.enum(['leader', 'voter', 'joining', 'leaving']),
  /** Entries of the log that it has not confirmed. */
  behind: count,
  /** Since when it does not answer; absent while it does. */
  awayMs: count.optional(),
});
export type VoterRow = z.infer<typeof voterRow>;

/** `queries/<account>/<client>/ask`, or `.../change` for those that change the mesh; client -> leader. */
export const queryAsk = z.discriminatedUnion('query', [
  z.object({ ...request, query: z.literal('jobs'), phase: jobPhase.optional() }),
  z.object({ ...request, query: z.literal('job'), job: identifier }),
  z.object({ ...request, query: z.literal('nodes') }),
  /** Where the logs are of attempts that have ended, of the whole job or of a task; `from` is 0, or `next` of the page before. */
  z.object({ ...request, query: z.literal('logs'), job: identifier, task: identifier.optional(), from: count }),
  /** `name` is a job, or a task: of `job`, or of the newest job of the account that has one of that name. */
  z.object({ ...request, query: z.literal('why'), name: identifier, job: identifier.optional() }),
  /** What tasks of the account's code take; of all of it unless `name` says otherwise. */
  z.object({ ...request, query: z.literal('profiles'), name: profileName.optional() }),
  /**
   * How a job would go if it were submitted now: `spec` as it would be published, but that no holder needs to have what it names. Or how what
   * is left of a job of the account will go.
   */
  z.object({
    ...request,
    query: z.literal('plan'),
    spec: z.looseObject({}).optional(),
    job: identifier.optional(),
    algorithm: planAlgorithm.optional(),
  }),
  z.object({ ...request, query: z.literal('voters') }),
  /** The leader asks the node, and passes on what it says. */
  z.object({ ...request, query: z.literal('history'), node: identifier, ...historyAsk.shape }),
  /** What its owner wants of a node; with an empty change, what holds there. The node has the last word. */
  z.object({ ...request, query: z.literal('preferences'), node: identifier, change: preferencesChange }),
  /** Whose code a node runs outside the sandbox of WebAssembly. */
  z.object({ ...request, query: z.literal('trust'), node: identifier, change: trustChange }),
  /** Another share for a task of the account that runs. */
  z.object({ ...request, query: z.literal('reallocate'), job: identifier, task: identifier, ...allocation.shape }),
  /** What the account has, and how much it may have. */
  z.object({ ...request, query: z.literal('quota') }),
  /** The same for all accounts that have anything, or quotas of their own. */
  z.object({ ...request, query: z.literal('quotas') }),
  /** Another quota for an account; with an empty change, what it has. */
  z.object({ ...request, query: z.literal('set-quota'), account: identifier, change: quotaChange }),
  /** What is left out is as it was; `count` 'auto' leaves it to the mesh. */
  z.object({ ...request, query: z.literal('set-voters'), settings: voterSettings }),
  /** Asked again until the answer is that it is gone: a voter gives up its seat first. */
  z.object({ ...request, query: z.literal('remove-node'), node: identifier }),
]);
export type QueryAsk = z.infer<typeof queryAsk>;

/** Questions that change the mesh, or tell of other accounts: they are for its owner, and have a topic of their own. */
const changing: readonly QueryAsk['query'][] = [
  'set-voters',
  'remove-node',
  'preferences',
  'trust',
  'quotas',
  'set-quota',
];
export function changesMesh(query: QueryAsk['query']): boolean {
  return changing.includes(query);
}

export const taskRow = z.object({
  task: identifier,
  stage: identifier,
  state: z.enum(['waiting', 'ready', 'assigned', 'running', 'moving', 'done', 'failed', 'cancelled']),
  node: identifier.optional(),
  attempts: count,
  progress: z.number(),
  /** How long the attempt that counts took, or the one that runs has run so far. */
  wallMs: count.optional(),
  /** Why it waits. */
  reason: waiting.optional(),
  problem: problem.optional(),
});
export type TaskRow = z.infer<typeof taskRow>;

export const nodeRow = z.object({
  status: nodeStatus,
  running: count,
  tasksDone: count,
  silentMs: count,
  latest: metricSample.optional(),
  /**
   * Until there is a forecast of it by all that it remembers: for how long this leader has heard of it, and in which time there will be one, as far as it can be told. `past`: how much of what the node
   * remembers has been learned, which comes first; 0 of 0 while it has yet to say; absent where it has none, and a first minute is measured.
   */
  unforeseen: z
    .object({ heardMs: count, dueMs: count, past: z.object({ learnedSteps: count, steps: count }).optional() })
    .optional(),
  leads: z.boolean(),
});
export type NodeRow = z.infer<typeof nodeRow>;

export const logRow = z.object({
  task: identifier,
  node: identifier,
  attempt: attemptKey,
  /** It did not give the task's output: another attempt did, or none. */
  failed: z.boolean(),
  log: logReference,
});
export type LogRow = z.infer<typeof logRow>;

/** `queries/<account>/<client>/answer`, leader -> client. `truncated` counts what `queryRows` left out. */
export const queryAnswer = z.discriminatedUnion('query', [
  z.object({ ...request, query: z.literal('jobs'), jobs: z.array(jobState).max(limits.queryRows), truncated: count }),
  z.object({
    ...request,
    query: z.literal('job'),
    state: jobState,
    tasks: z.array(taskRow).max(limits.queryRows),
    truncated: count,
  }),
  z.object({ ...request, query: z.literal('nodes'), nodes: z.array(nodeRow).max(limits.queryRows), truncated: count }),
  z.object({ ...request, query: z.literal('why'), why: whyAnswer }),
  z.object({ ...request, query: z.literal('plan'), plan: planAnswer }),
  z.object({
    ...request,
    query: z.literal('profiles'),
    profiles: z.array(profileRow).max(limits.queryRows),
    truncated: count,
  }),
  z.object({
    ...request,
    query: z.literal('logs'),
    logs: z.array(logRow).max(limits.queryRows),
    next: count.optional(),
  }),
  z.object({
    ...request,
    query: z.literal('voters'),
    term: count,
    /** The leader's clock, milliseconds since 1970: for people to compare, nothing is decided by it. */
    wallMs: count.optional(),
    voters: z.array(voterRow).max(2 * limits.votersPerMesh),
    settings: voterSettings.required(),
    /** Nodes that could vote, and do not. */
    candidates: z.array(identifier).max(limits.queryRows),
  }),
  z.object({ ...request, query: z.literal('quota'), quota: quotaRow }),
  z.object({
    ...request,
    query: z.literal('quotas'),
    quotas: z.array(quotaRow).max(limits.queryRows),
    truncated: count,
  }),
  /** As it is now: a change is in it once the log has it. Ask again until then. */
  z.object({ ...request, query: z.literal('set-quota'), quota: quotaRow }),
  z.object({ ...request, query: z.literal('set-voters') }),
  z.object({ ...request, query: z.literal('remove-node'), node: identifier, isGone: z.boolean() }),
  z.object({ ...request, query: z.literal('history'), page: historyPage }),
  z.object({ ...request, query: z.literal('preferences'), preferences: preferencesHeld }),
  z.object({ ...request, query: z.literal('trust'), keys: trustedKeys }),
  /** What it has now. */
  z.object({ ...request, query: z.literal('reallocate'), ...allocation.required().shape }),
  z.object({ ...request, query: z.literal('error'), problem }),
]);
export type QueryAnswer = z.infer<typeof queryAnswer>;
