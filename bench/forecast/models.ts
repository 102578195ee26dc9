import {
  createLeaderForesight,
  type Forecaster,
  fitByConditionalSquares,
  forecastersBy,
  type GlobalModel,
  ridgeModel,
  type SeriesWindow,
  trainRidge,
} from '@foremesh/models';
import { limits } from '@foremesh/node-runtime/contract';
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
/** Of values before the first origin, ridge learns from every so many-th where they are many. */
const ridgeValues = 100_000;
type Training = (histories: readonly SeriesWindow[], first: number) => Promise<GlobalModel | undefined>;
/** Models that are trained on all series of a set at once. */
const global = new Map<string, Training>([
  [
    'ridge',
    async (histories, first) => {
      const stride = Math.max(1, Math.ceil((first * histories.length) / ridgeValues));
      const weights = trainRidge(histories, { steps: horizon, stride });
      return weights && ridgeModel(weights);
    },
  ],
  [
    'lstm',
    async (histories) => {
      // TensorFlow.js is an optional package, and a large one: only who asks for it needs it.
      const { lstmModel, trainLstm } = await import('@foremesh/models/lstm');
      const weights = await trainLstm(histories, { steps: horizon });
      return weights && lstmModel(weights);
    },
  ],
]);
export const modelNames: readonly string[] = [...single.keys(), ...global.keys(), engine];

/** A model under test on all series of a set. */
export interface Contestant {
  readonly name: string;
  readonly forecasters: ReadonlyMap<string, Forecaster>;
  /** Called before each step until the first origin of the set, `step`, for what is learned on all series. */
  readonly learn: (step: number, first: number) => void | Promise<void>;
}

/** Series shorter than two seasons have no seasonal naive: their models are those that remain. */
export function contestants(set: TraceSet, names: readonly string[]): Contestant[] {
  const longest = Math.max(...[...set.series.values()].map((values) => values.length));
  return names.filter((name) => name !== 'snaive288' || longest > 2 * 288).map((name) => contestant(set, name));
}

function contestant(set: TraceSet, name: string): Contestant {
  if (name === engine) return theEngine(set);
  const train = global.get(name);
  return train === undefined ? alone(set, name) : trainedOn(set, name, train);
}

function alone(set: TraceSet, name: string): Contestant {
  const factory = single.get(name);
  if (factory === undefined) throw new Error(`there is no model ${name}; models: ${modelNames.join(', ')}`);
  return { name, forecasters: new Map([...set.series.keys()].map((key) => [key, factory(set)])), learn: () => {} };
}

function theEngine({ name, intervalMs, range, series }: TraceSet): Contestant {
  // Sets in per cent are like a leader's CPU and memory, which have learned models and a challenger; networks have neither.
  const learnedKinds = Number.isFinite(range.high) ? [name] : [];
  const foresight = createLeaderForesight({ steps: horizon, learnedKinds, arimaSeriesMost: limits.arimaSeriesPerKind });
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

/** One model of all series, trained once on what lies before the first origin. */
function trainedOn({ name: set, intervalMs, range, series }: TraceSet, name: string, train: Training): Contestant {
  let model: GlobalModel | undefined;
  const seen = new Map<string, number[]>([...series.keys()].map((key) => [key, []]));
  const forecaster = (values: number[]): Forecaster => ({
    model: name,
    observe: (value) => values.push(value),
    forecast() {
      const { lags, context = lags } = model!;
      return model!.predict([{ intervalMs, range, values: Float64Array.from(values.slice(-context)) }])[0]!;
    },
  });
  return {
    name,
    forecasters: new Map([...seen].map(([key, values]) => [key, forecaster(values)])),
    async learn(step, first) {
      if (step < first) return;
      const histories: SeriesWindow[] = [...seen.values()].map((values) => ({
        intervalMs,
        range,
        values: Float64Array.from(values),
      }));
      model = await train(histories, first);
      if (model === undefined)
        throw new Error(`${first} values before the first origin of ${set} are too few for ${name}`);
    },
  };
}
