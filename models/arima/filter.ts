import { type ArimaModel, impulseResponse, isDifferenced } from './model.ts';

/**
 * A fitted model that follows its series: the recursion of its innovations (Box and Jenkins 1970, chapter 5), whose cost
 * is one multiplication per lag. A value that is missing is the one that was expected.
 */
export class ArimaFilter {
  readonly model: ArimaModel;
  /** The last values less the mean, and the last errors: newest first. */
  readonly #values: number[];
  readonly #errors: number[];
  #seen = 0;
  #missing = 0;

  constructor(model: ArimaModel) {
    this.model = model;
    this.#values = new Array<number>(model.autoregressive.length - 1).fill(0);
    this.#errors = new Array<number>(model.movingAverage.length - 1).fill(0);
  }

  /**
   * A filter that has seen `history` (NaN: missing). What lay before it is forecast backwards from it (Box and Jenkins
   * 1970, 6.4): a model that forgets slowly would remember a wrong beginning for long.
   */
  static after(model: ArimaModel, history: Float64Array): ArimaFilter {
    const backwards = new ArimaFilter(model);
    for (let index = history.length - 1; index >= 0; index -= 1) backwards.push(history[index]!);
    const filter = new ArimaFilter(model);
    const lags = model.autoregressive.length - 1;
    for (const [lag, mean] of backwards.forecast(lags).means.entries()) filter.#values[lag] = mean - model.mean;
    filter.#seen = lags;
    for (const value of history) filter.push(value);
    return filter;
  }

  /** The next value (NaN: missing). Returns the error of its forecast, NaN where there is none. */
  push(value: number): number {
    const { mean, autoregressive } = this.model;
    const expected = this.#expected(this.#values, this.#errors);
    const missing = Number.isNaN(value);
    // A differenced series has no level to be expected before it has begun.
    const begins = isDifferenced(this.model.order) && this.#seen < autoregressive.length - 1;
    const error = missing || begins ? 0 : value - mean - expected;
    shift(this.#values, missing ? expected : value - mean);
    shift(this.#errors, error);
    this.#seen += 1;
    this.#missing = missing ? this.#missing + 1 : 0;
    return missing || begins ? Number.NaN : error;
  }

  /** Means and variances of the next `steps` values. */
  forecast(steps: number): { readonly means: number[]; readonly variances: number[] } {
    const { mean, autoregressive, movingAverage, variance } = this.model;
    const [values, errors] = [[...this.#values], [...this.#errors]];
    const means: number[] = [];
    for (let step = 0; step < steps; step += 1) {
      const expected = this.#expected(values, errors);
      means.push(mean + expected);
      shift(values, expected);
      shift(errors, 0);
    }
    // The errors of what is missing at the end are as unknown as those to come.
    const weights = impulseResponse(autoregressive, movingAverage, steps + this.#missing);
    let sum = 0;
    const sums = weights.map((weight) => {
      sum += weight ** 2;
      return sum * variance;
    });
    return { means, variances: sums.slice(this.#missing) };
  }

  #expected(values: readonly number[], errors: readonly number[]): number {
    const { autoregressive, movingAverage } = this.model;
    let expected = 0;
    for (let lag = 1; lag < autoregressive.length; lag += 1) expected -= autoregressive[lag]! * values[lag - 1]!;
    for (let lag = 1; lag < movingAverage.length; lag += 1) expected += movingAverage[lag]! * errors[lag - 1]!;
    return expected;
  }
}

function shift(newestFirst: number[], value: number): void {
  if (newestFirst.length === 0) return;
  newestFirst.copyWithin(1, 0);
  newestFirst[0] = value;
}
