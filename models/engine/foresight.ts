import { measured } from '../baselines/empirical-bands.ts';
import type {
  Forecaster,
  ForecasterFactory,
  GlobalModel,
  QuantileCurves,
  SeriesOptions,
  SeriesWindow,
} from '../forecaster.ts';
import type { GlobalModelRecord } from '../global/retrain.ts';
import { standardMembers } from './members.ts';
import { Pool, type PoolState } from './pool.ts';
import { Series } from './series.ts';

/** A further model of single series, which is asked after each value of each: it should be quick. */
export interface Member {
  readonly model: string;
  readonly factory: ForecasterFactory;
  /** For series of these kinds alone. */
  readonly kinds?: readonly string[];
  /**
   * It is scored like the rest, and takes part in the forecasts of a series from when it is the champion there, and better than the engine without it, for as
   * long as it is the champion.
   */
  readonly challenges?: boolean;
  /** It goes by the season of the series: where one is found that would have been worth following, it begins with a weight to match. */
  readonly followsSeason?: boolean;
  /** Of one that costs much: for so many open series of each kind, the first that were opened. On the others it stands aside. */
  readonly seriesMost?: number;
}

export interface ForesightOptions {
  /** Farthest step ahead that is scored and calibrated. */
  readonly steps: number;
  /** Members besides the engine's own bases and pooled regressions; `standardMembers` if not given. */
  readonly members?: readonly Member[];
  /** Models that were learned elsewhere, asked in batches. */
  readonly globals?: readonly GlobalModel[];
  /** Kinds of series for which a global model may come later, by `use`. */
  readonly learnedKinds?: readonly string[];
}

/** How the model in use did against the best of the other members, over all series of its kind. */
export type LearnedScore = Pick<GlobalModelRecord, 'scored' | 'loss' | 'challengerLoss'>;

export interface SeriesIdentity extends SeriesOptions {
  readonly key: string;
  /** Series of one kind, say `cpu`, learn from each other: they share interval and range. */
  readonly kind: string;
}

/** Why a series is forecast as it is. Losses are mean pinball losses over steps and levels, in the series' unit. */
export interface Reasons {
  /** The member that did best on the series' recent past; a challenger must be clearly better to take its place. */
  readonly champion: string;
  /** Values that the losses of the champion and of the last value rest on, 0 to 100: while it is 0, all losses are 0 and say nothing. */
  readonly evidence: number;
  /** Of the engine's own forecasts, all members together, over its last hundred values. */
  readonly loss: number;
  /** Of the last value, which everything must beat, on the values on which the champion was scored. */
  readonly lossOfLast: number;
  /** Greatest weight first. */
  readonly members: readonly { readonly model: string; readonly weight: number; readonly loss: number }[];
}

/** What was learned on all series together, as plain data: one entry per kind. */
export type ForesightState = Readonly<Record<string, PoolState>>;

/** The learned model may have been trained on what is `isFamiliar`: it is not compared on that. */
export type ObservedValue = readonly [key: string, value: number, isFamiliar?: boolean | undefined];

