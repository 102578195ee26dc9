/** Runs the code of tasks: engines `js` and `wasm` in a pool of sandbox processes. */
export { type CalibrationOptions, calibrate, referenceCpuMs } from './calibrate.ts';
export type {
  EngineInput,
  EngineListener,
  EngineOutcome,
  EngineRequest,
  LoadedCommand,
  LoadedOutput,
} from './engine.ts';
export { EnginePools } from './engine-pools.ts';
export { type BuiltinMerge, builtinMergeCode } from './merges.ts';
export { type Containment, probeContainment } from './node/node-launch.ts';
export { entryBeside, type SandboxEntry } from './sandbox-launch.ts';
export {
  type PoolDescription,
  type PoolLoad,
  poolEngines,
  SandboxPool,
  type SandboxPoolOptions,
} from './sandbox-pool.ts';
export type { NodeTask, NodeTaskFunction, Task, TaskFunction, TaskInput, TaskValue, TextOutput } from './task-api.ts';
export { calibrationModule } from './wasm/calibration-module.ts';
