import { type QuantileCurves, quantileLevels } from '../forecaster.ts';

/**
 * The pinball loss of a quantile forecast (Koenker and Bassett 1978; not doubled): the lower the better, least in the mean
 * where `forecast` is the quantile at `level`.
 */
export function pinballLoss(actual: number, forecast: number, level: number): number {
  const difference = actual - forecast;
  return difference >= 0 ? level * difference : (level - 1) * difference;
}

/** Mean pinball loss over the three quantiles and all steps of `actual`. */
export function meanPinballLoss(curves: QuantileCurves, actual: ArrayLike<number>): number {
  let sum = 0;
  for (let step = 0; step < actual.length; step += 1) {
    const value = actual[step]!;
    sum +=
      pinballLoss(value, curves.q10[step]!, quantileLevels[0]) +
      pinballLoss(value, curves.q50[step]!, quantileLevels[1]) +
      pinballLoss(value, curves.q90[step]!, quantileLevels[2]);
  }
  return sum / (3 * actual.length);
}

/** How many of `actual` lie strictly within the 80 % band, and how many on one of its edges. */
export function countCovered(
  curves: QuantileCurves,
  actual: ArrayLike<number>,
): { readonly within: number; readonly onEdge: number } {
  let within = 0;
  let onEdge = 0;
  for (let step = 0; step < actual.length; step += 1) {
    const value = actual[step]!;
    const low = curves.q10[step]!;
    const high = curves.q90[step]!;
    if (value > low && value < high) within += 1;
    else if (value === low || value === high) onEdge += 1;
  }
  return { within, onEdge };
}

/** Mean absolute error of the point forecast: the median, unless the model says otherwise. */
export function meanAbsoluteError(curves: QuantileCurves, actual: ArrayLike<number>): number {
  let sum = 0;
  for (let step = 0; step < actual.length; step += 1)
    sum += Math.abs(actual[step]! - (curves.point ?? curves.q50)[step]!);
  return sum / actual.length;
}

/** The scale of MASE (Hyndman and Koehler 2006): mean absolute change over `season` steps; NaN for too short a history. */
export function naiveScale(history: ArrayLike<number>, season = 1): number {
  let sum = 0;
  for (let index = season; index < history.length; index += 1)
    sum += Math.abs(history[index]! - history[index - season]!);
  return sum / (history.length - season);
}
