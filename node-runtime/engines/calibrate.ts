import { limits, MeshError } from '../contract/index.ts';
import type { EngineOutcome, EngineRequest } from './engine.ts';
import type { SandboxEntry } from './sandbox-launch.ts';
import { SandboxPool } from './sandbox-pool.ts';
import { calibrationModule } from './wasm/calibration-module.ts';

export interface CalibrationOptions {
  readonly entry?: SandboxEntry;
}

/**
 * CPU time of each engine's benchmark on one core of a Raspberry Pi 4 (Cortex-A72, 1.5 GHz): speed 1. Estimates, not measured on one:
 * they take 90 ms and 40 ms on a server core (EPYC), which is taken to be 4.8 times as fast. Only the ratio between nodes matters
 * for plans.
 */
export const referenceCpuMs = { js: 430, wasm: 190 } as const;
export type CalibratedEngine = keyof typeof referenceCpuMs;

const rounds = 4;
/** A little of everything a task does: calls, arithmetic, objects, strings, sorting. Its result is checked. */
const benchmark = `export default () => {
  let checksum = 0;
  const step = (x) => (Math.imul(x, 1664525) + 1013904223) >>> 0;
  let x = 1;
  for (let i = 0; i < 250000; i++) {
    x = step(x);
    checksum = (checksum + (x >>> 16)) >>> 0;
  }
  const rows = [];
  for (let i = 0; i < 8000; i++) {
    x = step(x);
    rows.push({ id: x % 10007, name: 'n' + (x % 97) });
  }
  rows.sort((a, b) => a.id - b.id);
  const groups = new Map();
  for (const { id, name } of rows) groups.set(name, (groups.get(name) ?? 0) + id);
  for (const [name, sum] of groups) checksum = (checksum + name.length * sum) >>> 0;
  const text = JSON.stringify(rows);
  return (checksum + JSON.parse(text).length + text.length) >>> 0;
};
`;

const codes: Readonly<Record<CalibratedEngine, () => Uint8Array>> = {
  js: () => Buffer.from(benchmark),
  wasm: calibrationModule,
};

/**
 * The speed of this machine's core for each engine, relative to a Raspberry Pi 4. The best of a few rounds: the first ones
 * pay for compiling, and others use the machine too.
 */
export async function calibrate(options: CalibrationOptions = {}): Promise<Record<CalibratedEngine, number>> {
  let next: ((outcome: EngineOutcome) => void) | undefined;
  const pool = new SandboxPool(
    { slots: 1, nice: 0, ...options },
    {
      started: () => undefined,
      progress: () => undefined,
      log: () => undefined,
      ended: (_attempt, outcome) => next?.(outcome),
    },
  );
  try {
    const speedOf = async (engine: CalibratedEngine): Promise<number> => {
      const code = codes[engine]();
      let bestCpuMs = Number.POSITIVE_INFINITY;
      for (let round = 0; round < rounds; round++) {
        const outcome = await new Promise<EngineOutcome>((resolve) => {
          next = resolve;
          pool.run(requestOf(engine, code, round));
        });
        if (outcome.type === 'failed') throw new MeshError(outcome.code, outcome.message);
        bestCpuMs = Math.min(bestCpuMs, outcome.usage.cpuMs);
      }
      return referenceCpuMs[engine] / Math.max(1, bestCpuMs);
    };
    return { js: await speedOf('js'), wasm: await speedOf('wasm') };
  } finally {
    await pool.close();
  }
}

function requestOf(engine: CalibratedEngine, code: Uint8Array, round: number): EngineRequest {
  return {
    attempt: `${engine}-${round}`,
    job: 'foremesh/calibration',
    engine,
    codeHash: `calibration-${engine}`,
    code,
    input: { kind: 'none' },
    limits: {
      memoryBytes: limits.memoryBytesDefault,
      cpuMs: limits.cpuMsDefault,
      wallMs: limits.wallMsDefault,
      outputBytes: limits.outputBytesDefault,
    },
  };
}
