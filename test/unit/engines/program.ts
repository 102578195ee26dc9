import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskLimits } from '../../../node-runtime/contract/index.ts';
import { type EngineInput, slotsOf } from '../../../node-runtime/engines/engine.ts';
import { shapeOf } from '../../../node-runtime/engines/protocol.ts';
import type {
  SandboxCommand,
  StopReason,
  TaskControl,
  TaskResult,
} from '../../../node-runtime/engines/sandbox-engine.ts';
import { WasmEngine } from '../../../node-runtime/engines/wasm/wasm-engine.ts';

const folder = join(import.meta.dirname, '../../fixtures/wasm');
const engine = new WasmEngine();
let keys = 0;

/** A program of test/fixtures/wasm, by its name without `.wasm`. */
export function fixture(name: string): Uint8Array {
  return readFileSync(join(folder, `${name}.wasm`));
}

export interface ProgramOptions extends Partial<Omit<SandboxCommand, 'files'>> {
  readonly input?: EngineInput;
  readonly stdin?: string;
  readonly parameters?: unknown;
  readonly files?: Readonly<Record<string, string>>;
  readonly identity?: string;
  readonly limits?: Partial<TaskLimits>;
  /** Stops the task after so many looks. */
  readonly looks?: number;
}

export interface ProgramOutcome {
  readonly result: TaskResult;
  /** The output, or code and message of a failure. */
  readonly value: string;
  readonly logs: string[];
  readonly progress: number[];
}

/** Runs a program in this process. Limits of time are the caller's: see `looks`. */
export async function program(code: Uint8Array, options: ProgramOptions = {}): Promise<ProgramOutcome> {
  const logs: string[] = [];
  const progress: number[] = [];
  let looks = options.looks ?? 20_000;
  const control: TaskControl & { stopped: StopReason | undefined } = {
    stopped: undefined,
    tick() {
      looks -= 1;
      if (looks < 0) this.stopped = 'cpu';
      return this.stopped !== undefined;
    },
    log: (line) => void logs.push(line),
    progress: (fraction) => void progress.push(fraction),
    pause: () => undefined,
  };
  const { arguments: given = [], environment = {}, output = 'text', files = {}, stdin } = options;
  const input =
    options.input ?? (stdin === undefined ? { kind: 'none' } : { kind: 'whole', bytes: Buffer.from(stdin) });
  keys += 1;
  const result = await engine.run(
    {
      key: `key-${keys}`,
      identity: options.identity ?? 'account/job/task',
      engine: 'wasm',
      code,
      shape: shapeOf(input),
      slots: slotsOf(input),
      parameters: options.parameters,
      command: {
        arguments: given,
        environment,
        output,
        files: Object.entries(files).map(([path, text]) => ({ path, bytes: Buffer.from(text) })),
      },
      limits: { memoryBytes: 32 * 1024 ** 2, cpuMs: 5_000, wallMs: 5_000, outputBytes: 1024 ** 2, ...options.limits },
    },
    control,
  );
  const value = result.type === 'done' ? Buffer.from(result.bytes).toString() : `${result.code}: ${result.message}`;
  return { result, value, logs, progress };
}
