import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import type { NodeOptions } from '@foremesh/node-runtime/shell';
import { makeCgroup, type RealCgroup } from '../../test/support/cgroups.ts';
import { until } from '../../test/support/until.ts';
import { freePort } from '../spine/mesh.ts';
import { LineProcess } from '../spine/processes.ts';

export type Policy = NonNullable<NodeOptions['policy']>;

/** Cores of each device. The second has work of its own. */
const devices = { ada: 0.25, bob: 0.4, cyd: 0.25, dan: 0.25 } as const;
const names = Object.keys(devices);
/** It runs beside the broker, as `foremesh up` has it, and takes no tasks: that it starts anew disturbs no device. */
const leader = 'hub';
export const busyDevice = 'bob';
/** So often it is measured that a step of a forecast, twelve samples, is two seconds. */
const sampleIntervalMs = 2_000 / 12;
/** Of the quotas: several times in a sample. */
const quotaPeriodMs = 25;
const launcher = join(import.meta.dirname, '../../node-runtime/bin/foremesh.mjs');
const startWithinMs = 60_000;

/** The device's own work: when it began, and what CPU time it got each time that it was busy. */
export class OwnWork {
  readonly busyMs: number;
  readonly periodMs: number;
  readonly startMs: number;
  readonly process: LineProcess;
  /** By the time at which it became busy. */
  readonly cpuMs = new Map<number, number>();
  #failure: unknown;

  private constructor(process: LineProcess, busyMs: number, idleMs: number, startMs: number) {
    this.process = process;
    this.busyMs = busyMs;
    this.periodMs = busyMs + idleMs;
    this.startMs = startMs;
    void this.#listen();
  }

  static async start(scope: RealCgroup, busyMs: number, idleMs: number): Promise<OwnWork> {
    const words = sourceWords('busy-process.ts', String(busyMs), String(idleMs));
    const process = new LineProcess('own work', globalThis.process.execPath, words);
    const { startMs } = await process.next();
    scope.add(process.pid);
    return new OwnWork(process, busyMs, idleMs, Number(startMs));
  }

  async #listen(): Promise<void> {
    try {
      for (;;) {
        const { fromMs, cpuMs } = await this.process.next();
        this.cpuMs.set(Number(fromMs), Number(cpuMs));
      }
    } catch (error) {
      this.#failure = error;
    }
  }

  /** When it last became idle, or will next, at or after that. */
  idleFrom(atMs: number): number {
    return this.startMs + Math.ceil((atMs - this.startMs) / this.periodMs) * this.periodMs;
  }

  isBusy(atMs: number): boolean {
    return (atMs - this.startMs) % this.periodMs >= this.periodMs - this.busyMs;
  }

  /** What it got of each busy time that began in between, milliseconds; waits until the last one is over. */
  async between(fromMs: number, untilMs: number): Promise<number[]> {
    const firstMs = this.idleFrom(fromMs - this.periodMs) + this.periodMs - this.busyMs;
    const got: number[] = [];
    for (let atMs = firstMs; atMs < untilMs; atMs += this.periodMs) {
      if (atMs < fromMs) continue;
      const busyMs = await until(
        'the busy time is over',
        () => {
          if (this.#failure !== undefined) throw this.#failure;
          return this.cpuMs.get(atMs);
        },
        2 * this.periodMs,
      );
      got.push(busyMs);
    }
    return got;
  }
}

/** A broker and four nodes as real processes, each node in a scope of its own; the second has work of its own. */
export class ScopedMesh {
  client!: MeshClient;
  readonly #scopes = new Map<string, RealCgroup>();
  readonly #nodes = new Map<string, LineProcess>();
  /** What is to be undone, the last first. */
  readonly #ends: (() => Promise<void>)[] = [];
  #home!: (name: string) => string;
  #connection = '';

  /** Throws where no control groups can be made. */
  static async start(): Promise<ScopedMesh> {
    const mesh = new ScopedMesh();
    try {
      await mesh.#start();
      return mesh;
    } catch (error) {
      await mesh.end();
      throw error;
    }
  }

  async #start(): Promise<void> {
    for (const [name, cores] of [...Object.entries(devices), [leader, undefined]] as const) {
      const quota = cores === undefined ? {} : { cores, periodMs: quotaPeriodMs };
      const scope = makeCgroup(`foremesh-bench-${process.pid}-${name}`, quota);
      if (scope === undefined) throw new Error('no control groups of version 1 can be made here: run it as root');
      this.#scopes.set(name, scope);
      this.#ends.push(() => scope.remove());
    }
    // Broker, leader and this client have their time whatever else the machine does, as the devices have.
    this.scope(leader).add(process.pid);
    this.#ends.push(async () => this.scope(leader).release(process.pid));
    const directory = await mkdtemp(join(tmpdir(), 'foremesh-foresight-live-'));
    this.#ends.push(() => rm(directory, { recursive: true, force: true }));
    this.#home = (name) => join(directory, name);
    const place = ['--home', this.#home(leader), '--port', String(await freePort())];
    const run = (...words: string[]) => new LineProcess(words[0]!, process.execPath, [launcher, ...words, '--json']);
    const founding = run('init', ...place, '--name', leader);
    this.#connection = String((await founding.next()).connection);
    const broker = run('broker', ...place, '--no-websocket', '--log-level', 'warn');
    this.#ends.push(() => broker.end());
    await readyOf(broker);
    this.#ends.push(async () => void (await Promise.all([...this.#nodes.values()].map((node) => node.end()))));
    await this.#startNode(leader, 'predictive');
    await Promise.all(names.map((name) => this.#startNode(name, 'predictive')));
    this.client = await connectMesh(this.#connection, { clientName: 'bench' });
    this.#ends.push(() => this.client.close());
  }

  scope(name: string): RealCgroup {
    return this.#scopes.get(name)!;
  }

  async #startNode(name: string, policy: Policy): Promise<void> {
    const scope = name === leader ? [] : [`cgroup:${this.scope(name).name}`];
    const words = [this.#home(name), this.#connection, name, String(sampleIntervalMs), policy, ...scope];
    const node = new LineProcess(name, process.execPath, sourceWords('node-process.ts', ...words));
    this.#nodes.set(name, node);
    await readyOf(node);
  }

  /** The leader starts again, by another policy: it learns from its nodes what they remember. Resolves when it foresees what they do. */
  async leadBy(policy: Policy): Promise<void> {
    await this.#nodes.get(leader)!.end();
    await this.#startNode(leader, policy);
    await until(
      'the leader foresees what all nodes do',
      async () => {
        const { rows } = await this.client.nodes();
        const foreseen = rows.filter(({ status, unforeseen }) => status.online && unforeseen === undefined);
        return names.every((name) => foreseen.some(({ status }) => status.node === name));
      },
      startWithinMs,
    );
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}

function sourceWords(file: string, ...words: string[]): string[] {
  return ['--conditions=mesh-source', '--import=tsx', join(import.meta.dirname, file), ...words];
}

async function readyOf(started: LineProcess): Promise<void> {
  while ((await started.next()).ready !== true);
}
