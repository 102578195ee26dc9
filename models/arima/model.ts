/** Orders of an ARIMA(p,d,q) model, with those of its season if it has one (Box and Jenkins 1970). */
export interface ArimaOrder {
  readonly p: number;
  readonly d: number;
  readonly q: number;
  readonly seasonal?: { readonly period: number; readonly p: number; readonly d: number; readonly q: number };
}

/**
 * A fitted model, `autoregressive(B) (x - mean) = movingAverage(B) e`: polynomials in the lag operator with the seasonal ones
 * and the differences multiplied out. Index is the lag, `[0]` is 1. Plain data.
 */
export interface ArimaModel {
  readonly order: ArimaOrder;
  readonly autoregressive: readonly number[];
  readonly movingAverage: readonly number[];
  /** 0 where the series is differenced. */
  readonly mean: number;
  /** Of the errors of one step, in the series' unit squared. */
  readonly variance: number;
}

/** Fits a model by exact maximum likelihood; undefined where the series does not bear one of that order. Never throws. */
export type FitArima = (values: Float64Array, order: ArimaOrder) => ArimaModel | undefined;

export const isDifferenced = ({ d, seasonal }: ArimaOrder) => d > 0 || (seasonal?.d ?? 0) > 0;

/** What an error of 1 adds to the values 0 to `count - 1` steps after it. */
export function impulseResponse(
  autoregressive: readonly number[],
  movingAverage: readonly number[],
  count: number,
): number[] {
  const weights: number[] = [];
  for (let step = 0; step < count; step += 1) {
    let weight = movingAverage[step] ?? 0;
    for (let lag = 1; lag < autoregressive.length && lag <= step; lag += 1)
      weight -= autoregressive[lag]! * weights[step - lag]!;
    weights.push(weight);
  }
  return weights;
}

export function multiply(left: readonly number[], right: readonly number[]): number[] {
  const product = new Array<number>(left.length + right.length - 1).fill(0);
  for (const [i, a] of left.entries()) for (const [j, b] of right.entries()) product[i + j]! += a * b;
  return product;
}

/** The polynomial of a season: lag `i` becomes lag `i * period`. */
export function stretch(polynomial: readonly number[], period: number): number[] {
  const stretched = new Array<number>((polynomial.length - 1) * period + 1).fill(0);
  for (const [lag, coefficient] of polynomial.entries()) stretched[lag * period] = coefficient;
  return stretched;
}

/** (1 - B)^times */
export function difference(times: number): number[] {
  let polynomial = [1];
  for (let time = 0; time < times; time += 1) polynomial = multiply(polynomial, [1, -1]);
  return polynomial;
}
