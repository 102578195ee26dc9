import { type ArimaModel, type ArimaOrder, difference, isDifferenced, multiply, stretch } from './model.ts';
import { nelderMead } from './nelder-mead.ts';

/** Values that must be left per parameter, once the differences are taken. */
const valuesPerParameter = 8;

/**
 * Fits by the conditional sum of squares (Box and Jenkins 1970, 7.1): errors before the first value are zero, the mean is the series' own. Searched over
 * partial correlations within (-1, 1) (Monahan 1984), so that every model is stationary and invertible. Costs microseconds
 * per value whatever the season; close to exact maximum likelihood where the series is long.
 */
export function fitByConditionalSquares(values: Float64Array, order: ArimaOrder): ArimaModel | undefined {
  const { p, d, q, seasonal } = order;
  const period = seasonal?.period ?? 1;
  const degrees = [p, q, seasonal?.p ?? 0, seasonal?.q ?? 0];
  const count = degrees.reduce((sum, degree) => sum + degree, 0);
  const differences = multiply(difference(d), stretch(difference(seasonal?.d ?? 0), period));
  const series = applied(differences, values);
  const center = isDifferenced(order) ? 0 : series.reduce((sum, value) => sum + value, 0) / series.length;
  const spread = Math.sqrt(series.reduce((sum, value) => sum + (value - center) ** 2, 0) / series.length);
  const skipped = p + (seasonal?.p ?? 0) * period;
  if (series.length - skipped < Math.max(valuesPerParameter * (count + 1), 2 * period)) return undefined;
  if (!(spread > 1e-9 * Math.max(1, Math.abs(center))) || !Number.isFinite(spread)) return undefined;
  const scaled = series.map((value) => (value - center) / spread);

  const polynomialsOf = (point: readonly number[]) => {
    let at = 0;
    const [ar, ma, seasonalAr, seasonalMa] = degrees.map((degree) => {
      at += degree;
      return fromPartial(point.slice(at - degree, at));
    }) as [number[], number[], number[], number[]];
    return {
      autoregressive: multiply(ar, stretch(seasonalAr, period)),
      movingAverage: multiply(ma, stretch(seasonalMa, period)),
    };
  };
  const meanSquareOf = (point: readonly number[]) => {
    const { autoregressive, movingAverage } = polynomialsOf(point);
    return meanSquare(scaled, sparse(autoregressive), sparse(movingAverage), skipped);
  };
  const start = new Array<number>(count).fill(0);
  const found = nelderMead(meanSquareOf, start, { evaluationsMost: 100 * start.length });
  const { autoregressive, movingAverage } = polynomialsOf(found);
  const variance = spread ** 2 * meanSquareOf(found);
  if (!(variance > 0 && Number.isFinite(variance))) return undefined;
  return {
    order,
    autoregressive: multiply(autoregressive, differences),
    movingAverage,
    mean: center,
    variance,
  };
}

type Sparse = readonly (readonly [lag: number, coefficient: number])[];

const sparse = (polynomial: readonly number[]): Sparse =>
  [...polynomial.entries()].filter(([lag, coefficient]) => lag > 0 && coefficient !== 0);

function meanSquare(series: Float64Array, ar: Sparse, ma: Sparse, skipped: number): number {
  const errors = new Float64Array(series.length);
  let sum = 0;
  for (let index = skipped; index < series.length; index += 1) {
    let error = series[index]!;
    for (const [lag, coefficient] of ar) error += coefficient * series[index - lag]!;
    for (const [lag, coefficient] of ma) if (lag <= index) error -= coefficient * errors[index - lag]!;
    errors[index] = error;
    sum += error ** 2;
  }
  return sum / (series.length - skipped);
}

/** A polynomial whose roots lie outside the unit circle, from any real numbers: the recursion of Durbin and Levinson. */
function fromPartial(numbers: readonly number[]): number[] {
  let polynomial = [1];
  for (const number of numbers) {
    const partial = Math.tanh(number);
    const next = [...polynomial, 0];
    polynomial = next.map((coefficient, lag) => coefficient + partial * next[next.length - 1 - lag]!);
  }
  return polynomial;
}

/** The series to which a polynomial in the lag operator turns it, from where all lags are there. */
function applied(polynomial: readonly number[], values: Float64Array): Float64Array {
  const terms = [...polynomial.entries()].filter(([, coefficient]) => coefficient !== 0);
  const first = polynomial.length - 1;
  return Float64Array.from({ length: Math.max(0, values.length - first) }, (_, index) =>
    terms.reduce((sum, [lag, coefficient]) => sum + coefficient * values[first + index - lag]!, 0),
  );
}
