import { measured, wholeRange } from '../baselines/empirical-bands.ts';
import type { ForecasterFactory, GlobalModel } from '../forecaster.ts';

/**
 * A global model as the forecaster of one series. It reads windows without gaps: a missing value stays what the one before was, and before the first value there
 * was the same. Beyond the model's farthest step its last point goes on.
 */
export const singleSeriesOf =
  (learned: GlobalModel): ForecasterFactory =>
  ({ intervalMs, range }) => {
    const { model, lags, context = lags } = learned;
    const values: number[] = [];
    return {
      model,
      observe(value) {
        const known = measured(value, range) ?? values.at(-1);
        if (known === undefined) return;
        values.push(known);
        if (values.length > context) values.shift();
      },
      forecast(steps) {
        const [first] = values;
        if (first === undefined) return wholeRange(intervalMs, range, steps);
        const before: number[] = Array(Math.max(0, lags - values.length)).fill(first);
        const [curves] = learned.predict([{ intervalMs, range, values: Float64Array.from([...before, ...values]) }]);
        const upTo = (curve: readonly number[]) =>
          Array.from({ length: steps }, (_, step) => curve[Math.min(step, curve.length - 1)]!);
        return { intervalMs, q10: upTo(curves!.q10), q50: upTo(curves!.q50), q90: upTo(curves!.q90) };
      },
    };
  };
