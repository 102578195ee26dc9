import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, stop } from 'esbuild';
import { limits, type TaskLimits } from '../../../node-runtime/contract/index.ts';
import type { EngineInput, EngineOutcome, SandboxEntry } from '../../../node-runtime/engines/index.ts';
import { NodePool, type NodePoolOptions } from '../../../node-runtime/engines/node/node-pool.ts';
import { until } from '../../support/until.ts';

const source = fileURLToPath(new URL('../../../node-runtime/engines/node/node-main.ts', import.meta.url));
let bundled: Promise<SandboxEntry> | undefined;

/** The entry as it is shipped: one file. */
export function bundleNodeEntry(): Promise<SandboxEntry> {
  bundled ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), 'foremesh-node-task-'));
    chmodSync(folder, 0o755); // a task is another user
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'node-task.mjs');
    const conditions = ['mesh-source'];
    await build({ entryPoints: [source], outfile: path, bundle: true, platform: 'node', format: 'esm', conditions });
    await stop();
    return { path, nodeArguments: [] };
  })();
  return bundled;
}

export interface AskedOfNode {
  readonly input?: EngineInput;
  readonly parameters?: unknown;
  readonly limits?: Partial<TaskLimits>;
  readonly network?: boolean;
}

/** A pool of engine `node` that remembers what it was told. */
export class NodeBench {
  readonly pool: NodePool;
  readonly started = new Set<string>();
  readonly progress: number[] = [];
  readonly lines: string[] = [];
  readonly outcomes = new Map<string, EngineOutcome>();
  #attempts = 0;

  constructor(options: Partial<NodePoolOptions> & { readonly slots?: number }) {
    const { slots = 1, ...rest } = options;
    this.pool = new NodePool(
      { queue: 8, freeSlots: () => slots - this.pool.running, ...rest },
      {
        started: (attempt) => void this.started.add(attempt),
        progress: (_attempt, fraction) => void this.progress.push(fraction),
        log: (_attempt, lines) => void this.lines.push(...lines),
        ended: (attempt, outcome) => void this.outcomes.set(attempt, outcome),
      },
    );
  }

  static async open(options: Partial<NodePoolOptions> & { readonly slots?: number } = {}): Promise<NodeBench> {
    return new NodeBench({ entry: await bundleNodeEntry(), ...options });
  }

  /** `body` is that of the task's function. */
  start(body: string, asked: AskedOfNode = {}, head = ''): string {
    this.#attempts += 1;
    const attempt = `attempt-${this.#attempts}`;
    const { input = { kind: 'none' }, network = false } = asked;
    this.pool.run({
      attempt,
      job: 'account/job',
      engine: 'node',
      codeHash: attempt,
      code: Buffer.from(`${head}\nexport default async function (task) { ${body} }`),
      input,
      network,
      ...('parameters' in asked ? { parameters: asked.parameters } : {}),
      limits: {
        memoryBytes: limits.memoryBytesDefault,
        cpuMs: 30_000,
        wallMs: 30_000,
        outputBytes: 1024 ** 2,
        ...asked.limits,
      },
    });
    return attempt;
  }

  async outcome(attempt: string): Promise<EngineOutcome> {
    return until(`${attempt} has ended`, () => this.outcomes.get(attempt), 40_000);
  }

  /** Its value, or code and fault of its failure with the message. */
  async value(body: string, asked: AskedOfNode = {}, head = ''): Promise<unknown> {
    const outcome = await this.outcome(this.start(body, asked, head));
    if (outcome.type === 'failed') return `${outcome.code} (${outcome.fault}): ${outcome.message}`;
    const { encoding, bytes } = outcome.output;
    if (encoding === 'bytes') return bytes;
    const text = Buffer.from(bytes).toString();
    return encoding === 'json' ? JSON.parse(text) : text;
  }
}
