import type { ForecastResource, HistoryMetric, MetricSample } from '../../../contract/index.ts';
import { forecastResource } from '../../../contract/index.ts';

/** The series of a node, in this order wherever there is one value of each. */
export const resources = forecastResource.options;

/** Series for which models are learned. */
export const learnedKinds = ['cpu', 'memory'] as const satisfies readonly ForecastResource[];
export type LearnedKind = (typeof learnedKinds)[number];

/** One value of each series; NaN where nothing was measured. CPU and memory are shares, 0 to 1, the network is bytes per second. */
export type Row = readonly number[];
export const nothing: Row = resources.map(() => Number.NaN);

/** The values that a row is made of, as samples and histories name them. */
export const measured = [
  'cpuBackgroundShare',
  'memoryAvailableBytes',
  'memoryMeshBytes',
  'networkReceivedBytesPerSecond',
  'networkSentBytesPerSecond',
] as const satisfies readonly (HistoryMetric & keyof MetricSample)[];
export type Measured = { readonly [name in (typeof measured)[number]]: number };

export function rowOf(values: Measured, memoryBytes: number): Row {
  const { memoryAvailableBytes, memoryMeshBytes } = values;
  // The mesh's own tasks are not what the device needs for itself.
  const own = (memoryBytes - memoryAvailableBytes - memoryMeshBytes) / memoryBytes;
  const byResource: Record<ForecastResource, number> = {
    cpu: values.cpuBackgroundShare,
    memory: Math.min(1, Math.max(0, own)),
    'network-in': values.networkReceivedBytesPerSecond,
    'network-out': values.networkSentBytesPerSecond,
  };
  return resources.map((resource) => byResource[resource]);
}

/**
 * Rows gathered into steps of equal length. Step n is the time (n - 1, n] times `stepMs` after `phaseMs`, since a sample is about
 * the time before it.
 */
export class Steps {
  readonly #stepMs: number;
  readonly #phaseMs: number;
  readonly #steps = new Map<number, Sums>();

  constructor(stepMs: number, phaseMs: number) {
    this.#stepMs = stepMs;
    this.#phaseMs = phaseMs;
  }

  stepOf(atMs: number): number {
    return Math.ceil((atMs - this.#phaseMs) / this.#stepMs);
  }
  endMs(step: number): number {
    return this.#phaseMs + step * this.#stepMs;
  }

  get size(): number {
    return this.#steps.size;
  }
  get first(): number | undefined {
    return this.#steps.size === 0 ? undefined : Math.min(...this.#steps.keys());
  }

  /** One sample: it counts in the step in which it ended. */
  addSample(atMs: number, row: Row): void {
    this.#sumsOf(this.stepOf(atMs)).add(row, this.#stepMs);
  }

  /** The mean over the time from `atMs - spanMs` to `atMs`: it counts in every step that it touches, by how much of it. */
  addMean(atMs: number, spanMs: number, row: Row): void {
    const last = this.stepOf(atMs);
    for (let step = this.stepOf(atMs - spanMs); step <= last; step += 1) {
      const endMs = this.endMs(step);
      const overlapMs = Math.min(atMs, endMs) - Math.max(atMs - spanMs, endMs - this.#stepMs);
      if (overlapMs > 0) this.#sumsOf(step).add(row, overlapMs);
    }
  }

  #sumsOf(step: number): Sums {
    const known = this.#steps.get(step);
    if (known !== undefined) return known;
    const sums = new Sums();
    this.#steps.set(step, sums);
    return sums;
  }

  /** The mean of a step, of which at least half was measured; undefined where nothing was. */
  mean(step: number): Row | undefined {
    return this.#steps.get(step)?.mean(this.#stepMs / 2);
  }

  /** Forgets all steps up to this one. */
  forget(step: number): void {
    for (const each of this.#steps.keys()) if (each <= step) this.#steps.delete(each);
  }
}

class Sums {
  readonly #sums = new Float64Array(resources.length);
  readonly #weightsMs = new Float64Array(resources.length);

  add(row: Row, weightMs: number): void {
    for (const [index, value] of row.entries()) {
      if (!Number.isFinite(value)) continue;
      this.#sums[index]! += value * weightMs;
      this.#weightsMs[index]! += weightMs;
    }
  }

  mean(leastMs: number): Row {
    return resources.map((_, index) => {
      const weightMs = this.#weightsMs[index]!;
      return weightMs >= leastMs && weightMs > 0 ? this.#sums[index]! / weightMs : Number.NaN;
    });
  }
}
