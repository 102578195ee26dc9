import * as tf from '@tensorflow/tfjs-core';
import type { GlobalModel, QuantileCurves, SeriesWindow } from '../forecaster.ts';
import { expectWeightsOf, type Weights, WeightsError } from '../global/weights.ts';
import { contextOf, emptyBatch, readWindow } from './features.ts';
import { Network, patch, startTensorflow } from './network.ts';
import { lstmModelName, lstmVersion } from './training.ts';

/** Windows that go through the network at once: more take more memory and are no faster. */
const chunk = 256;

export interface LstmModel extends GlobalModel {
  /** Gives back what TensorFlow holds; nothing may be predicted after. */
  dispose(): void;
}

/** The model of such weights. Throws a `WeightsError` for weights of something else. */
export async function lstmModel(weights: Weights): Promise<LstmModel> {
  expectWeightsOf(lstmModelName, lstmVersion, weights);
  const { lags, steps, parameters } = weights;
  const misfit = new WeightsError(
    'corrupt',
    `${parameters.length} parameters, ${lags} lags and ${steps} steps make no network`,
  );
  // There are more parameters than that: nothing huge is built for a header that is wrong.
  if (lags % patch !== 0 || lags * steps > parameters.length) throw misfit;
  await startTensorflow();
  const network = new Network(lags, steps, 0);
  if (!network.setParameters(parameters)) {
    network.dispose();
    throw misfit;
  }
  return {
    model: lstmModelName,
    lags,
    context: contextOf(lags),
    steps,
    predict: (windows) => {
      const curves: QuantileCurves[] = [];
      for (let start = 0; start < windows.length; start += chunk)
        curves.push(...predictChunk(network, windows.slice(start, start + chunk)));
      return curves;
    },
    dispose: () => network.dispose(),
  };
}

function predictChunk(network: Network, windows: readonly SeriesWindow[]): QuantileCurves[] {
  const { lags, steps } = network;
  const batch = emptyBatch(windows.length, lags);
  const scales = windows.map(({ values, range }, row) => {
    if (values.length < lags) throw new RangeError(`a window of ${values.length} values, ${lags} are needed`);
    return readWindow(values, values.length, range, lags, batch, row);
  });
  // Read after `tidy`, which looks for tensors in what it returns: number by number.
  const quantiles = tf.tidy(() => network.quantiles(batch));
  const numbers = quantiles.dataSync();
  quantiles.dispose();
  return windows.map(({ range, intervalMs }, row) => {
    const { mean, spread } = scales[row]!;
    const curve = (level: number) => {
      const values: number[] = [];
      for (let at = (row * 3 + level) * steps, end = at + steps; at < end; at += 1)
        values.push(Math.min(range.high, Math.max(range.low, mean + spread * numbers[at]!)));
      return values;
    };
    return { intervalMs, q10: curve(0), q50: curve(1), q90: curve(2) };
  });
}
