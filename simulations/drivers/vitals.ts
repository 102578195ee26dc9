import type {
  HistoryMetric,
  HistoryPage,
  HistoryResolution,
  InboxMessage,
  MetricSample,
  OutboxMessage,
} from '@foremesh/node-runtime/contract';
import type { Lifetime } from '../engine/machine.ts';
import type { World } from '../world.ts';

/** How far samples lie apart; of a history, the means of as many as one step of a forecast has. */
export const sampleIntervalMs = 5_000;
export const forecastStepMs = 2 * sampleIntervalMs;

const historySteps = 24;
const samplesPerPage = 10;
const answerMostMs = 300;

/** What a virtual machine measures of its own work, and keeps. It is made up anew by each sample's time: no disk is needed. */
export class VirtualVitals {
  readonly #world: World;
  readonly #life: Lifetime;
  readonly #memoryBytes: number;

  constructor(world: World, life: Lifetime, memoryBytes: number) {
    this.#world = world;
    this.#life = life;
    this.#memoryBytes = memoryBytes;
  }

  /** Now and then the device needs most of its memory for itself, as long as faults may happen. */
  sample(ageMs: number): MetricSample {
    const { faulty } = this.#world;
    const { machine } = this.#life;
    const chance = machine.chance.fork(`sample ${Math.floor((machine.clock.nowMs - ageMs) / sampleIntervalMs)}`);
    const cpuBackgroundShare = chance.percent(20) ? 1 : chance.next() / 2;
    const own = faulty && chance.percent(20) ? 0.9 : chance.next() / 2;
    return {
      ageMs,
      cpuShare: cpuBackgroundShare,
      cpuBackgroundShare,
      memoryAvailableBytes: Math.floor(this.#memoryBytes * (1 - own)),
      memoryMeshBytes: 0,
      networkReceivedBytesPerSecond: chance.between(0, 1_000_000),
      networkSentBytesPerSecond: chance.between(0, 1_000),
    };
  }

  /** A page of the history after a while; one that cannot be read, or no answer at all, while faults may happen. */
  hear(message: InboxMessage, answer: (message: OutboxMessage) => void): void {
    if (message.type !== 'history-request') return;
    const { faulty } = this.#world;
    const { request, resolution, from = 0, sinceMs = Number.POSITIVE_INFINITY } = message;
    const chance = this.#life.machine.chance.fork(`history ${request} ${from}`);
    if (faulty && chance.percent(20)) return;
    const fails = faulty && chance.percent(10);
    this.#life.after(chance.between(1, answerMostMs), () => {
      const problem = { code: 'MESH_STORAGE_FAILED', message: 'the disk cannot be read' };
      if (fails) answer({ type: 'request-failed', request, problem });
      else answer({ type: 'history', request, page: this.#page(resolution, from, sinceMs) });
    });
  }

  #page(resolution: HistoryResolution, from: number, sinceMs: number): HistoryPage {
    const intervalMs = resolution === '5m' ? 5 * forecastStepMs : forecastStepMs;
    const ages = Array.from({ length: historySteps }, (_, step) => (historySteps - step) * intervalMs);
    const wanted = ages.slice(from, from + samplesPerPage);
    const given = wanted.filter((ageMs) => ageMs <= sinceMs).map((ageMs) => this.sample(ageMs));
    const next = from + wanted.length;
    const metrics = [
      'cpuBackgroundShare',
      'memoryAvailableBytes',
      'memoryMeshBytes',
    ] as const satisfies HistoryMetric[];
    return {
      agesMs: given.map(({ ageMs }) => ageMs),
      runs: given.map(() => 1),
      values: Object.fromEntries(metrics.map((metric) => [metric, given.map((sample) => sample[metric])])),
      intervalMs,
      ...(next < historySteps ? { next } : {}),
      diskBytesMost: 1,
      writtenBytes: 1,
    };
  }
}
