import { readPolynomials, weightsNeeded } from './coefficients.ts';
import { fitByConditionalSquares } from './conditional-squares.ts';
import { type ArimaModel, type ArimaOrder, type FitArima, isDifferenced } from './model.ts';

/** Exact maximum likelihood by BFGS: the package's default optimizer (6) diverges, silently. */
const way = { method: 0, optimizer: 5 } as const;
/** The package's cost grows with the cube of the season: beyond this one, a fit would stop a small leader for seconds. */
const periodMost = 12;
/** The package passes the series on a stack of 64 KiB. */
const valuesMost = 2_048;
/** Least number of values for a fit, beside two whole seasons. */
const valuesLeast = 30;
/** Where the response of a model to the level of its series is read: long after the last value. */
const farStep = 400;

/** What is used of the npm package `arima`. */
export type ArimaPackage = new (options: Readonly<Record<string, number | boolean>>) => Instance;

/** `ts`, which the package's types do not tell, is the series from which `predict` goes on, as bytes of doubles. */
interface Instance {
  ts: Uint8Array;
  train(values: number[]): unknown;
  predict(steps: number): [number[], number[]];
  destroy(): void;
}

/**
 * Fits with the npm package `arima` (ctsa of Rafat Hussain, in WebAssembly), and by the conditional sum of squares where it
 * gives no stable model, or the season is long.
 */
export const fitByPackage =
  (Arima: ArimaPackage): FitArima =>
  (values, order) =>
    fit(Arima, values, order) ?? fitByConditionalSquares(values, order);

function fit(Arima: ArimaPackage, values: Float64Array, order: ArimaOrder): ArimaModel | undefined {
  const { p, d, q, seasonal } = order;
  const seasons = seasonal === undefined ? 0 : (2 + seasonal.d) * seasonal.period;
  if (values.length < Math.max(valuesLeast, seasons) || values.length > valuesMost) return undefined;
  if (seasonal !== undefined && seasonal.period > periodMost) return undefined;
  const center = values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / values.length);
  if (!(spread > 1e-9 * Math.max(1, Math.abs(center))) || !Number.isFinite(spread)) return undefined;
  const options = { p, d, q, P: seasonal?.p ?? 0, D: seasonal?.d ?? 0, Q: seasonal?.q ?? 0, s: seasonal?.period ?? 0 };
  const instance = new Arima({ ...options, ...way, verbose: false });
  // In units of the series' own spread: the optimizer's steps are absolute.
  instance.train(Array.from(values, (value) => (value - center) / spread));
  const model = read(instance, values.length, order);
  instance.destroy();
  if (model === undefined) return undefined;
  const mean = isDifferenced(order) ? 0 : center + spread * model.mean;
  return { ...model, mean, variance: spread ** 2 * model.variance };
}

/**
 * The package tells forecasts, not coefficients. But a forecast is linear in the series: what a series of zeros with a one at its end
 * is forecast to be, less what one of zeros is, is the impulse response of the model, and that determines its coefficients.
 */
function read(instance: Instance, length: number, order: ArimaOrder): ArimaModel | undefined {
  const variance = instance.predict(1)[1][0]!;
  const forecastOf = (series: Float64Array, steps: number) => {
    instance.ts = new Uint8Array(series.buffer);
    return instance.predict(steps)[0];
  };
  const zeros = new Float64Array(length);
  const impulse = zeros.slice();
  impulse[length - 1] = 1;
  const steps = weightsNeeded(order);
  const base = forecastOf(zeros, Math.max(steps, farStep));
  const response = [1, ...forecastOf(impulse, steps).map((value, step) => value - base[step]!)];
  const polynomials = readPolynomials(response, order);
  // Far ahead a series of zeros tends to mean * (1 - what is left of the level), a series of ones to that plus what is left.
  const left = forecastOf(new Float64Array(length).fill(1), farStep).at(-1)! - base[farStep - 1]!;
  const mean = isDifferenced(order) ? 0 : base[farStep - 1]! / (1 - left);
  const numbers = [variance, mean, ...response];
  if (polynomials === undefined || !numbers.every(Number.isFinite) || variance <= 0) return undefined;
  return { order, ...polynomials, mean, variance };
}
