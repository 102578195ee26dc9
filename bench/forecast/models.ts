import {
  climatology,
  createForesight,
  dampedSmoothing,
  type Forecaster,
  type ForecasterFactory,
  lastValue,
  movingAverage,
  persistence,
  seasonalNaive,
  simpleSmoothing,
} from '@foremesh/models';
import { horizon, type TraceSet } from './traces.ts';

/** Models of single series by the protocol's names; `last-value` is the random walk with normal bands. */
const single: Readonly<Record<string, ForecasterFactory>> = {
  last: persistence,
  'last-value': lastValue,
  ma12: movingAverage(),
  ses: simpleSmoothing,
  damped: dampedSmoothing,
  climatology,
  snaive288: seasonalNaive(288),
};
/** All of them together, weighted and calibrated online. */
export const engine = 'engine';
export const modelNames: readonly string[] = [...Object.keys(single), engine];

/** A model under test on all series of a set. */
export interface Contestant {
  readonly name: string;
  readonly forecasters: ReadonlyMap<string, Forecaster>;
  /** Called before each step until the first origin of the set, for what is learned on all series. */
  readonly learn: () => void;
}

/** Series shorter than two seasons have no seasonal naive: their models are those that remain. */
export function contestants(set: TraceSet, names: readonly string[]): Contestant[] {
  const longest = Math.max(...[...set.series.values()].map((values) => values.length));
  return names
    .filter((name) => name !== 'snaive288' || longest > 2 * 288)
    .map((name) => (name === engine ? theEngine(set) : alone(set, name)));
}

function alone(set: TraceSet, name: string): Contestant {
  const factory = single[name];
  if (factory === undefined) throw new Error(`there is no model ${name}; models: ${modelNames.join(', ')}`);
  return { name, forecasters: new Map([...set.series.keys()].map((key) => [key, factory(set)])), learn: () => {} };
}

function theEngine({ name, intervalMs, range, series }: TraceSet): Contestant {
  const foresight = createForesight({ steps: horizon });
  return {
    name: engine,
    forecasters: new Map(
      [...series.keys()].map((key) => [key, foresight.open({ key, kind: name, intervalMs, range })]),
    ),
    learn() {
      if (foresight.learningDue) for (const _ of foresight.learn());
    },
  };
}
