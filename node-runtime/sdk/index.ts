/** The SDK, in Node and (`browser` of package.json) in a page: submit jobs to a mesh from a program, follow them, read what came of them. */
export type { Forecast } from './forecast.ts';
export type { TaskFunctionSource } from './graph/code.ts';
export {
  type AnyFlow,
  type BlockOptions,
  bytes,
  type FlowCode,
  type FlowInput,
  files,
  items,
  type JobGraph,
  type JobOptions,
  job,
  lines,
  type Mapped,
  type Parts,
  type Records,
  type SplitOptions,
  type StageOptions,
  task,
  type Value,
} from './graph/flow.ts';
export type { TaskBundler } from './graph/prepare.ts';
export type { FileLike, TaskLike } from './graph/task-like.ts';
export type { History, HistoryOptions, HistorySample } from './history.ts';
export type { AuthorKeySource } from './host.ts';
export { JobHandle, type JobProgress } from './job-handle.ts';
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
export { type DataRow, MeshData } from './mesh-data.ts';
export type { CodeSigning } from './sign-code.ts';
export type { StoredLog } from './stored-logs.ts';
export { defaultTiming, type Timing } from './timing.ts';
