/** The SDK: submit jobs to a mesh from a program, follow them, read what came of them. */
export type { History, HistoryOptions, HistorySample } from './history.ts';
export { JobHandle } from './job-handle.ts';
export { makeJobId } from './job-id.ts';
export {
  connectMesh,
  type JobDetails,
  MeshClient,
  type MeshClientOptions,
  type Rows,
  type SubmitOptions,
  type Voters,
} from './mesh-client.ts';
export { defaultTiming, type Timing } from './timing.ts';
