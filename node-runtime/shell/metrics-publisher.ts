import type { Logger } from 'pino';
import { encode, limits, type NodeMetrics, type OfferChange, type Topics } from '../contract/index.ts';
import type { Sample, Sampler } from './sampler.ts';
import type { Publisher } from './shortcut.ts';

export interface MetricsPublisherOptions {
  readonly node: string;
  readonly bootId: string;
  readonly topics: Topics;
  readonly transport: () => Publisher | undefined;
  readonly sampler: Sampler;
  /** What the node will offer, as far as its owner's limits say. */
  readonly ahead: () => OfferChange[];
  /** Every sample, be it published or not. */
  readonly onSample?: (sample: Sample) => void;
  readonly log: Logger;
  readonly sampleIntervalMs?: number;
}

/** Samples the machine at an interval and publishes what has gathered; what is taken while away goes with the next batch. */
export class MetricsPublisher {
  readonly #options: MetricsPublisherOptions;
  readonly #timer: NodeJS.Timeout;
  #samples: Sample[] = [];
  #seq = 0;
  #sampling = false;

  constructor(options: MetricsPublisherOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#tick(), options.sampleIntervalMs ?? 5_000);
    void this.#tick();
  }

  async #tick(): Promise<void> {
    if (this.#sampling) return;
    this.#sampling = true;
    const { log, sampler, onSample } = this.#options;
    try {
      const sample = await sampler.sample();
      if (sample !== undefined) {
        this.#samples.push(sample);
        onSample?.(sample);
      }
      if (this.#samples.length > limits.samplesPerBatch) this.#samples.shift();
      await this.#publish();
    } catch (error) {
      log.warn(`metrics: ${(error as Error).message}`);
    } finally {
      this.#sampling = false;
    }
  }

  async #publish(): Promise<void> {
    const { transport, topics, node, bootId, ahead } = this.#options;
    const connection = transport();
    if (connection === undefined) return;
    const nowMs = performance.now();
    const samples = this.#samples.map(({ atMs, ...sample }) => ({ ...sample, ageMs: Math.round(nowMs - atMs) }));
    this.#seq += 1;
    const changes = ahead();
    const more = changes.length === 0 ? {} : { ahead: changes };
    const metrics: NodeMetrics = { v: 1, node, bootId, seq: this.#seq, samples, ...more };
    await connection.publish(topics.nodeMetrics(node), encode(metrics, 'cbor'), { qos: 0 });
    this.#samples = [];
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
