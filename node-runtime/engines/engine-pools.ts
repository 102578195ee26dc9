import type { Allocation } from '../contract/index.ts';
import type { EngineListener, EngineRequest } from './engine.ts';
import type { Containment } from './node/node-launch.ts';
import { NodePool, type NodePoolOptions } from './node/node-pool.ts';
import { type PoolDescription, type PoolLoad, SandboxPool, type SandboxPoolOptions } from './sandbox-pool.ts';

export interface EnginePoolsOptions extends SandboxPoolOptions {
  readonly queue: number;
  readonly node?: Pick<NodePoolOptions, 'unsandboxed' | 'entry' | 'containment'>;
}

/** All engines of a node behind one door: they share its slots and what it gives of its CPU. */
export class EnginePools {
  readonly #sandbox: SandboxPool;
  readonly #node: NodePool;
  #slots: number;
  #queue: number;
  #cores = Number.POSITIVE_INFINITY;

  constructor({ node, ...options }: EnginePoolsOptions, listener: EngineListener) {
    this.#slots = options.slots;
    this.#queue = options.queue;
    const shared: EngineListener = {
      started: (attempt) => {
        this.#share();
        listener.started(attempt);
      },
      progress: (attempt, fraction) => listener.progress(attempt, fraction),
      log: (attempt, lines) => listener.log(attempt, lines),
      ended: (attempt, outcome) => {
        listener.ended(attempt, outcome);
        this.#share();
        this.#node.pump();
      },
    };
    this.#sandbox = new SandboxPool(options, shared);
    const freeSlots = () => this.#slots - this.#node.running - this.#sandbox.load().running;
    this.#node = new NodePool({ ...node, queue: options.queue, freeSlots, onBegun: () => this.#share() }, shared);
  }

  run(request: EngineRequest): void {
    if (request.engine === 'node') this.#node.run(request);
    else this.#sandbox.run(request);
  }

  cancel(attempt: string, reason: string): void {
    this.#sandbox.cancel(attempt, reason);
    this.#node.cancel(attempt, reason);
  }

  /** Tasks at once, and waiting behind them, from now on. What runs beyond that goes on. */
  resize(slots: number, queue: number): void {
    this.#slots = slots;
    this.#queue = queue;
    this.#share();
    this.#node.pump();
  }

  /** What all tasks may use of the CPU together from now on, in cores. */
  limitCpu(cores: number): void {
    this.#cores = cores;
    this.#share();
  }

  /** Gives a run that has begun what is named, instead of what it had. */
  reallocate(attempt: string, allocation: Allocation): void {
    this.#sandbox.reallocate(attempt, allocation);
    this.#node.reallocate(attempt, allocation);
    this.#share();
  }

  /** What one engine has taken the others do without: slots, and an equal part of the CPU for each task. */
  #share(): void {
    const running = this.#node.running;
    this.#sandbox.resize(Math.max(0, this.#slots - running), this.#queue + running);
    const inSandbox = this.#sandbox.load().running;
    const part = running === 0 ? 0 : running / (running + inSandbox);
    this.#node.limitCpu(this.#cores * (running === 0 ? 1 : part));
    this.#sandbox.limitCpu(this.#cores * (1 - part));
  }

  load(): PoolLoad {
    const [sandbox, node] = [this.#sandbox.load(), this.#node.load()];
    return {
      processIds: [...sandbox.processIds, ...node.processIds],
      endedCpuMs: sandbox.endedCpuMs + node.endedCpuMs,
      running: sandbox.running + node.running,
      waiting: sandbox.waiting + node.waiting,
    };
  }

  describe(): PoolDescription {
    return this.#sandbox.describe();
  }

  /** How tasks of engine `node` would be kept apart from the machine. */
  containment(): Promise<Containment> {
    return this.#node.describe();
  }

  async close(): Promise<void> {
    await Promise.all([this.#sandbox.close(), this.#node.close()]);
  }
}
