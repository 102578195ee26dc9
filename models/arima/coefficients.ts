import { type ArimaOrder, difference, impulseResponse, multiply, stretch } from './model.ts';

export interface Polynomials {
  readonly autoregressive: number[];
  readonly movingAverage: number[];
}

/** How far the impulse response of what was read may be from the one it was read from. */
const tolerance = 1e-4;

/** How many weights `readPolynomials` needs. */
export const weightsNeeded = ({ p, q, seasonal }: ArimaOrder): number =>
  seasonal === undefined ? 2 * (p + q) + 4 : (seasonal.p + seasonal.q + 1) * seasonal.period + p + q + 2;

/**
 * The polynomials of a model from its impulse response (index is the lag, [0] is 1): up to the season the response is that of the
 * part without season, whose Padé approximant it determines; divided by that, it is the season's own. Undefined
 * where the two do not agree within 1e-4 (parts that nearly cancel, a response that has not settled), and where the model is
 * not stationary or not invertible.
 */
export function readPolynomials(response: readonly number[], order: ArimaOrder): Polynomials | undefined {
  const { p, d, q, seasonal } = order;
  let whole = pade(multiply(response, difference(d)), p, q, response.length);
  let stable = isStable(whole.autoregressive) && isStable(whole.movingAverage);
  whole = { autoregressive: multiply(whole.autoregressive, difference(d)), movingAverage: whole.movingAverage };
  if (seasonal !== undefined) {
    const { period } = seasonal;
    // The response of the season alone, at its own lags.
    const rest = impulseResponse(whole.movingAverage, whole.autoregressive, response.length);
    const own = multiply(response, rest).filter((_, lag) => lag < response.length && lag % period === 0);
    const part = pade(multiply(own, difference(seasonal.d)), seasonal.p, seasonal.q, own.length);
    stable &&= isStable(part.autoregressive) && isStable(part.movingAverage);
    whole = {
      autoregressive: multiply(
        whole.autoregressive,
        stretch(multiply(part.autoregressive, difference(seasonal.d)), period),
      ),
      movingAverage: multiply(whole.movingAverage, stretch(part.movingAverage, period)),
    };
  }
  const again = impulseResponse(whole.autoregressive, whole.movingAverage, response.length);
  return stable && again.every((weight, lag) => Math.abs(weight - response[lag]!) <= tolerance) ? whole : undefined;
}

/** Whether all roots lie outside the unit circle: all partial correlations within (-1, 1) (step-down of Durbin and Levinson). */
function isStable(polynomial: readonly number[]): boolean {
  let rest = [...polynomial];
  while (rest.length > 1) {
    const last = rest.at(-1)!;
    if (!(Math.abs(last) < 1)) return false;
    const degree = rest.length - 1;
    rest = rest.slice(0, -1).map((coefficient, lag) => (coefficient - last * rest[degree - lag]!) / (1 - last ** 2));
  }
  return true;
}

/** The ratio movingAverage / autoregressive of degrees q / p whose expansion begins as `response` (Padé). */
function pade(response: readonly number[], p: number, q: number, length: number): Polynomials {
  const at = (lag: number) => (lag < 0 || lag >= length ? 0 : response[lag]!);
  // autoregressive * response has no term beyond lag q.
  let autoregressive = [1];
  if (p === 1 && at(q) !== 0) autoregressive = [1, -at(q + 1) / at(q)];
  if (p === 2) {
    const [a, b, c, d] = [at(q), at(q - 1), at(q + 1), at(q)];
    const determinant = a * d - b * c;
    if (determinant !== 0) {
      const first = (-at(q + 1) * d + at(q + 2) * b) / determinant;
      const second = (-a * at(q + 2) + c * at(q + 1)) / determinant;
      autoregressive = [1, first, second];
    } else if (a !== 0) autoregressive = [1, -c / a];
  }
  return { autoregressive, movingAverage: multiply(autoregressive, response).slice(0, q + 1) };
}
