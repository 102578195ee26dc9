import {
  decodeWeights,
  type GlobalModelRecord,
  originsIn,
  type RetrainPolicy,
  retrainPolicy,
  type SeriesWindow,
  shouldRetrain,
  WeightsError,
} from '@foremesh/models';
import type { Logger } from 'pino';
import { type DataReference, MeshError, type MeshEvent } from '../../contract/index.ts';
import {
  ageOf,
  historiesOf,
  type LearnedKind,
  learnedKinds,
  type PlannerState,
  type VoterEvent,
} from '../../core/index.ts';
import type { BlobClient } from '../../data/index.ts';
import type { GlobalModelName } from './global-models.ts';
import { holdModel } from './shelf.ts';
import { createTrainer, type Trainer } from './trainer.ts';

/** How a leader trains; for tests other than it is by itself. */
export interface LearningOptions extends Partial<RetrainPolicy> {
  /** How often it looks for what is to be done. */
  readonly lookEveryMs?: number;
  /** By default the LSTM, and the ridge map where its packages are not installed. */
  readonly model?: GlobalModelName;
  /** Values that a model reads. */
  readonly lags?: number;
  /** Most steps of the LSTM's training. */
  readonly updates?: number;
}

export interface ModelKeeperOptions {
  readonly voter: () => { readonly planner: PlannerState; feed(event: VoterEvent): void };
  readonly blobs: Pick<BlobClient, 'get' | 'put'>;
  readonly tell: (event: Pick<MeshEvent, 'kind' | 'severity' | 'text'>) => void;
  readonly log: Logger;
  readonly learning?: LearningOptions;
  readonly trainer?: Trainer;
}

/** What this leader knows of the model of one kind. */
interface Known {
  /** The blob whose model is in use, or could not be used, and how to give the model back. */
  blob?: string;
  release?: () => void;
  /** Nobody can use that blob any more. */
  isLost?: boolean;
  triedMs?: number;
  /** Its loss over its challenger's when it had first been compared often enough. */
  firstRatio?: number;
}

/** All windows of all histories are counted in a look, 17 ms of CPU time a kind with 1,000 nodes: not more often than they grow. */
const lookEveryMs = 60_000;
/** The same until its ledger is as new as any: the models that the log names are waited for. */
const lookFirstMs = 250;
const lags = 48;
const lostCodes: readonly string[] = ['MESH_BLOB_MISSING', 'MESH_BLOB_CORRUPT'];

/**
 * The learned models of a leader, one for all series of a kind: it loads what the log names, trains anew in a thread when there is reason to
 * (`shouldRetrain`), puts the weights in a holder and has the log name them. All of it ends with its leadership, and the next leader goes on.
 */
export class ModelKeeper {
  readonly #options: ModelKeeperOptions;
  readonly #policy: RetrainPolicy;
  readonly #trainer: Trainer;
  readonly #known = new Map<LearnedKind, Known>();
  #leadership: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Undefined until it was found out whether TensorFlow.js is here. */
  #hasLstm: boolean | undefined;

  constructor(options: ModelKeeperOptions) {
    this.#options = options;
    this.#policy = { ...retrainPolicy, ...options.learning };
    this.#trainer = options.trainer ?? createTrainer();
  }

  leads(leads: boolean): void {
    this.#leadership?.abort(new Error('this node does not lead any more'));
    clearTimeout(this.#timer);
    for (const { release } of this.#known.values()) release?.();
    this.#known.clear();
    this.#leadership = leads ? new AbortController() : undefined;
    if (this.#leadership !== undefined) void this.#go(this.#leadership.signal);
  }

  close(): void {
    this.leads(false);
  }

  /** One look after the other, as long as this leadership lasts. */
  async #go(signal: AbortSignal): Promise<void> {
    const { leading } = this.#options.voter().planner;
    for (const kind of leading ? learnedKinds : []) {
      try {
        await this.#look(kind, signal);
      } catch (error) {
        if (signal.aborted) return;
        const isLater = error instanceof MeshError && error.code === 'MESH_UNREACHABLE';
        if (isLater) this.#options.log.info({ kind }, `learned models wait: ${error.toLine()}`);
        else
          this.#tell(
            'model-failed',
            'warning',
            `${kind}: ${error instanceof MeshError ? error.toLine() : String(error)}`,
          );
      }
    }
    if (signal.aborted) return;
    const { lookEveryMs: everyMs = lookEveryMs } = this.#options.learning ?? {};
    this.#timer = setTimeout(() => void this.#go(signal), leading ? everyMs : lookFirstMs);
    this.#timer.unref();
  }

  async #look(kind: LearnedKind, signal: AbortSignal): Promise<void> {
    const { planner } = this.#options.voter();
    const known = this.#known.get(kind) ?? {};
    this.#known.set(kind, known);
    const kept = planner.ledger.models.get(kind);
    if (kept !== undefined && kept.weights.blob !== known.blob) await this.#load(kind, known, kept.weights, signal);
    this.#compare(kind, known);
    if (known.triedMs !== undefined && performance.now() - known.triedMs < this.#policy.pauseMs) return;
    const histories = signal.aborted ? undefined : historiesOf(planner, kind);
    if (histories === undefined) return;
    const record = this.#recordOf(kind, known, histories);
    const reason = shouldRetrain(record, this.#policy);
    if (reason === undefined) return;
    known.triedMs = performance.now();
    this.#tell('model-training', 'info', `${kind}: a model is trained on ${record.windows} windows (${reason})`);
    await this.#train(kind, histories, signal);
  }

  async #load(kind: LearnedKind, known: Known, reference: DataReference, signal: AbortSignal): Promise<void> {
    const { voter, blobs } = this.#options;
    let weights: Uint8Array;
    let release: () => void;
    try {
      weights = await blobs.get(reference, { signal });
      release = await holdModel(weights);
    } catch (error) {
      known.isLost = error instanceof WeightsError || (error instanceof MeshError && lostCodes.includes(error.code));
      // Said once: it is trained anew, or, where only this machine lacks what it needs, left to other leaders.
      if (known.isLost || (error instanceof MeshError && error.code === 'MESH_NOT_INSTALLED'))
        known.blob = reference.blob;
      throw error;
    }
    if (signal.aborted) {
      release();
      return;
    }
    voter().feed({ type: 'model-read', kind, weights });
    const { release: before } = known;
    Object.assign(known, { blob: reference.blob, release, isLost: false });
    delete known.firstRatio;
    // Whatever waits to be fed may still ask the one before.
    if (before !== undefined) setImmediate(before);
    this.#options.log.info({ kind, blob: reference.blob }, 'a learned model is in use');
  }

  #scoreOf(kind: LearnedKind) {
    return this.#options.voter().planner.foresight.foresight.learnedScore?.(kind);
  }

