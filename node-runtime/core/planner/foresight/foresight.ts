import type { Forecaster, ForecasterFactory, LearnedScore, ObservedValue, SeriesOptions } from '@foremesh/models';
import type { ForecastResource } from '../../../contract/index.ts';

/** One series that is to be forecast. */
export interface SeriesName extends SeriesOptions {
  /** Its own among all that are open. */
  readonly key: string;
  readonly kind: ForecastResource;
}

export type { ObservedValue };

/** Why a series is forecast as it is. Losses are mean pinball losses on its recent past, in the unit of the series. */
export interface Reasons {
  /** The model that did best. */
  readonly champion: string;
  /** Values that the losses rest on; without any they say nothing. */
  readonly evidence?: number;
  /** Of the forecast itself, all models together. */
  readonly loss?: number;
  readonly lossOfLast?: number;
  /** The models that have a part in the forecast, the champion among them. */
  readonly members?: readonly { readonly model: string; readonly weight: number; readonly loss: number }[];
}

/** What a leader forecasts the series of its nodes with: made anew with each leadership. */
export interface Foresight {
  open(series: SeriesName): Forecaster;
  /** Forecasts a series by its newest values alone while its long past is learned. Without it that is waited for. */
  readonly meanwhile?: ForecasterFactory;
  /** Nothing more is asked of this series. */
  close?(key: string): void;
  why?(key: string): Reasons | undefined;
  /**
   * Values of open series, those of one series in their order in time: the same as one by one, and cheaper. The model in use may have been trained on
   * what is familiar: it is not compared on that.
   */
  observeAll?(values: Iterable<ObservedValue>): void;
  /** Weights of a model for all series of a kind, in the place of those before. */
  useWeights?(kind: ForecastResource, weights: Uint8Array): void;
  /** How that model did beside the best of the others; undefined before anything is known of it. */
  learnedScore?(kind: ForecastResource): LearnedScore | undefined;
  /** There is something to be learned on all series together; a piece of it is done in each round of the leader. */
  readonly learningDue?: boolean;
  learn?(): Iterator<void>;
}

/** Every series by itself, all by one model. */
export function foresightBy(factory: ForecasterFactory): Foresight {
  const models = new Map<string, string>();
  return {
    open({ key, intervalMs, range }) {
      const forecaster = factory({ intervalMs, range });
      models.set(key, forecaster.model);
      return forecaster;
    },
    close: (key) => void models.delete(key),
    why: (key) => (models.has(key) ? { champion: models.get(key)! } : undefined),
  };
}
