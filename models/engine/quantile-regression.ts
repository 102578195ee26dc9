import { minimise } from './lbfgs.ts';

/** Half the width, in scaled units, over which the kink of the pinball loss is rounded. */
const smoothing = 0.02;

export interface RegressionProblem {
  /** Row by row, `stride` numbers each, of which the first `columns` are used. */
  readonly features: Float32Array;
  readonly stride: number;
  readonly columns: number;
  readonly targets: Float32Array;
  readonly weights: Float32Array;
  /** Of the quantile that is sought, between 0 and 1. */
  readonly level: number;
  /** Coefficients that thin evidence falls back on. */
  readonly prior: Float64Array;
  /** Strength of the pull to `prior`. */
  readonly ridge: number;
  /** Where to begin; may lie anywhere. */
  readonly start: Float64Array;
  readonly iterationsMost: number;
}

/**
 * Linear quantile regression (Koenker and Bassett 1978) with a smoothed pinball loss (Zheng 2011: the kink becomes a
 * logistic), weighted rows and a ridge penalty towards `prior`; minimised by L-BFGS.
 */
export function fitQuantile(problem: RegressionProblem): Float64Array {
  const { features, stride, columns, targets, weights, level, prior, ridge } = problem;
  const rows = targets.length;
  let total = 0;
  for (let row = 0; row < rows; row += 1) total += weights[row]!;
  if (total === 0) return prior.slice();
  const objective = (at: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    let loss = 0;
    for (let row = 0, base = 0; row < rows; row += 1, base += stride) {
      let predicted = 0;
      for (let column = 0; column < columns; column += 1) predicted += features[base + column]! * at[column]!;
      const residual = targets[row]! - predicted;
      const z = residual / smoothing;
      // level * r + s * ln(1 + exp(-r/s)), without overflow
      const tail = Math.exp(-Math.abs(z));
      loss += weights[row]! * (level * residual + smoothing * (Math.max(0, -z) + Math.log1p(tail)));
      const below = z >= 0 ? tail / (1 + tail) : 1 / (1 + tail);
      const slope = (weights[row]! * (below - level)) / total;
      for (let column = 0; column < columns; column += 1) gradient[column]! += slope * features[base + column]!;
    }
    loss /= total;
    for (let column = 0; column < columns; column += 1) {
      const away = at[column]! - prior[column]!;
      loss += ridge * away * away;
      gradient[column]! += 2 * ridge * away;
    }
    return loss;
  };
  return minimise(objective, problem.start, problem.iterationsMost);
}
