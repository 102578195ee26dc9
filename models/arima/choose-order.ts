import { fitByConditionalSquares } from './conditional-squares.ts';
import { ArimaFilter } from './filter.ts';
import type { ArimaOrder } from './model.ts';

/** Share of the values that is held out to choose by. */
const heldOutShare = 0.3;
/** Errors are counted up to that many steps ahead, from every so many values. */
const stepsAhead = 12;
const originStride = 4;
/** A later order must be better than the best before it by that share: one that is better by chance is none. */
const margin = 0.02;
const seasonalMargin = 0.1;

const plain: readonly ArimaOrder[] = [
  { p: 1, d: 0, q: 1 },
  { p: 0, d: 1, q: 1 },
  { p: 1, d: 1, q: 1 },
  { p: 2, d: 0, q: 1 },
];

/** Small orders, and with a period (in steps) the seasonal ones beside them. */
function candidates(period: number | undefined): readonly ArimaOrder[] {
  if (period === undefined) return plain;
  const airline = { period, p: 0, d: 1, q: 1 };
  return [
    ...plain,
    { p: 1, d: 0, q: 1, seasonal: airline },
    { p: 0, d: 1, q: 1, seasonal: airline },
    { p: 1, d: 0, q: 1, seasonal: { period, p: 1, d: 0, q: 0 } },
  ];
}

/**
 * The order whose model, fitted on the first values, has the least mean absolute error on the others, 1 to 12 steps ahead.
 * Fitted by conditional squares, which costs a tenth of exact likelihood. Undefined where none can be fitted.
 */
export function chooseOrder(values: Float64Array, period: number | undefined): ArimaOrder | undefined {
  const split = Math.floor(values.length * (1 - heldOutShare));
  let best: { readonly order: ArimaOrder; readonly error: number } | undefined;
  for (const order of candidates(period)) {
    const model = fitByConditionalSquares(values.subarray(0, split), order);
    if (model === undefined) continue;
    const error = heldOutError(ArimaFilter.after(model, values.subarray(0, split)), values, split);
    const needed = order.seasonal === undefined ? margin : seasonalMargin;
    if (best === undefined || error < (1 - needed) * best.error) best = { order, error };
  }
  return best?.order;
}

function heldOutError(filter: ArimaFilter, values: Float64Array, split: number): number {
  let sum = 0;
  let count = 0;
  for (let index = split; index < values.length - 1; index += 1) {
    filter.push(values[index]!);
    if ((index - split) % originStride !== 0) continue;
    const { means } = filter.forecast(Math.min(stepsAhead, values.length - index - 1));
    for (const [step, mean] of means.entries()) sum += Math.abs(values[index + 1 + step]! - mean);
    count += means.length;
  }
  return sum / count;
}