  /** As soon as it can be said how it does, and not only when it may be trained again: it may have become worse by then. */
  #compare(kind: LearnedKind, known: Known): void {
    if (known.blob === undefined || known.firstRatio !== undefined) return;
    const score = this.#scoreOf(kind);
    if (score === undefined || score.scored < this.#policy.scoredLeast || score.challengerLoss <= 0) return;
    known.firstRatio = score.loss / score.challengerLoss;
    this.#options.log.info({ kind, ...score }, 'a learned model has been compared');
  }

  #recordOf(kind: LearnedKind, known: Known, histories: readonly SeriesWindow[]): GlobalModelRecord {
    const { planner } = this.#options.voter();
    const kept = planner.ledger.models.get(kind);
    const { scored = 0, loss = 0, challengerLoss = 0 } = this.#scoreOf(kind) ?? {};
    const length = this.#lags;
    let windows = 0;
    for (const { values } of histories) windows += originsIn(values, length, planner.config.forecastSteps).length;
    return {
      trainedAgoMs: kept === undefined || known.isLost ? undefined : ageOf(planner) - kept.ageMs,
      triedAgoMs: known.triedMs === undefined ? undefined : performance.now() - known.triedMs,
      windows,
      windowsWhenTrained: kept?.trainedOn.windows ?? 0,
      scored,
      loss,
      challengerLoss,
      ratioWhenTrained: known.firstRatio ?? Number.POSITIVE_INFINITY,
    };
  }

  async #train(kind: LearnedKind, histories: readonly SeriesWindow[], signal: AbortSignal): Promise<void> {
    const { voter, blobs } = this.#options;
    const bytes = await this.#weightsOf(histories, signal);
    if (bytes === undefined) {
      this.#options.log.info({ kind }, 'too little to train a model on');
      return;
    }
    const { model, trainedOn } = decodeWeights(bytes);
    const weights = await blobs.put(bytes, { signal });
    if (signal.aborted) return;
    voter().feed({ type: 'model-trained', kind, model, weights, trainedOn });
    const { series, windows } = trainedOn;
    this.#tell('model-trained', 'info', `${kind}: ${model} has learned from ${windows} windows of ${series} nodes`);
  }

  async #weightsOf(histories: readonly SeriesWindow[], signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { updates } = this.#options.learning ?? {};
    const train = (model: GlobalModelName) =>
      this.#trainer.train(histories, {
        model,
        lags: this.#lags,
        ...(updates === undefined ? {} : { updates }),
        steps: this.#options.voter().planner.config.forecastSteps,
        signal,
      });
    const { model = this.#hasLstm === false ? 'ridge' : 'lstm' } = this.#options.learning ?? {};
    if (model === 'ridge') return train(model);
    try {
      const weights = await train(model);
      this.#hasLstm = true;
      // It holds the last part of each history back: what is too short for that is long enough for a map.
      return weights ?? (await train('ridge'));
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'MESH_NOT_INSTALLED') throw error;
      this.#hasLstm = false;
      this.#options.log.info(`ridge is trained instead: ${error.toLine()}`);
      return train('ridge');
    }
  }

  get #lags(): number {
    return this.#options.learning?.lags ?? lags;
  }

  #tell(kind: string, severity: MeshEvent['severity'], text: string): void {
    this.#options.log[severity === 'info' ? 'info' : 'warn']({ kind }, text);
    this.#options.tell({ kind, severity, text: text.slice(0, 1_000) });
  }
}
