import { asMeshError, type InboxMessage, type OutboxMessage } from '../contract/index.ts';
import { History } from './history/history.ts';
import type { Home } from './home.ts';
import type { Machine } from './machine.ts';
import { MetricsPublisher, type MetricsPublisherOptions } from './metrics-publisher.ts';
import { type MeshLoad, Sampler } from './sampler.ts';
import { VitalsReader } from './vitals.ts';

export interface MetricsOptions extends Omit<MetricsPublisherOptions, 'sampler' | 'onSample'> {
  readonly home: Home;
  readonly machine: Machine;
  readonly meshLoad: () => MeshLoad;
}

/** What a node measures: published for the leader, and kept for whoever asks. */
export class Metrics {
  readonly #publisher: MetricsPublisher;
  readonly #history: History | undefined;
  readonly #log: MetricsOptions['log'];

  private constructor(options: MetricsOptions, sampler: Sampler, history: History | undefined) {
    this.#log = options.log;
    this.#history = history;
    this.#publisher = new MetricsPublisher({
      ...options,
      sampler,
      onSample: (sample) => history?.add(sample, Date.now()),
    });
  }

  /** A disk that keeps no history is no reason not to work. */
  static async start(options: MetricsOptions): Promise<Metrics> {
    const { home, machine, meshLoad, log, sampleIntervalMs = 5_000 } = options;
    const vitals = new VitalsReader({ directory: home.directory });
    const sampler = new Sampler(machine, meshLoad, () => vitals.read());
    const history = await History.open({
      directory: home.historyDirectory,
      sampleIntervalMs,
      onProblem: (text) => log.warn(text),
    }).catch((error: unknown) => {
      log.warn(`no history is kept: ${(error as Error).message}`);
      return undefined;
    });
    return new Metrics(options, sampler, history);
  }

  /** Answers what a leader wants to know of the past; all else is not for us. */
  async hear(message: InboxMessage, answer: (message: OutboxMessage) => void): Promise<void> {
    if (message.type !== 'history-request') return;
    const { request } = message;
    const fail = (text: string) =>
      answer({ type: 'request-failed', request, problem: { code: 'MESH_STORAGE_FAILED', message: text } });
    try {
      if (this.#history === undefined) throw new Error('this node keeps no history: its disk did not let it');
      const page = await this.#history.page(message, () => ({ atMs: performance.now(), wallMs: Date.now() }));
      if (page !== undefined) answer({ type: 'history', request, page });
    } catch (error) {
      this.#log.warn(`history: ${(error as Error).message}`);
      fail(asMeshError(error, 'MESH_STORAGE_FAILED').message.slice(0, 1_000));
    }
  }

  async close(): Promise<void> {
    this.#publisher.close();
    await this.#history?.close();
  }
}
