import { measured } from '../baselines/empirical-bands.ts';
import type { ForecasterFactory, GlobalModel } from '../forecaster.ts';
import { lastValue } from '../last-value.ts';

/**
 * A global model as the forecaster of one series. It reads windows without gaps: a missing value stays what the one before was. Before there are as many values as
 * it reads, it is the last value that is said. Beyond the model's farthest step its last point goes on.
 */
export const singleSeriesOf =
  (learned: GlobalModel): ForecasterFactory =>
  (series) => {
    const { intervalMs, range } = series;
    const young = lastValue(series);
    const { model, lags, context = lags } = learned;
    const values: number[] = [];
    return {
      model,
      observe(value) {
        young.observe(value);
        const known = measured(value, range) ?? values.at(-1);
        if (known === undefined) return;
        values.push(known);
        if (values.length > context) values.shift();
      },
      forecast(steps) {
        if (values.length < lags) return young.forecast(steps);
        const [curves] = learned.predict([{ intervalMs, range, values: Float64Array.from(values) }]);
        const upTo = (curve: readonly number[]) =>
          Array.from({ length: steps }, (_, step) => curve[Math.min(step, curve.length - 1)]!);
        return { intervalMs, q10: upTo(curves!.q10), q50: upTo(curves!.q50), q90: upTo(curves!.q90) };
      },
    };
  };
