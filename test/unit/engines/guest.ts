import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { TaskLimits } from '../../../node-runtime/contract/index.ts';
import { type EngineInput, slotsOf } from '../../../node-runtime/engines/engine.ts';
import { shapeOf } from '../../../node-runtime/engines/protocol.ts';
import { QuickjsEngine } from '../../../node-runtime/engines/quickjs-engine.ts';
import type { StopReason, TaskControl, TaskResult } from '../../../node-runtime/engines/sandbox-engine.ts';

const require = createRequire(new URL('../../../node-runtime/package.json', import.meta.url));
export const quickjsWasm = require.resolve('@jitl/quickjs-wasmfile-release-sync/wasm');
let started: Promise<QuickjsEngine> | undefined;
let keys = 0;

/** One engine in this process for all tests: what one task does to it, the next would meet. */
function engine(): Promise<QuickjsEngine> {
  started ??= QuickjsEngine.start(readFileSync(quickjsWasm));
  return started;
}

export interface GuestOptions {
  readonly input?: EngineInput;
  readonly parameters?: unknown;
  readonly limits?: Partial<TaskLimits>;
  /** Equal keys share an instance; a new one unless said. */
  readonly key?: string;
  /** Stops the task after so many interrupts. */
  readonly ticks?: number;
}

export interface GuestOutcome {
  readonly result: TaskResult;
  /** The output: parsed JSON, text, or bytes; the code and message of a failure. */
  readonly value: unknown;
  readonly logs: string[];
  readonly progress: number[];
}

export async function guest(code: string, options: GuestOptions = {}): Promise<GuestOutcome> {
  const logs: string[] = [];
  const progress: number[] = [];
  let ticks = options.ticks ?? 100_000;
  const control: TaskControl & { stopped: StopReason | undefined } = {
    stopped: undefined,
    tick() {
      if (--ticks < 0) this.stopped = 'cpu';
      return this.stopped !== undefined;
    },
    log: (line) => void logs.push(line),
    progress: (fraction) => void progress.push(fraction),
    pause: () => undefined,
  };
  const input = options.input ?? { kind: 'none' };
  const result = await (await engine()).run(
    {
      key: options.key ?? `key-${keys++}`,
      identity: 'account/job/task',
      engine: 'js',
      code: Buffer.from(code),
      shape: shapeOf(input),
      slots: slotsOf(input),
      parameters: options.parameters,
      limits: { memoryBytes: 32 * 1024 ** 2, cpuMs: 5_000, wallMs: 5_000, outputBytes: 1024 ** 2, ...options.limits },
    },
    control,
  );
  return { result, value: readResult(result), logs, progress };
}

function readResult(result: TaskResult): unknown {
  if (result.type === 'failed') return `${result.code}: ${result.message}`;
  if (result.encoding === 'bytes') return result.bytes;
  const text = Buffer.from(result.bytes).toString();
  return result.encoding === 'json' ? JSON.parse(text) : text;
}

/** The value of `export default (task) => <expression>`. */
export async function evaluate(expression: string, options: GuestOptions = {}): Promise<unknown> {
  return (await guest(`export default async (task) => (${expression});`, options)).value;
}
