import type { EngineName, ErrorCode, SplitBy, TaskLimits, Usage } from '../contract/index.ts';

/** What a task gave, as bytes: JSON (UTF-8), text (UTF-8) or bytes. */
export interface LoadedOutput {
  readonly encoding: 'json' | 'text' | 'bytes';
  readonly bytes: Uint8Array;
}

/** What a task reads. */
export type EngineInput =
  | { readonly kind: 'none' }
  /** A range of records. By items: elements of a JSON array with the commas between them, without the brackets. */
  | { readonly kind: 'records'; readonly by: SplitBy; readonly bytes: Uint8Array }
  /** Everything in one task; iterated, it gives lines. */
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  /** Outputs of other stages, by stage. */
  | { readonly kind: 'outputs'; readonly needs: Readonly<Record<string, LoadedOutput | readonly LoadedOutput[]>> }
  /** Outputs of the tasks of one stage, in record order: for a merge. */
  | { readonly kind: 'parts'; readonly parts: readonly LoadedOutput[] };

/** What a stage says to a program: engine `wasm` alone. Files are named from the root, without a slash before them. */
export interface LoadedCommand {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What standard output is. */
  readonly output: LoadedOutput['encoding'];
  /** `hash` names the bytes: equal hashes are equal bytes. */
  readonly files: readonly { readonly path: string; readonly hash: string; readonly bytes: Uint8Array }[];
}

export interface EngineRequest {
  /** Names the attempt in every report about it; unique among the attempts that have not ended. */
  readonly attempt: string;
  /** account/job. What belongs to another job never meets this one's memory. */
  readonly job: string;
  readonly engine: EngineName;
  /** Names the code: equal hashes are equal code. */
  readonly codeHash: string;
  readonly code: Uint8Array;
  readonly input: EngineInput;
  /** Handed to the code as it is: a JSON value. */
  readonly parameters?: unknown;
  readonly command?: LoadedCommand;
  readonly limits: TaskLimits;
  /** Engine `node` alone: its code may use the machine's network. */
  readonly network?: boolean;
}

export type EngineOutcome =
  | { readonly type: 'done'; readonly output: LoadedOutput; readonly usage: Usage }
  | {
      readonly type: 'failed';
      /** Whose fault: the code's, or this node's (then another node may well succeed). */
      readonly fault: 'task' | 'node';
      readonly code: ErrorCode;
      readonly message: string;
      readonly usage: Usage;
    };

/** Each attempt ends exactly once; nothing is reported about it afterwards. */
export interface EngineListener {
  started(attempt: string): void;
  progress(attempt: string, fraction: number): void;
  log(attempt: string, lines: string[]): void;
  ended(attempt: string, outcome: EngineOutcome): void;
}

export const noUsage: Usage = { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 };

/** Every byte string of an input, in a fixed order: how it crosses to the sandbox. */
export function slotsOf(input: EngineInput): Uint8Array[] {
  switch (input.kind) {
    case 'none':
      return [];
    case 'records':
    case 'whole':
      return [input.bytes];
    case 'outputs':
      return Object.values(input.needs).flatMap((need) =>
        Array.isArray(need) ? need.map(({ bytes }) => bytes) : [(need as LoadedOutput).bytes],
      );
    case 'parts':
      return input.parts.map(({ bytes }) => bytes);
  }
}
