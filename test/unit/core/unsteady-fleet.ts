import type { QuantileCurves } from '@foremesh/models';
import type { OutboxMessage, Usage } from '@foremesh/node-runtime/contract';
import { createLedger, type Foresight, type JobPlan, type PlannerEffect } from '@foremesh/node-runtime/core';
import { randomSource } from '../../../partitioner/scheduling/random.ts';
import { blobNamed, json, Leader, mergeCode, stagePlan, usage } from './samples.ts';

/** What a device needs itself, as shares of its one core: how it changes, and what is foreseen of that. */
export interface OwnWork {
  /** The levels that it takes by turns; one, and it stays. */
  readonly levels: readonly number[];
  /** How long each lasts in the mean, milliseconds; how long in fact is drawn from an exponential distribution. */
  readonly meanMs: readonly number[];
  readonly foreseen: { readonly q10: number; readonly q50: number; readonly q90: number };
}

interface Running {
  readonly node: string;
  readonly attempt: string;
  readonly startedMs: number;
  /** Seconds on a whole core that are left of it. */
  left: number;
}

const roundMs = 500;
const metricsEveryMs = 5_000;
const GiB = 1024 ** 3;

const steps = 30;
const stepMs = 60_000;

function curvesOf({ q10, q50, q90 }: OwnWork['foreseen']): QuantileCurves {
  const flat = (value: number) => Array<number>(steps).fill(value);
  return { intervalMs: stepMs, q10: flat(q10), q50: flat(q50), q90: flat(q90) };
}

/** Foresees of the CPU what it is told, and of all else little, whatever was measured. */
function told(own: Readonly<Record<string, OwnWork>>): Foresight {
  return {
    open: ({ key, kind }) => ({
      model: 'told',
      observe: () => undefined,
      forecast: () => {
        const [, work] = Object.entries(own).find(([node]) => key.includes(node))!;
        return curvesOf(kind === 'cpu' ? work.foreseen : { q10: 0.1, q50: 0.1, q90: 0.1 });
      },
    }),
  };
}

/** A leader and devices whose own work comes and goes, from a seed; the leader hears what they measure, and knows quantiles of what comes. */
export class UnsteadyFleet {
  readonly leader: Leader;
  readonly #own: Readonly<Record<string, OwnWork>>;
  readonly #level = new Map<string, number>();
  readonly #changesMs = new Map<string, number>();
  readonly #running = new Map<string, Running>();
  readonly #random: () => number;
  readonly #recordSeconds: number;
  #seq = 0;
  /** Records that were given to each node, attempt by attempt. */
  readonly given: { readonly node: string; readonly task: string; readonly records: number }[] = [];

  constructor(seed: number, own: Readonly<Record<string, OwnWork>>, recordSeconds: number) {
    this.#own = own;
    this.#random = randomSource(seed);
    this.#recordSeconds = recordSeconds;
    const config = { nodeSilenceMs: 1e9, inventoryIntervalMs: 1e9 };
    this.leader = new Leader(config, createLedger(), 1, { createForesight: () => told(own) });
    this.leader.elect();
    for (const [node, { levels }] of Object.entries(own)) {
      this.#level.set(node, Math.floor(this.#random() * levels.length));
      this.#draw(node);
      this.leader.join(node, { cores: 1, slots: 1, queue: 0 });
    }
    this.#tell();
  }

  /** Runs one stage of so many records; seconds until the job has ended. */
  run(records: number, wishes: Pick<JobPlan, 'deadline' | 'weights'>, chunks?: number): number {
    const { leader } = this;
    const startMs = leader.nowMs;
    const source = blobNamed('a', records * 10);
    const stage = stagePlan('s', {
      input: source,
      split: { by: 'lines', ...(chunks === undefined ? {} : { chunks }) },
      merge: mergeCode,
      estimateSeconds: records * this.#recordSeconds,
    });
    this.#hear(leader.submit('j', { stages: [stage], ...wishes }));
    this.#hear(leader.indexed('j', 's', records, source));
    while (leader.planner.ledger.jobs.get('me/j')!.phase === 'running') this.#round();
    return (leader.nowMs - startMs) / 1_000;
  }

  #round(): void {
    const { leader } = this;
    if (leader.nowMs % metricsEveryMs === 0) this.#tell();
    const ended: Running[] = [];
    for (const each of this.#running.values()) {
      each.left -= (roundMs / 1_000) * this.#share(each.node);
      if (each.left <= 0) ended.push(each);
    }
    for (const node of Object.keys(this.#own)) {
      if (leader.nowMs < this.#changesMs.get(node)!) continue;
      this.#level.set(node, (this.#level.get(node)! + 1) % this.#own[node]!.levels.length);
      this.#draw(node);
    }
    leader.nowMs += roundMs;
    for (const { node, attempt, startedMs } of ended) {
      if (!this.#running.delete(attempt)) continue;
      const wallMs = leader.nowMs - startedMs;
      const took: Usage = { ...usage, wallMs, cpuMs: wallMs };
      this.#say(node, { type: 'done', attempt, usage: took, output: json(1) });
    }
    this.#hear(leader.step({ type: 'tick' }));
  }

  #share(node: string): number {
    return Math.max(0.05, 1 - this.#own[node]!.levels[this.#level.get(node)!]!);
  }

  #draw(node: string): void {
    const { levels, meanMs } = this.#own[node]!;
    const lastsMs =
      levels.length === 1 ? Number.POSITIVE_INFINITY : -meanMs[this.#level.get(node)!]! * Math.log(1 - this.#random());
    this.#changesMs.set(node, this.leader.nowMs + lastsMs);
  }

  /** What every device measures now, and what is foreseen from now on. */
  #tell(): void {
    this.#seq += 1;
    for (const [node, { foreseen }] of Object.entries(this.#own)) {
      const cpuBackgroundShare = 1 - this.#share(node);
      const free = { memoryAvailableBytes: 0.9 * GiB, memoryMeshBytes: 0 };
      const network = { networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 };
      const samples = [{ ageMs: 0, cpuShare: cpuBackgroundShare, cpuBackgroundShare, ...free, ...network }];
      const metrics = { v: 1 as const, node, bootId: `${node}-1`, seq: this.#seq, samples };
      this.#hear(this.leader.step({ type: 'node-metrics', metrics }));
      const rest = curvesOf({ q10: 0.1, q50: 0.1, q90: 0.1 });
      this.leader.planner.nodes.get(node)!.series.outlook ??= {
        originMs: this.leader.nowMs,
        curves: [curvesOf(foreseen), rest, rest, rest],
      };
    }
  }

  #say(node: string, message: OutboxMessage): void {
    this.#hear(this.leader.report(node, [message]));
  }

  #hear(effects: readonly PlannerEffect[]): void {
    for (const effect of effects) {
      if (effect.type !== 'send') continue;
      const { node, message } = effect;
      if (message.type === 'cancel') this.#running.delete(message.attempt);
      if (message.type !== 'assign') continue;
      const { attempt, input, task } = message;
      const records = input.kind === 'records' ? input.records : 0;
      this.given.push({ node, task, records });
      const left = records * this.#recordSeconds;
      this.#running.set(attempt, { node, attempt, left, startedMs: this.leader.nowMs });
      this.#say(node, { type: 'started', attempt });
    }
  }
}
