import {
  createForesight,
  type Forecaster,
  fitByConditionalSquares,
  forecastersBy,
  type GlobalModel,
  ridgeModel,
  type SeriesWindow,
  trainRidge,
} from '@foremesh/models';
import { horizon, type TraceSet } from './traces.ts';

/** All of them together, weighted and calibrated online. */
export const engine = 'engine';
/** What the protocol calls some of them otherwise; `last-value` is the random walk with normal bands. */
const protocolNames: Readonly<Record<string, string>> = {
  persistence: 'last',
  'moving-average': 'ma12',
  'simple-smoothing': 'ses',
  'damped-smoothing': 'damped',
  'seasonal-naive': 'snaive288',
};
/** Models of single series. */
const single = new Map(
  [...forecastersBy({ fit: fitByConditionalSquares, horizon })]
    .filter(([name]) => name !== engine)
    .map(([name, factory]) => [protocolNames[name] ?? name, factory]),
);
const ridge = 'ridge';
export const modelNames: readonly string[] = [...single.keys(), ridge, engine];
/** Of values before the first origin, ridge learns from every so many-th where they are many. */
const ridgeValues = 100_000;

/** A model under test on all series of a set. */
export interface Contestant {
  readonly name: string;
  readonly forecasters: ReadonlyMap<string, Forecaster>;
  /** Called before each step until the first origin of the set, `step`, for what is learned on all series. */
  readonly learn: (step: number, first: number) => void;
}

/** Series shorter than two seasons have no seasonal naive: their models are those that remain. */
export function contestants(set: TraceSet, names: readonly string[]): Contestant[] {
  const longest = Math.max(...[...set.series.values()].map((values) => values.length));
  return names
    .filter((name) => name !== 'snaive288' || longest > 2 * 288)
    .map((name) => (name === engine ? theEngine(set) : name === ridge ? ridgeOn(set) : alone(set, name)));
}

function alone(set: TraceSet, name: string): Contestant {
  const factory = single.get(name);
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

/** One linear map, trained once on what lies before the first origin. */
function ridgeOn({ intervalMs, range, series }: TraceSet): Contestant {
  let model: GlobalModel | undefined;
  const seen = new Map<string, number[]>([...series.keys()].map((key) => [key, []]));
  const forecaster = (values: number[]): Forecaster => ({
    model: ridge,
    observe: (value) => values.push(value),
    forecast() {
      const lags = Float64Array.from(values.slice(-model!.lags));
      return model!.predict([{ intervalMs, range, values: lags }])[0]!;
    },
  });
  return {
    name: ridge,
    forecasters: new Map([...seen].map(([key, values]) => [key, forecaster(values)])),
    learn(step, first) {
      if (step < first) return;
      const histories: SeriesWindow[] = [...seen.values()].map((values) => ({
        intervalMs,
        range,
        values: Float64Array.from(values),
      }));
      const stride = Math.max(1, Math.ceil((first * series.size) / ridgeValues));
      const weights = trainRidge(histories, { steps: horizon, stride });
      if (weights === undefined) throw new Error(`${first} values before the first origin are too few for ridge`);
      model = ridgeModel(weights);
    },
  };
}
