import type { Forecaster, ForecasterFactory, QuantileCurves, SeriesRange } from '@foremesh/models';
import { type ForecastResource, type HistoryPage, limits, type NodeMetrics } from '../../../contract/index.ts';
import type { Foresight, ObservedValue } from './foresight.ts';
import { RowRing } from './row-ring.ts';
import { type LearnedKind, type Measured, measured, nothing, type Row, resources, rowOf, Steps } from './steps.ts';

/** The forecasts of one node as they were made last. */
export interface Outlook {
  /** Where they begin, by the leader's clock that does not jump. */
  readonly originMs: number;
  /** Of the device's own work, in the order of `resources`, in the unit of a row. */
  readonly curves: readonly QuantileCurves[];
  /** Where they were made while its past is learned: by which models, in the same order, from how many steps. */
  readonly meanwhile?: { readonly models: readonly string[]; readonly steps: number };
}

export interface NodeSeriesOptions {
  readonly node: string;
  readonly foresight: Foresight;
  readonly stepMs: number;
  readonly steps: number;
  /** When a step of this node begins: another for each, so that they are not all due at once. */
  readonly phaseMs: number;
  /** When the learned model of a kind was trained, by the leader's clock; undefined without one. */
  readonly trainedMs: (kind: ForecastResource) => number | undefined;
  /** How much of its past a node's forecasts begin with. */
  readonly historySteps: () => number;
  /** How much of what was learned is kept to train models on. */
  readonly trainingSteps: () => number;
  readonly nowMs: number;
}

/** A mean over the time from `atMs - intervalMs` to `atMs`. */
interface DistantMean {
  readonly atMs: number;
  readonly intervalMs: number;
  readonly row: Row;
}

const never = Number.NEGATIVE_INFINITY;
/** Batches of one boot that are remembered, so that one that comes twice counts once. */
const batchesKnown = 64;

/** A mean of a history that spans more steps than that tells nothing of any of them. */
const stepsPerMeanMost = 12;

/** Nothing older is remembered by any node. */
const distantMost = limits.forecastDistantMeans;
const distantMsMost = distantMost * 300_000;

/** So little of the past is not worth asking for. */
const untoldStepsMost = 10;

/** What it takes to learn a step; that one is missing, a tenth or so of it. */
const costOf = (row: Row) => (row === nothing ? 1 / 8 : 1);

/**
 * The past of one node, as its forecasters see it: samples become means of steps, and these are learned in order, each once.
 * What its history holds of the time before is learned first.
 */
export class NodeSeries {
  readonly #options: NodeSeriesOptions;
  #forecasters: readonly Forecaster[] = [];
  /** Whether the node is still to say, or may still say, what was before. */
  #awaitsHistory = true;
  /** What is being heard, and what the node's history says. */
  #live: Steps;
  #past: Steps;
  /** What it says of the time before the steps that are learned: of that only the seasons are. */
  #distant: DistantMean[] = [];
  #newestStep = Number.NEGATIVE_INFINITY;
  /** Up to this step all is learned, or waits in `#backlog`. */
  #takenStep: number | undefined;
  #backlog: Row[] = [];
  #waiting = 0;
  readonly #rows = new RowRing();
  #learned = 0;
  #bootId = '';
  #batches: number[] = [];
  outlook: Outlook | undefined;

  constructor(options: NodeSeriesOptions) {
    this.#options = options;
    this.#live = new Steps(options.stepMs, options.phaseMs);
    this.#past = new Steps(options.stepMs, options.phaseMs);
  }

  /** How many steps its forecasts were made from. */
  get observedSteps(): number {
    return this.#learned;
  }

  /** How many there will be when all that waits is learned. */
  get knownSteps(): number {
    return this.#learned + this.#backlog.length;
  }

