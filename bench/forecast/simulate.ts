import type { QuantileCurves } from '@foremesh/models';
import type { Contestant } from './models.ts';
import { horizon, type TraceSet } from './traces.ts';

/** By series, where forecasts begin: a forecast of origin n knows the first n values. */
export type Origins = ReadonlyMap<string, readonly number[]>;

export interface Simulated {
  readonly model: string;
  /** By series and in the order of its origins. */
  readonly curves: ReadonlyMap<string, readonly QuantileCurves[]>;
  /** Time to learn what is learned on all series together; milliseconds on the clock. */
  readonly learnMs: number;
  /** Time to observe (and learn from) all values of a series, and for one forecast; milliseconds on the clock. */
  readonly fitMs: number;
  readonly forecastMs: number;
}

/**
 * All series of a set go on together, value by value, under one model. What is learned on all series is learned from what lies before
 * the first origin; what happens online goes on.
 */
export async function simulate(
  set: TraceSet,
  contestant: Contestant,
  origins: Origins,
  say: (share: number) => void,
): Promise<Simulated> {
  const wanted = new Map([...origins].map(([key, list]) => [key, new Set(list)]));
  const first = Math.min(...[...origins.values()].flat());
  const longest = Math.max(...[...set.series.values()].map((values) => values.length));
  const curves = new Map<string, QuantileCurves[]>([...origins.keys()].map((key) => [key, []]));
  let learning = 0;
  let fitting = 0;
  let forecasting = 0;
  let forecasts = 0;
  for (let step = 0; step < longest; step += 1) {
    const begun = performance.now();
    if (step <= first) await contestant.learn(step, first);
    const learned = performance.now();
    for (const [key, origin] of wanted) {
      if (!origin.has(step)) continue;
      curves.get(key)!.push(contestant.forecasters.get(key)!.forecast(horizon));
      forecasts += 1;
    }
    const forecast = performance.now();
    for (const [key, values] of set.series)
      if (step < values.length) contestant.forecasters.get(key)!.observe(values[step]!);
    learning += learned - begun;
    fitting += learned - begun + performance.now() - forecast;
    forecasting += forecast - learned;
    if (step % 64 === 0) say(step / longest);
  }
  say(1);
  return {
    model: contestant.name,
    curves,
    learnMs: learning,
    fitMs: fitting / set.series.size,
    forecastMs: forecasting / Math.max(1, forecasts),
  };
}
