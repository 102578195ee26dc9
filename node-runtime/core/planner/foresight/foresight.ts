import type { Forecaster, ForecasterFactory, SeriesOptions } from '@foremesh/models';
import type { ForecastResource, ForecastWhy } from '../../../contract/index.ts';

/** One series that is to be forecast. */
export interface SeriesName extends SeriesOptions {
  /** Its own among all that are open. */
  readonly key: string;
  readonly kind: ForecastResource;
}

/** What a leader forecasts the series of its nodes with: made anew with each leadership. */
export interface Foresight {
  open(series: SeriesName): Forecaster;
  /** Nothing more is asked of this series. */
  close?(key: string): void;
  /** Which model a forecast of this series is by, for people. */
  why?(key: string): ForecastWhy | undefined;
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
    why: (key) => (models.has(key) ? { model: models.get(key)! } : undefined),
  };
}
