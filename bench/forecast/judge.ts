import { countCovered, meanAbsoluteError, meanPinballLoss, naiveScale } from '@foremesh/models';
import { quantile } from '../spine/statistics.ts';
import type { Origins, Simulated } from './simulate.ts';
import { horizon, type TraceSet } from './traces.ts';

/** Values that a history has at most. */
const historyLength = 288;
/** Histories that change less are left out of MASE. */
const scaleLeast = 0.01;

export interface Estimate {
  readonly mean: number;
  /** Two standard errors, clustered by series. */
  readonly error: number;
}

export interface Judgement {
  readonly windows: number;
  readonly mae: Estimate;
  readonly mase: Estimate;
  /** Mean pinball loss; of network series as a share of the series' 99th percentile before its first origin. */
  readonly pb: Estimate;
  /** Of the 80 % band: edges count as inside, and as half. */
  readonly coverage: Estimate;
  readonly coverageHalf: Estimate;
}

export function judge(set: TraceSet, origins: Origins, { curves }: Simulated): Judgement {
  const measures = { mae: new Clustered(), mase: new Clustered(), pb: new Clustered() };
  const coverage = new Clustered();
  const coverageHalf = new Clustered();
  let windows = 0;
  for (const [key, list] of origins) {
    const values = set.series.get(key)!;
    const unit = Number.isFinite(set.range.high) ? 1 : quantile([...values.subarray(0, list[0])], 0.99);
    for (const [index, origin] of list.entries()) {
      const actual = values.subarray(origin, origin + horizon);
      const forecast = curves.get(key)![index]!;
      const error = meanAbsoluteError(forecast, actual);
      const scale = naiveScale(values.subarray(Math.max(0, origin - historyLength), origin));
      const { within, onEdge } = countCovered(forecast, actual);
      windows += 1;
      measures.mae.add(key, error);
      if (scale >= scaleLeast) measures.mase.add(key, error / scale);
      if (unit > 0) measures.pb.add(key, meanPinballLoss(forecast, actual) / unit);
      coverage.add(key, (within + onEdge) / actual.length);
      coverageHalf.add(key, (within + onEdge / 2) / actual.length);
    }
  }
  return {
    windows,
    mae: measures.mae.estimate(),
    mase: measures.mase.estimate(),
    pb: measures.pb.estimate(),
    coverage: coverage.estimate(),
    coverageHalf: coverageHalf.estimate(),
  };
}

/** A mean over windows whose series are independent of each other, while windows of one series are not. */
class Clustered {
  readonly #clusters = new Map<string, number[]>();

  add(cluster: string, value: number): void {
    const values = this.#clusters.get(cluster) ?? [];
    values.push(value);
    this.#clusters.set(cluster, values);
  }

  estimate(): Estimate {
    const clusters = [...this.#clusters.values()];
    const all = clusters.flat();
    const mean = all.reduce((sum, each) => sum + each, 0) / all.length;
    const squares = clusters.map((values) => values.reduce((sum, each) => sum + each - mean, 0) ** 2);
    const correction = clusters.length > 1 ? clusters.length / (clusters.length - 1) : Number.NaN;
    const error = (2 * Math.sqrt(correction * squares.reduce((sum, each) => sum + each, 0))) / all.length;
    return { mean, error };
  }
}
