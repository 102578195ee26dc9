import type { Forecaster, ForecasterFactory, GlobalModel, QuantileCurves, SeriesOptions } from '../forecaster.ts';
import { standardMembers } from './members.ts';
import { Pool, type PoolState } from './pool.ts';
import { Series } from './series.ts';

/** A further model of single series, which is asked after each value of each: it should be quick. */
export interface Member {
  readonly model: string;
  readonly factory: ForecasterFactory;
}

export interface ForesightOptions {
  /** Farthest step ahead that is scored and calibrated. */
  readonly steps: number;
  /** Members besides the engine's own bases and pooled regressions; `standardMembers` if not given. */
  readonly members?: readonly Member[];
  /** Models that were learned elsewhere, asked in batches. */
  readonly globals?: readonly GlobalModel[];
}

export interface SeriesIdentity extends SeriesOptions {
  readonly key: string;
  /** Series of one kind, say `cpu`, learn from each other: they share interval and range. */
  readonly kind: string;
}

/** Why a series is forecast as it is. Losses are mean pinball losses over steps and levels, in the series' unit. */
export interface Reasons {
  /** The member that did best on the series' recent past; a challenger must be clearly better to take its place. */
  readonly champion: string;
  /** Values that the losses rest on, at most about 100. */
  readonly evidence: number;
  /** Of the engine's own forecasts, all members together. */
  readonly loss: number;
  /** Of the last value, which everything must beat. */
  readonly lossOfLast: number;
  /** Greatest weight first. */
  readonly members: readonly { readonly model: string; readonly weight: number; readonly loss: number }[];
}

/** What was learned on all series together, as plain data: one entry per kind. */
export type ForesightState = Readonly<Record<string, PoolState>>;

export interface Foresight {
  /** The forecaster of a series, the same one for the same key. Throws a RangeError where a kind has two intervals or ranges. */
  open(series: SeriesIdentity): Forecaster;
  close(key: string): void;
  /** One value, or NaN, for each of the keys: the same as one by one, but global models are asked once for all. */
  observeAll(values: Iterable<readonly [key: string, value: number]>): void;
  forecastAll(steps: number): Map<string, QuantileCurves>;
  /** Undefined for an unknown key. */
  why(key: string): Reasons | undefined;
  /** Whether enough has been seen for the pooled models to be fitted (anew). */
  readonly learningDue: boolean;
  /**
   * Fits the pooled models that are due, in pieces of some ten milliseconds: the caller takes the next piece when it has time.
   * The new models take over when the last piece of a kind is done.
   */
  learn(): Generator<void>;
  save(): ForesightState;
  /** Before the first `open`. What series learned for themselves comes back by observing their past. */
  restore(state: ForesightState): void;
}

interface Opened {
  readonly pool: Pool;
  readonly series: Series;
  readonly forecaster: Forecaster;
}

/**
 * The forecasting engine: many series, each with members that are scored, weighted and calibrated on its own past, and drawn to
 * what all series of its kind show while that past is short. Pure: the same values in the same order give the same curves.
 */
export function createForesight({ steps, members = standardMembers, globals = [] }: ForesightOptions): Foresight {
  if (!Number.isInteger(steps) || steps < 1) throw new RangeError(`steps must be a whole number from 1, not ${steps}`);
  const pools = new Map<string, Pool>();
  const opened = new Map<string, Opened>();
  let saved: ForesightState = {};

  function poolOf({ kind, intervalMs, range }: SeriesIdentity): Pool {
    let pool = pools.get(kind);
    if (pool === undefined) {
      pool = new Pool({ intervalMs, range }, steps, members, globals);
      const state = saved[kind];
      if (state !== undefined) pool.restore(state);
      pools.set(kind, pool);
    }
    const { options } = pool;
    if (options.intervalMs !== intervalMs || options.range.low !== range.low || options.range.high !== range.high)
      throw new RangeError(`series of kind ${kind} have one interval and one range`);
    return pool;
  }

  function observeAll(values: Iterable<readonly [Series, number]>): void {
    const changed: Series[] = [];
    for (const [series, value] of values) if (series.absorb(value)) changed.push(series);
    const answers = globals.map((model) => {
      const windows = changed.map((series) => series.window(model));
      const curves = model.predict(windows.filter((each) => each !== undefined));
      let next = 0;
      return windows.map((each) => (each === undefined ? undefined : curves[next++]));
    });
    for (const [index, series] of changed.entries()) series.predict(answers.map((each) => each[index]));
  }

  return {
    open(identity) {
      const known = opened.get(identity.key);
      if (known !== undefined) return known.forecaster;
      const pool = poolOf(identity);
      const series = new Series(pool);
      pool.join();
      const forecaster: Forecaster = {
        model: 'foresight',
        observe: (value) => observeAll([[series, value]]),
        forecast: (ahead) => series.forecast(ahead),
      };
      opened.set(identity.key, { pool, series, forecaster });
      return forecaster;
    },
    close(key) {
      opened.get(key)?.pool.leave();
      opened.delete(key);
    },
    observeAll(values) {
      const pairs: [Series, number][] = [];
      for (const [key, value] of values) {
        const series = opened.get(key)?.series;
        if (series === undefined) throw new RangeError(`there is no open series ${key}`);
        pairs.push([series, value]);
      }
      observeAll(pairs);
    },
    forecastAll(ahead) {
      const curves = new Map<string, QuantileCurves>();
      for (const [key, { series }] of opened) curves.set(key, series.forecast(ahead));
      return curves;
    },
    why(key) {
      const found = opened.get(key);
      if (found === undefined) return undefined;
      const { experts } = found.pool;
      const { losses, champion, evidence } = found.series.scores;
      const weights = found.series.weights();
      return {
        champion: experts[champion]!,
        evidence,
        loss: losses[experts.length]!,
        lossOfLast: losses[0]!,
        members: experts
          .map((model, index) => ({ model, weight: weights[index]!, loss: losses[index]! }))
          .sort((left, right) => right.weight - left.weight),
      };
    },
    get learningDue() {
      return [...pools.values()].some(({ regression }) => regression.due);
    },
    *learn() {
      for (const { regression } of pools.values()) if (regression.due) yield* regression.fit();
    },
    save: () => ({ ...saved, ...Object.fromEntries([...pools].map(([kind, pool]) => [kind, pool.save()])) }),
    restore(state) {
      if (pools.size > 0) throw new RangeError('restore comes before the first open');
      saved = state;
    },
  };
}