export interface Foresight {
  /**
   * The forecaster of a series, the same one for the same key. Throws a RangeError for an interval that does not last or a range that holds no number, where a kind has two
   * intervals or ranges, and where what was restored is of other steps or members.
   */
  open(series: SeriesIdentity): Forecaster;
  close(key: string): void;
  /**
   * Values, or NaN, for the keys, those of one key in their order in time: the same as one by one, but each global model is asked once
   * for all.
   */
  observeAll(values: Iterable<ObservedValue>): void;
  forecastAll(steps: number): Map<string, QuantileCurves>;
  /** Undefined for an unknown key. */
  why(key: string): Reasons | undefined;
  /**
   * From now on this model, learned elsewhere, is asked for the series of a kind of `learnedKinds`, in the place of the one before. It is scored on
   * all of them, and has a part in the forecasts of those where it beats every other member (see `isWorthUsing`). Throws a RangeError for another kind.
   */
  use(kind: string, model: GlobalModel): void;
  /** Undefined before a model is in use and has been scored. */
  learnedScore(kind: string): LearnedScore | undefined;
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

type Observed = readonly [series: Opened, value: number, isFamiliar?: boolean | undefined];

interface Opened {
  readonly pool: Pool;
  readonly series: Series;
  readonly forecaster: Forecaster;
}

function wholeSteps(steps: number, least: number): number {
  if (!Number.isInteger(steps) || steps < least)
    throw new RangeError(`steps must be a whole number from ${least}, not ${steps}`);
  return steps;
}

const saysOf = ({ intervalMs, range }: SeriesOptions) => `${intervalMs} ms and ${range.low} to ${range.high}`;

/**
 * The forecasting engine: many series, each with members that are scored, weighted and calibrated on its own past, and drawn to
 * what all series of its kind show while that past is short. Pure: the same values in the same order give the same curves.
 */
export function createForesight({
  steps,
  members = standardMembers,
  globals = [],
  learnedKinds = [],
}: ForesightOptions): Foresight {
  wholeSteps(steps, 1);
  const pools = new Map<string, Pool>();
  const opened = new Map<string, Opened>();
  const learned = new Map<string, GlobalModel>();
  let saved: ForesightState = {};

  function poolOf({ kind, intervalMs, range }: SeriesIdentity): Pool {
    if (!(intervalMs > 0 && intervalMs < Number.POSITIVE_INFINITY))
      throw new RangeError(`intervalMs must be a number above 0, not ${intervalMs}`);
    const { low, high } = range;
    if (!(low <= high && low < Number.POSITIVE_INFINITY && high > Number.NEGATIVE_INFINITY))
      throw new RangeError(`a range goes from low up to high, not from ${low} to ${high}`);
    let pool = pools.get(kind);
    if (pool === undefined) {
      const own = members.filter(({ kinds }) => kinds?.includes(kind) ?? true);
      pool = new Pool({ intervalMs, range }, steps, own, globals, learnedKinds.includes(kind));
      const model = learned.get(kind);
      if (model !== undefined) pool.use(model);
      const state = saved[kind];
      if (state !== undefined) pool.restore(state);
      pools.set(kind, pool);
    }
    const { options } = pool;
    if (options.intervalMs !== intervalMs || options.range.low !== low || options.range.high !== high)
      throw new RangeError(
        `series of kind ${kind} have one interval and one range, ${saysOf(options)}, not ${saysOf({ intervalMs, range })}`,
      );
    return pool;
  }

  /** What the global models say after each of the values, in the order of the values and, within, of `Pool.asked`. */
  function ask(values: readonly Observed[]): (QuantileCurves | undefined)[][] {
    const answers = values.map((): (QuantileCurves | undefined)[] => []);
    const coming = new Map<Series, number[]>();
    const batches = new Map<GlobalModel, { windows: SeriesWindow[]; of: { at: number; index: number }[] }>();
    for (let at = 0; at < values.length; at += 1) {
      const [{ pool, series }, value] = values[at]!;
      const number = measured(value, pool.options.range);
      const { asked } = pool;
      if (number === undefined || asked.length === 0) continue;
      const come = coming.get(series) ?? [];
      coming.set(series, come);
      // As the series itself will remember it.
      come.push(Math.fround(number));
      for (let index = 0; index < asked.length; index += 1) {
        const model = asked[index]!;
        // What is not known before those that come before it were learned is asked for, and left aside if it was not needed.
        const isNeeded = model !== pool.learned || come.length > 1 || series.hearsLearned;
        const seen = isNeeded ? series.window(model, come) : undefined;
        if (seen === undefined) continue;
        const batch = batches.get(model) ?? { windows: [], of: [] };
        batches.set(model, batch);
        batch.windows.push(seen);
        batch.of.push({ at, index });
      }
    }
    for (const [model, { windows, of }] of batches)
      for (const [each, curves] of model.predict(windows).entries()) {
        const { at, index } = of[each]!;
        answers[at]![index] = curves;
      }
    return answers;
  }

  function observeAll(values: readonly Observed[]): void {
    const answers = ask(values);
    for (let at = 0; at < values.length; at += 1) {
      const [{ series }, value, isFamiliar] = values[at]!;
      if (series.absorb(value, isFamiliar)) series.predict(answers[at]!);
    }
  }

  return {
    open(identity) {
      const known = opened.get(identity.key);
      if (known !== undefined) return known.forecaster;
      const pool = poolOf(identity);
      const series = new Series(pool);
      const forecaster: Forecaster = {
        model: 'foresight',
        observe: (value) => observeAll([[found, value]]),
        recall: (values) => series.recall(values),
        forecast: (ahead) => series.forecast(wholeSteps(ahead, 0)),
      };
      const found: Opened = { pool, series, forecaster };
      opened.set(identity.key, found);
      return forecaster;
    },
    close(key) {
      const found = opened.get(key);
      found?.pool.leave(found.series.members);
      opened.delete(key);
    },
    observeAll(values) {
      const found: Observed[] = [];
      for (const [key, value, isFamiliar] of values) {
        const series = opened.get(key);
        if (series === undefined) throw new RangeError(`there is no open series ${key}`);
        found.push([series, value, isFamiliar]);
      }
      observeAll(found);
    },
    use(kind, model) {
      if (!learnedKinds.includes(kind)) throw new RangeError(`no model is learned for series of kind ${kind}`);
      learned.set(kind, model);
      pools.get(kind)?.use(model);
    },
    learnedScore(kind) {
      const pool = pools.get(kind);
      if (pool === undefined || pool.learnedScored === 0) return undefined;
      const losses = new Float64Array(pool.experts.length);
      let weights = 0;
      for (const { pool: own, series } of opened.values()) {
        const { duel } = series;
        if (own !== pool || duel === undefined) continue;
        weights += duel.evidence;
        for (const [index, loss] of [...duel.others, duel.loss].entries()) losses[index]! += duel.evidence * loss;
      }
      if (weights === 0) return undefined;
      const [loss, challengerLoss] = [losses.at(-1)! / weights, Math.min(...losses.subarray(0, -1)) / weights];
      return { scored: pool.learnedScored, loss, challengerLoss };
    },
    forecastAll(ahead) {
      const curves = new Map<string, QuantileCurves>();
      wholeSteps(ahead, 0);
      for (const [key, { series }] of opened) curves.set(key, series.forecast(ahead));
      return curves;
    },
    why(key) {
      const found = opened.get(key);
      if (found === undefined) return undefined;
      const { pool, series } = found;
      const { losses, champion, evidence } = series.scores;
      const weights = series.weights();
      const { duel, usesLearned } = series;
      // One that is not compared yet is no member yet.
      const experts = pool.hasSlot && duel === undefined ? pool.experts.slice(0, -1) : pool.experts;
      const lossOf = (index: number) => (index < losses.length - 1 ? losses[index]! : duel!.loss);
      return {
        champion: experts[usesLearned ? experts.length - 1 : champion]!,
        // A learned model was asked after some of the values alone.
        evidence: usesLearned ? duel!.evidence : evidence,
        loss: losses.at(-1)!,
        lossOfLast: usesLearned ? duel!.others[0]! : losses[0]!,
        members: experts
          .map((model, index) => ({ model, weight: weights[index]!, loss: lossOf(index) }))
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
