import {
  type ForecasterFactory,
  forecastersBy,
  naiveSeasonOf,
  originsIn,
  retrainPolicy,
  type SeriesRange,
  singleSeriesOf,
} from '@foremesh/models';
import { MeshError } from '../../contract/index.ts';
import { type GlobalModelName, type LoadedModel, readGlobalModel } from '../../shell/foresight/global-models.ts';
import { createTrainer, type Trainer } from '../../shell/foresight/trainer.ts';
import { loadArima } from '../../shell/load-arima.ts';
import { nearest, plural } from '../text.ts';

/** They are trained first, on what lies before the first origin. */
const trained = ['ridge', 'lstm'] as const satisfies readonly GlobalModelName[];
/** Values that these read, as a leader's do. */
const lags = 48;
/** What the others are compared with. */
const plainest = 'last-value';

export interface ContestantsOptions {
  readonly values: Float64Array;
  readonly intervalMs: number;
  readonly range: SeriesRange;
  readonly horizon: number;
  /** How many values lie before the first origin. */
  readonly first: number;
  /** All if nothing is named. */
  readonly wanted?: readonly string[] | undefined;
  readonly onProgress: (fraction: number, model: string) => void;
  readonly trainer?: Trainer;
}

export interface Contestants {
  readonly models: ReadonlyMap<string, ForecasterFactory>;
  /** Those that are not there, and why. */
  readonly absent: readonly { readonly model: string; readonly reason: string }[];
  /** Gives back what trained models hold. */
  dispose(): void;
}

/**
 * The models of a backtest by their names, the last value always among them. Throws `MESH_USAGE` for a name that none has; where all that are asked for by name are
 * absent, what the first of them lacks: `MESH_SERIES_INVALID` for values, `MESH_NOT_INSTALLED` for packages.
 */
export async function contestantsOf(options: ContestantsOptions): Promise<Contestants> {
  const { intervalMs, horizon, first, wanted } = options;
  const single = forecastersBy({ fit: await loadArima(), horizon });
  const names = [...single.keys(), ...trained];
  const unknown = wanted?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const meant = nearest(unknown, names);
    throw new MeshError('MESH_USAGE', `there is no model "${unknown}"`, {
      mend: `${meant === undefined ? '' : `did you mean ${meant}? `}there are: ${names.join(', ')}`,
    });
  }
  const isWanted = (name: string) => wanted?.includes(name) ?? true;
  const models = new Map([...single].filter(([name]) => name === plainest || isWanted(name)));
  const lacking = new Map<string, MeshError>();
  const season = naiveSeasonOf(intervalMs);
  // Before it has seen two seasons it is another model.
  if (first < 2 * season && models.delete('seasonal-naive'))
    lacking.set(
      'seasonal-naive',
      new MeshError(
        'MESH_SERIES_INVALID',
        `too little for seasonal-naive: ${plural(first, 'value')} before the first origin, and it needs two seasons of ${season}`,
        { mend: 'give it a longer series' },
      ),
    );
  const loaded: LoadedModel[] = [];
  for (const name of trained.filter(isWanted)) {
    try {
      const model = await train(name, options);
      loaded.push(model);
      models.set(name, singleSeriesOf(model));
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      lacking.set(name, error);
    }
  }
  if (wanted !== undefined && !wanted.some((name) => models.has(name))) throw [...lacking.values()][0]!;
  const absent = [...lacking].map(([model, { message, mend }]) => ({
    model,
    reason: mend === undefined ? message : `${message}; ${mend}`,
  }));
  const dispose = () => {
    for (const model of loaded) model.dispose?.();
  };
  return { models, absent, dispose };
}

async function train(
  name: GlobalModelName,
  { values, intervalMs, range, horizon, first, wanted, onProgress, trainer = createTrainer() }: ContestantsOptions,
): Promise<LoadedModel> {
  const known = values.slice(0, first);
  const windows = originsIn(known, lags, horizon).length;
  const before = `${plural(windows, 'window')} of ${lags} values and the ${horizon} that follow before the first origin`;
  const fault = (message: string, mend?: string) =>
    new MeshError('MESH_SERIES_INVALID', message, mend === undefined ? {} : { mend });
  // It takes half a minute of a core: a leader does not begin with less either.
  if (name === 'lstm' && wanted === undefined && windows < retrainPolicy.windowsLeast)
    throw fault(
      `${before}, and a leader trains it from ${retrainPolicy.windowsLeast.toLocaleString('en')} on`,
      `--model ${name} does with less`,
    );
  const weights = await trainer.train([{ values: known, intervalMs, range }], {
    model: name,
    lags,
    steps: horizon,
    onProgress: (share) => onProgress(share, `${name}, in training`),
  });
  if (weights === undefined) throw fault(`too little to train ${name}: ${before}`, 'give it a longer series');
  return readGlobalModel(weights);
}
