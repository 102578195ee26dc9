import { type GlobalModel, type QuantileCurves, quantileLevels, type SeriesWindow } from '../forecaster.ts';
import { originsIn, scaleOf, type WindowScale } from '../global/scaling.ts';
import { expectWeightsOf, type Weights, WeightsError } from '../global/weights.ts';
import { ErrorCounts } from './error-counts.ts';
import { NormalEquations } from './normal-equations.ts';

export interface RidgeOptions {
  readonly lags: number;
  readonly steps: number;
  /** Weight of the coefficients' squares beside the squared errors. */
  readonly penalty: number;
  /** Targets are cut to so many spreads of their window, so that single jumps do not bend the map. */
  readonly targetMost: number;
  /** Of a series' windows every so many-th is learned from. */
  readonly stride: number;
}

export const ridgeDefaults: RidgeOptions = { lags: 48, steps: 12, penalty: 10, targetMost: 8, stride: 1 };

const model = 'ridge';
const version = 1;
/** The least spread of a window, as a share of the range: 0.5 on a scale from 0 to 100. */
const floor = 1 / 200;

/**
 * One linear map from the last values of any series to its next ones, in units of each window's mean and spread, and the quantiles of its
 * own errors h steps ahead, pooled over all windows. `histories` is walked twice, one series at a time, and nothing of it is kept; all must have
 * the same interval. Undefined where no series holds one whole window.
 */
export function trainRidge(
  histories: Iterable<SeriesWindow>,
  options: Partial<RidgeOptions> = {},
): Weights | undefined {
  const { lags, steps, penalty, targetMost, stride } = { ...ridgeDefaults, ...options };
  const equations = new NormalEquations(lags + 1, steps);
  const input = new Float64Array(lags + 1);
  const target = new Float64Array(steps);
  let intervalMs: number | undefined;
  let [series, windows] = [0, 0];
  const walk = (visit: () => void) => {
    for (const history of histories) {
      intervalMs ??= history.intervalMs;
      if (history.intervalMs !== intervalMs)
        throw new RangeError(`histories of ${intervalMs} and of ${history.intervalMs} ms do not make one map`);
      const origins = originsIn(history.values, lags, steps, stride);
      if (origins.length > 0) series += 1;
      for (const origin of origins) {
        const scale = readInput(history, origin, lags, input);
        for (let step = 0; step < steps; step += 1) {
          const ahead = (history.values[origin + step]! - scale.mean) / scale.spread;
          target[step] = Math.min(targetMost, Math.max(-targetMost, ahead));
        }
        visit();
      }
    }
  };
  walk(() => {
    equations.add(input, target);
    windows += 1;
  });
  if (windows === 0) return undefined;
  const trainedOn = { series, windows };
  const coefficients = Float32Array.from(equations.solve(penalty));
  const errors = Array.from({ length: steps }, () => new ErrorCounts());
  walk(() => {
    for (let step = 0; step < steps; step += 1)
      errors[step]!.add(target[step]! - apply(coefficients, input, step, steps));
  });
  const quantiles = quantileLevels.flatMap((level) => errors.map((counts) => counts.quantile(level)));
  const parameters = Float32Array.from([...coefficients, ...quantiles]);
  return { model, version, lags, steps, intervalMs: intervalMs!, trainedOn, parameters };
}

/** The model of such weights. Throws a `WeightsError` for weights of something else. */
export function ridgeModel(weights: Weights): GlobalModel {
  expectWeightsOf(model, version, weights);
  const { lags, steps, parameters } = weights;
  const count = (lags + 1 + quantileLevels.length) * steps;
  if (parameters.length !== count)
    throw new WeightsError('corrupt', `${parameters.length} parameters of a ridge map, ${count} are needed`);
  const errorsFrom = (lags + 1) * steps;
  const input = new Float64Array(lags + 1);
  const curvesOf = (seen: SeriesWindow): QuantileCurves => {
    const { values, range, intervalMs } = seen;
    if (values.length < lags) throw new RangeError(`a window of ${values.length} values, ${lags} are needed`);
    const { mean, spread } = readInput(seen, values.length, lags, input);
    const points = Array.from({ length: steps }, (_, step) => apply(parameters, input, step, steps));
    const curve = (level: number) =>
      points.map((point, step) => {
        const value = mean + spread * (point + parameters[errorsFrom + level * steps + step]!);
        return Math.min(range.high, Math.max(range.low, value));
      });
    return { intervalMs, q10: curve(0), q50: curve(1), q90: curve(2) };
  };
  return { model, lags, steps, predict: (windows) => windows.map(curvesOf) };
}

/** Writes the scaled values before `origin`, and a 1 for the constant, into `input`. */
function readInput({ values, range }: SeriesWindow, origin: number, lags: number, input: Float64Array): WindowScale {
  const start = origin - lags;
  const scale = scaleOf(values, start, origin, range, floor);
  for (let lag = 0; lag < lags; lag += 1) input[lag] = (values[start + lag]! - scale.mean) / scale.spread;
  input[lags] = 1;
  return scale;
}

function apply(coefficients: Float32Array, input: Float64Array, step: number, steps: number): number {
  let sum = 0;
  for (let index = 0; index < input.length; index += 1) sum += input[index]! * coefficients[index * steps + step]!;
  return sum;
}
