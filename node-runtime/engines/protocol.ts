import { errorCodes } from '../contract/errors.ts';
import type { EngineName, ErrorCode, TaskLimits, Usage } from '../contract/index.ts';
import type { EngineInput, LoadedOutput } from './engine.ts';
import type { Encoding, InputShape, SandboxCommand } from './sandbox-engine.ts';

/** From the pool to a sandbox process. `id` names one run in one process; it is never used again. */
export type ToSandbox =
  | {
      readonly type: 'run';
      readonly id: number;
      readonly key: string;
      readonly identity: string;
      readonly engine: EngineName;
      readonly shape: InputShape;
      readonly parameters: unknown;
      /** Its files are known by their paths: their bytes are in the body, behind the code. */
      readonly command?: CommandHead;
      readonly limits: TaskLimits;
      /** Bytes of the code at the begin of the body; absent when the process has it, and the files, under this key. */
      readonly codeBytes?: number;
      /** Bytes of each file, in order; with `codeBytes`. */
      readonly fileBytes?: readonly number[];
      /** Bytes of each slot, in order. */
      readonly slotBytes: readonly number[];
    }
  /** Forget a run that has not begun, stop one that has. */
  | { readonly type: 'drop'; readonly id: number };

export type CommandHead = Omit<SandboxCommand, 'files'> & { readonly paths: readonly string[] };

/** From a sandbox process to the pool. */
export type FromSandbox =
  | { readonly type: 'ready'; readonly notes: readonly string[]; readonly processCpuMs: number }
  | { readonly type: 'started'; readonly id: number }
  | { readonly type: 'progress'; readonly id: number; readonly fraction: number }
  | { readonly type: 'log'; readonly id: number; readonly lines: readonly string[] }
  | ({ readonly type: 'done'; readonly id: number; readonly encoding: Encoding } & Spent)
  | ({ readonly type: 'failed'; readonly id: number; readonly code: ErrorCode; readonly message: string } & Spent)
  /** The run was dropped before it began. */
  | { readonly type: 'dropped'; readonly id: number };

interface Spent {
  readonly usage: Usage;
  /** CPU time of the process since its start. */
  readonly processCpuMs: number;
}

/** How many keys a sandbox process keeps code and state of. Pool and process count alike, see `RecentKeys`. */
export const keysPerProcess = 4;

/**
 * The keys used last. The pool sends code only when the process does not have it; both keep this list over the same `run`
 * messages, so they agree without asking.
 */
export class RecentKeys {
  private readonly keys: string[] = [];

  has(key: string): boolean {
    return this.keys.includes(key);
  }

  /** Moves the key to the front; gives the one that fell out. */
  use(key: string): string | undefined {
    const at = this.keys.indexOf(key);
    if (at === 0) return undefined;
    if (at > 0) this.keys.splice(at, 1);
    this.keys.unshift(key);
    return this.keys.length > keysPerProcess ? this.keys.pop() : undefined;
  }
}

export function shapeOf(input: EngineInput): InputShape {
  const encodings = (outputs: readonly LoadedOutput[]): Encoding[] => outputs.map(({ encoding }) => encoding);
  switch (input.kind) {
    case 'none':
      return {};
    case 'records':
      return input.start === undefined ? { by: input.by } : { by: input.by, start: input.start };
    case 'whole':
      return { by: 'lines' };
    case 'outputs': {
      const needs: Record<string, Encoding | Encoding[]> = {};
      for (const [stage, need] of Object.entries(input.needs)) {
        needs[stage] = Array.isArray(need) ? encodings(need) : (need as LoadedOutput).encoding;
      }
      return { needs };
    }
    case 'parts':
      return { parts: encodings(input.parts) };
  }
}

/** Checks what came out of a sandbox process: code may have broken out of its engine. `undefined`: not one of ours. */
export function parseFromSandbox(head: unknown): FromSandbox | undefined {
  if (typeof head !== 'object' || head === null) return undefined;
  const message = head as Record<string, unknown>;
  const isText = (value: unknown): value is string => typeof value === 'string';
  if (message.type === 'ready') {
    const { notes, processCpuMs } = message;
    const fits = Array.isArray(notes) && notes.every(isText) && isNumber(processCpuMs);
    return fits ? { type: 'ready', notes, processCpuMs } : undefined;
  }
  const { type, id } = message;
  if (!isCount(id)) return undefined;
  switch (type) {
    case 'started':
    case 'dropped':
      return { type, id };
    case 'progress': {
      const { fraction } = message;
      return isNumber(fraction) && fraction <= 1 ? { type, id, fraction } : undefined;
    }
    case 'log': {
      const { lines } = message;
      return Array.isArray(lines) && lines.every(isText) ? { type, id, lines } : undefined;
    }
    case 'done':
    case 'failed': {
      const usage = parseUsage(message.usage);
      const { processCpuMs, encoding, code, message: text } = message;
      if (usage === undefined || !isNumber(processCpuMs)) return undefined;
      if (type === 'done') {
        const known = encoding === 'json' || encoding === 'text' || encoding === 'bytes';
        return known ? { type, id, encoding, usage, processCpuMs } : undefined;
      }
      if (!isText(code) || !(code in errorCodes) || !isText(text)) return undefined;
      return { type, id, code: code as ErrorCode, message: text.slice(0, 4_000), usage, processCpuMs };
    }
    default:
      return undefined;
  }
}

function parseUsage(value: unknown): Usage | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { cpuMs, wallMs, peakMemoryBytes, inputBytes, outputBytes } = value as Record<string, unknown>;
  if (!isNumber(cpuMs) || !isNumber(wallMs)) return undefined;
  if (!isCount(peakMemoryBytes) || !isCount(inputBytes) || !isCount(outputBytes)) return undefined;
  return { cpuMs, wallMs, peakMemoryBytes, inputBytes, outputBytes };
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
