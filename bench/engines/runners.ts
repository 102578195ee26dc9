import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { limits } from '../../node-runtime/contract/index.ts';
import { type EngineOutcome, EnginePools } from '../../node-runtime/engines/index.ts';
import { checksum, codes } from './task.ts';

export interface EngineRun {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** One turn of an engine: everything started anew. */
export interface EngineTurn {
  /** From nothing to the first result, with the start of whatever runs it. */
  readonly coldMs: number;
  /** The runs behind the first, where everything is there. */
  readonly warm: readonly EngineRun[];
}

export interface EngineRunner {
  readonly name: string;
  turn(warmRuns: number): Promise<EngineTurn>;
}

/** As it ships. */
const nodeEntry = {
  path: join(import.meta.dirname, '../../node-runtime/bundle/node-task.mjs'),
  nodeArguments: [],
};
const entry = { path: join(import.meta.dirname, '../../node-runtime/bundle/sandbox.mjs'), nodeArguments: [] };

/** All that are compared. Another engine is one more line. */
export const runners: readonly EngineRunner[] = [sandboxed('js'), sandboxed('wasm'), sandboxed('node'), plainV8()];

/** Engine `node` starts a process for each run: its warm runs are no warmer. */
function sandboxed(engine: 'js' | 'wasm' | 'node'): EngineRunner {
  return {
    name: engine,
    async turn(warmRuns) {
      let next!: (outcome: EngineOutcome) => void;
      const beganMs = performance.now();
      const pool = new EnginePools(
        { slots: 1, queue: 1, nice: 0, entry, node: { entry: nodeEntry } },
        { started: noop, progress: noop, log: noop, ended: (_attempt, outcome) => next(outcome) },
      );
      const run = (attempt: string): Promise<EngineOutcome> =>
        new Promise((resolve) => {
          next = resolve;
          pool.run({
            attempt,
            job: 'bench/engines',
            engine,
            codeHash: engine,
            code: engine === 'node' ? codes.js : codes[engine],
            input: { kind: 'none' },
            limits: {
              memoryBytes: limits.memoryBytesDefault,
              cpuMs: limits.cpuMsDefault,
              wallMs: limits.wallMsDefault,
              outputBytes: limits.outputBytesDefault,
            },
          });
        });
      try {
        check(engine, await run('cold'));
        const coldMs = performance.now() - beganMs;
        const warm: EngineRun[] = [];
        for (let each = 0; each < warmRuns; each += 1) {
          const runBeganMs = performance.now();
          const cpuMs = check(engine, await run(`warm-${each}`));
          warm.push({ wallMs: performance.now() - runBeganMs, cpuMs });
        }
        return { coldMs, warm };
      } finally {
        await pool.close();
      }
    },
  };
}

/** Node itself, without a sandbox: what the hardware gives JavaScript. */
function plainV8(): EngineRunner {
  return {
    name: 'v8',
    async turn(warmRuns) {
      const runs = async (count: number) => {
        const { stdout } = await promisify(execFile)(process.execPath, ['-e', codes.v8, String(count)]);
        const results = JSON.parse(stdout) as (EngineRun & { value: string })[];
        for (const { value } of results) if (value !== checksum) throw new Error(`v8 came to ${value}`);
        return results;
      };
      const beganMs = performance.now();
      await runs(1);
      const coldMs = performance.now() - beganMs;
      return { coldMs, warm: (await runs(warmRuns + 1)).slice(1) };
    },
  };
}

function check(engine: string, outcome: EngineOutcome): number {
  if (outcome.type === 'failed') throw new Error(`${engine}: ${outcome.code}: ${outcome.message}`);
  const value = Buffer.from(outcome.output.bytes).toString();
  if (value !== checksum) throw new Error(`${engine} came to ${value}, not ${checksum}`);
  return outcome.usage.cpuMs;
}

function noop(): void {}
