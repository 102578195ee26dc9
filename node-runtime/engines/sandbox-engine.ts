import type { EngineName, ErrorCode, SplitBy, TaskLimits } from '../contract/index.ts';
import type { LoadedOutput } from './engine.ts';

export type Encoding = LoadedOutput['encoding'];

/** What the guest is told about its input; the bytes themselves stay outside until they are asked for. */
export interface InputShape {
  /** How slot 0 is iterated; without it there is no input. */
  readonly by?: SplitBy;
  /** The byte of the whole input at which slot 0 begins; 0 unless said. */
  readonly start?: number;
  readonly needs?: Readonly<Record<string, Encoding | readonly Encoding[]>>;
  readonly parts?: readonly Encoding[];
}

/** What a program is told, see `LoadedCommand`. */
export interface SandboxCommand {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly output: Encoding;
  readonly files: readonly { readonly path: string; readonly bytes: Uint8Array }[];
}

/** A task inside a sandbox process, whatever its engine. */
export interface SandboxTask {
  /** Equal keys: same job, engine, code, files and memory limit. State may be kept under a key, never across keys. */
  readonly key: string;
  /** Who the task is, in every attempt: account/job/task. */
  readonly identity: string;
  readonly engine: EngineName;
  readonly code: Uint8Array;
  readonly shape: InputShape;
  readonly slots: readonly Uint8Array[];
  readonly parameters: unknown;
  readonly command?: SandboxCommand | undefined;
  /** Its memory may become another while it runs. */
  readonly limits: TaskLimits;
}

export type StopReason = 'cpu' | 'wall' | 'cancelled';

/** What an engine owes to, and gets from, the process around it. */
export interface TaskControl {
  /** To be called often while guest code runs (about every millisecond): true means stop. Never throws. */
  tick(): boolean;
  readonly stopped: StopReason | undefined;
  log(line: string): void;
  progress(fraction: number): void;
  /** To be awaited where the guest is at rest: lets the process read its pipe when it has not for a while. */
  pause(): Promise<void> | undefined;
}

export type TaskResult =
  | { readonly type: 'done'; readonly encoding: Encoding; readonly bytes: Uint8Array; readonly peakMemoryBytes: number }
  | {
      readonly type: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly peakMemoryBytes: number;
    };

export interface SandboxEngine {
  run(task: SandboxTask, control: TaskControl): Promise<TaskResult>;
  /** Throws away all that is kept under a key. */
  forget(key: string): void;
  /** The process has nothing to run: a moment to make ready what the next job will need. */
  rest?(): Promise<void>;
}
