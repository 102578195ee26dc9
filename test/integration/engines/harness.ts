import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, stop } from 'esbuild';
import { limits, type TaskLimits } from '../../../node-runtime/contract/index.ts';
import {
  type EngineInput,
  type EngineOutcome,
  type SandboxEntry,
  SandboxPool,
  type SandboxPoolOptions,
} from '../../../node-runtime/engines/index.ts';

const source = fileURLToPath(new URL('../../../node-runtime/engines/sandbox-main.ts', import.meta.url));
const require = createRequire(source);
let bundled: Promise<SandboxEntry> | undefined;

/** The sandbox as it is shipped: one file, the WebAssembly beside it, nothing else. */
export function bundleSandbox(): Promise<SandboxEntry> {
  bundled ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), 'foremesh-sandbox-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'sandbox.mjs');
    await build({
      entryPoints: [source],
      outfile: path,
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions: ['mesh-source'],
      logLevel: 'error',
    });
    await stop();
    copyFileSync(require.resolve('@jitl/quickjs-wasmfile-release-sync/wasm'), join(folder, 'quickjs.wasm'));
    return { path, nodeArguments: [] };
  })();
  return bundled;
}

export interface Asked {
  readonly attempt?: string;
  readonly job?: string;
  readonly input?: EngineInput;
  readonly parameters?: unknown;
  readonly limits?: Partial<TaskLimits>;
}

/** A pool that remembers what it was told, and promises in place of a listener. */
export class Bench {
  readonly pool: SandboxPool;
  readonly events: string[] = [];
  readonly outcomes = new Map<string, EngineOutcome[]>();
  private readonly waiting = new Set<() => void>();
  private attempts = 0;

  constructor(options: SandboxPoolOptions) {
    const note = (event: string) => {
      this.events.push(event);
      for (const wake of this.waiting) wake();
    };
    this.pool = new SandboxPool(options, {
      started: (attempt) => note(`${attempt} started`),
      progress: (attempt, fraction) => note(`${attempt} progress ${fraction}`),
      log: (attempt, lines) => lines.forEach((line) => void note(`${attempt} log ${line}`)),
      ended: (attempt, outcome) => {
        this.outcomes.set(attempt, [...(this.outcomes.get(attempt) ?? []), outcome]);
        note(`${attempt} ended`);
      },
    });
  }

  static async open(options: Partial<SandboxPoolOptions> = {}): Promise<Bench> {
    return new Bench({ slots: 1, entry: await bundleSandbox(), ...options });
  }

  /** Resolves when the condition holds after some event, or (for what no event tells) when a short look shows it. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, 20);
        this.waiting.add(done);
      });
    }
  }

  has(event: string): boolean {
    return this.events.includes(event);
  }

  start(code: string, asked: Asked = {}): string {
    const attempt = asked.attempt ?? `attempt-${this.attempts++}`;
    this.pool.run({
      attempt,
      job: asked.job ?? 'account/job',
      engine: 'js',
      codeHash: code,
      code: Buffer.from(code),
      input: asked.input ?? { kind: 'none' },
      ...('parameters' in asked ? { parameters: asked.parameters } : {}),
      limits: {
        memoryBytes: 32 * 1024 ** 2,
        cpuMs: 30_000,
        wallMs: 60_000,
        outputBytes: limits.outputBytesDefault,
        ...asked.limits,
      },
    });
    return attempt;
  }

  async outcome(attempt: string): Promise<EngineOutcome> {
    await this.until(() => this.outcomes.has(attempt));
    return this.outcomes.get(attempt)![0]!;
  }

  run(code: string, asked: Asked = {}): Promise<EngineOutcome> {
    return this.outcome(this.start(code, asked));
  }

  /** Its value, or code and fault of its failure. */
  async value(code: string, asked: Asked = {}): Promise<unknown> {
    return plain(await this.run(code, asked));
  }
}

export function plain(outcome: EngineOutcome): unknown {
  if (outcome.type === 'failed') return `${outcome.code} (${outcome.fault}): ${outcome.message}`;
  const { encoding, bytes } = outcome.output;
  if (encoding === 'bytes') return bytes;
  const text = Buffer.from(bytes).toString();
  return encoding === 'json' ? JSON.parse(text) : text;
}

export function isAlive(pid: number): boolean {
  try {
    // A process that has ended but was not waited for is not alive.
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