  /** While nothing is forecast: since when the node is known, and in which time this minute is over. */
  unforeseen(nowMs: number): { readonly heardMs: number; readonly minuteMs: number } {
    const endMs = this.#live.endMs(this.#live.stepOf(nowMs));
    return { heardMs: Math.round(nowMs - this.#options.nowMs), minuteMs: Math.round(endMs - nowMs) };
  }

  get awaitsHistory(): boolean {
    return this.#awaitsHistory;
  }

  /** How long ago the time began that is not known yet: as much of its history is worth asking for. */
  unknownMs(nowMs: number): number {
    const { historySteps, stepMs } = this.#options;
    const knownMs = this.#takenStep === undefined ? Number.NEGATIVE_INFINITY : this.#live.endMs(this.#takenStep);
    return Math.min(historySteps() * stepMs, nowMs - knownMs);
  }

  /** The same once it has told the means of minutes that it remembers: 0 where hardly anything is older than these. */
  untoldMs(nowMs: number): number {
    const unknownMs = this.unknownMs(nowMs);
    const { first } = this.#past;
    const toldMs = first === undefined ? 0 : nowMs - this.#past.endMs(first);
    return unknownMs - toldMs > untoldStepsMost * this.#options.stepMs ? unknownMs : 0;
  }

  /** Whether its series begin, or begin anew: what lies before the steps that are learned tells their seasons. */
  beginsAt(nowMs: number): boolean {
    return this.#takenStep === undefined || this.#live.stepOf(nowMs) - this.#takenStep > limits.forecastGapSteps;
  }

  hearMetrics({ bootId, seq, samples }: NodeMetrics, memoryBytes: number, nowMs: number): void {
    if (bootId !== this.#bootId) {
      this.#bootId = bootId;
      this.#batches = [];
    }
    if (this.#batches.includes(seq)) return;
    this.#batches.push(seq);
    if (this.#batches.length > batchesKnown) this.#batches.shift();
    for (const sample of samples) {
      const atMs = nowMs - sample.ageMs;
      const step = this.#live.stepOf(atMs);
      this.#newestStep = Math.max(this.#newestStep, step);
      const isOpen = this.#takenStep === undefined || step > this.#takenStep;
      if (isOpen && step > this.#newestStep - limits.forecastOpenSteps)
        this.#live.addSample(atMs, rowOf(sample, memoryBytes));
    }
    if (this.#live.size > limits.forecastOpenSteps) this.#live.forget(this.#newestStep - limits.forecastOpenSteps);
  }

  /**
   * Finer means come before coarser ones: these count, each in the step in its middle, where nothing finer was told. Those of the time before all steps that
   * are learned tell of the seasons.
   */
  hearHistory(page: HistoryPage, memoryBytes: number, nowMs: number): void {
    const { historySteps, stepMs } = this.#options;
    const reachMs = historySteps() * stepMs;
    if (!this.#awaitsHistory || page.intervalMs > stepsPerMeanMost * stepMs) return;
    const isCoarse = page.intervalMs >= 2 * stepMs;
    const isNew = this.beginsAt(nowMs);
    for (const [index, ageMs] of page.agesMs.entries()) {
      const atMs = nowMs - ageMs;
      const middleMs = atMs - page.intervalMs / 2;
      const isDistant = ageMs > reachMs;
      if (isDistant && !(isCoarse && ageMs <= distantMsMost && isNew && this.#distant.length < distantMost)) continue;
      if (isCoarse && this.#past.mean(this.#past.stepOf(middleMs)) !== undefined) continue;
      const value = (name: (typeof measured)[number]) => page.values[name]?.[index] ?? Number.NaN;
      const values = Object.fromEntries(measured.map((name) => [name, value(name)]));
      const row = rowOf(values as Measured, memoryBytes);
      // In every step that it spans it would say that nothing ever moves within minutes.
      if (isDistant) this.#distant.push({ atMs, intervalMs: page.intervalMs, row });
      else if (isCoarse) this.#past.addSample(middleMs, row);
      else this.#past.addMean(atMs, page.intervalMs, row);
    }
  }

  /** Nothing more comes of its history, be it that it said all, or nothing: what was heard is learned. */
  endHistory(): void {
    this.#awaitsHistory = false;
  }

  /** It was away, and has measured meanwhile what nobody heard. */
  awaitHistory(): void {
    this.#awaitsHistory = true;
    this.#distant = [];
  }

  /** Whether it has told all of a long past, which waits to be recalled when steps are taken: that costs as much as many steps. */
  get isToRecall(): boolean {
    return this.#distant.length > 0 && !this.#awaitsHistory;
  }

  /** Takes what is complete: the steps before the one whose samples come now. */
  takeSteps(): void {
    const last = this.#newestStep - 1;
    if (this.#awaitsHistory || last <= (this.#takenStep ?? Number.NEGATIVE_INFINITY)) return;
    // Away for longer, it begins anew with what it tells of the time; else its series go on, and what nobody measured is missing.
    if (this.#takenStep !== undefined && last - this.#takenStep > limits.forecastGapSteps) {
      this.#forgetBacklog();
      this.#takenStep = undefined;
    }
    const told = Math.min(this.#past.first ?? last, this.#live.first ?? last);
    const remembered = last - this.#options.historySteps() + 1;
    const from = this.#takenStep === undefined ? Math.max(told, remembered) : this.#takenStep + 1;
    for (let step = from; step <= last; step += 1) {
      const row = this.#live.mean(step) ?? this.#past.mean(step) ?? nothing;
      // Before the first value there is nothing to be learned.
      if (this.#takenStep === undefined) {
        if (row.every(Number.isNaN)) continue;
        this.#open(step);
      }
      this.#backlog.push(row);
      this.#waiting += costOf(row);
      this.#takenStep = step;
    }
    this.#live.forget(last);
    if (this.#past.size > 0) this.#past = new Steps(this.#options.stepMs, this.#options.phaseMs);
  }

  /** Series that begin with that step. */
  #open(first: number): void {
    const { foresight, node, stepMs: intervalMs } = this.#options;
    this.close();
    this.#learned = 0;
    this.#rows.clear();
    this.outlook = undefined;
    this.#forecasters = resources.map((kind) => {
      return foresight.open({ key: seriesKey(node, kind), kind, intervalMs, range: rangeOf(kind) });
    });
    this.#recall(first);
  }

  #recall(first: number): void {
    const { stepMs } = this.#options;
    const spans = this.#distant.map(({ atMs, intervalMs }) => {
      const end = this.#live.stepOf(atMs - stepMs / 2) + 1;
      return { begin: end - Math.round(intervalMs / stepMs), end: Math.min(end, first) };
    });
    const begin = spans.reduce((least, span) => Math.min(least, span.begin), first);
    for (const [index, forecaster] of this.#forecasters.entries()) {
      const values = new Float32Array(first - begin).fill(Number.NaN);
      for (const [at, span] of spans.entries())
        values.fill(this.#distant[at]!.row[index]!, span.begin - begin, Math.max(span.begin, span.end) - begin);
      forecaster.recall?.(values);
    }
    this.#distant = [];
  }

  #forgetBacklog(): void {
    this.#backlog = [];
    this.#waiting = 0;
  }

  /** What waits to be learned, in steps that are measured: missing ones count as what they cost. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Learns at most so many steps of those that wait; returns how many, counted as in `waiting`. Where the foresight takes many values at once they are put in `batch`, which is
   * to be observed before anything is forecast.
   */
  learn(most: number, batch: ObservedValue[]): number {
    if (this.#backlog.length === 0) return 0;
    const { foresight, node, trainingSteps, trainedMs } = this.#options;
    const kept = trainingSteps();
    const isBatched = foresight.observeAll !== undefined;
    let left = most;
    for (let step = this.#takenStep! - this.#backlog.length + 1; left > 0; step += 1) {
      const row = this.#backlog.shift();
      if (row === undefined) break;
      left -= costOf(row);
      this.#waiting -= costOf(row);
      this.#rows.push(row, kept);
      this.#learned += 1;
      for (const [index, kind] of resources.entries()) {
        const value = row[index]!;
        if (!isBatched) this.#forecasters[index]!.observe(value);
        else batch.push([seriesKey(node, kind), value, this.#live.endMs(step) <= (trainedMs(kind) ?? never)]);
      }
    }
    return most - Math.max(0, left);
  }

  /** It has said what it remembers, and all that is known of it is learned. */
  get isSettled(): boolean {
    return !this.#awaitsHistory && this.#backlog.length === 0;
  }

  /** What was learned of one of its series, oldest first, NaN where nothing was measured; as much as is kept to train models on, perhaps nothing. */
  history(kind: LearnedKind): Float64Array {
    return this.#rows.column(kind);
  }

  /** It has learned all that is complete, and no forecast was made since. */
  get isDue(): boolean {
    if (this.#takenStep === undefined || this.#backlog.length > 0 || this.#learned === 0) return false;
    return this.outlook?.meanwhile !== undefined || this.#isOld;
  }

  /** It takes more than a round to learn what is complete, and no forecast was made since. */
  get isDueMeanwhile(): boolean {
    return this.#backlog.length > limits.forecastStepsPerTick && this.#isOld;
  }

  get #isOld(): boolean {
    return this.outlook?.originMs !== this.#live.endMs(this.#takenStep!);
  }

  forecast(): Outlook {
    const curves = this.#forecasters.map((forecaster) => forecaster.forecast(this.#options.steps));
    this.outlook = { originMs: this.#live.endMs(this.#takenStep!), curves };
    return this.outlook;
  }

  /** By the newest of what waits to be learned. */
  forecastMeanwhile(factory: ForecasterFactory): Outlook {
    const { stepMs: intervalMs, steps } = this.#options;
    const rows = this.#backlog.slice(-limits.forecastMeanwhileSteps);
    const forecasters = resources.map((kind) => factory({ intervalMs, range: rangeOf(kind) }));
    for (const row of rows) for (const [index, forecaster] of forecasters.entries()) forecaster.observe(row[index]!);
    this.outlook = {
      originMs: this.#live.endMs(this.#takenStep!),
      curves: forecasters.map((forecaster) => forecaster.forecast(steps)),
      meanwhile: { models: forecasters.map(({ model }) => model), steps: rows.length },
    };
    return this.outlook;
  }

  close(): void {
    this.#forgetBacklog();
    if (this.#forecasters.length === 0) return;
    for (const kind of resources) this.#options.foresight.close?.(seriesKey(this.#options.node, kind));
    this.#forecasters = [];
  }
}

/** Shares for CPU and memory; the network has no end. */
export function rangeOf(kind: (typeof resources)[number]): SeriesRange {
  return { low: 0, high: kind === 'cpu' || kind === 'memory' ? 1 : Number.POSITIVE_INFINITY };
}

export function seriesKey(node: string, kind: (typeof resources)[number]): string {
  return `${node}/${kind}`;
}
