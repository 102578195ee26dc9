import * as z from 'zod';
import { limits } from '../limits.ts';
import { jobPhase, jobState, problem } from './job.ts';
import { metricSample, nodeStatus } from './node.ts';
import { count, identifier, version } from './shared.ts';

const request = { v: version, id: identifier };

/** `queries/<account>/<client>/ask`, client -> leader. */
export const queryAsk = z.discriminatedUnion('query', [
  z.object({ ...request, query: z.literal('jobs'), phase: jobPhase.optional() }),
  z.object({ ...request, query: z.literal('job'), job: identifier }),
  z.object({ ...request, query: z.literal('nodes') }),
]);
export type QueryAsk = z.infer<typeof queryAsk>;

export const taskRow = z.object({
  task: identifier,
  stage: identifier,
  state: z.enum(['waiting', 'ready', 'assigned', 'running', 'moving', 'done', 'failed', 'cancelled']),
  node: identifier.optional(),
  attempts: count,
  progress: z.number(),
  problem: problem.optional(),
});
export type TaskRow = z.infer<typeof taskRow>;

export const nodeRow = z.object({
  status: nodeStatus,
  running: count,
  tasksDone: count,
  silentMs: count,
  latest: metricSample.optional(),
  leads: z.boolean(),
});
export type NodeRow = z.infer<typeof nodeRow>;

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
  z.object({ ...request, query: z.literal('error'), problem }),
]);
export type QueryAnswer = z.infer<typeof queryAnswer>;
