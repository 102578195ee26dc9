import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { quantileLevels } from '../forecaster.ts';
import { type Batch, contextFeatures, levelCount } from './features.ts';
import { randomFrom } from './random.ts';

/** So many lags make one step of the recurrent part: a shorter way for gradients, and a third of the time. */
export const patch = 4;
const recurrentUnits = 32;
const hiddenUnits = 48;

/** Chooses TensorFlow's WebAssembly backend, once per process or thread. */
export async function startTensorflow(): Promise<void> {
  if (tf.getBackend() === 'wasm') return;
  if (!(await tf.setBackend('wasm'))) throw new Error('the WebAssembly backend of TensorFlow.js does not start here');
  await tf.ready();
}

/**
 * The network: a recurrent layer (LSTM, Hochreiter and Schmidhuber 1997) over the scaled lags, its last state beside the context into a
 * hidden layer, and a straight linear way from all inputs to the output. What comes out is per step an offset of the median and the (raw) distances
 * of the other two quantiles, and how the levels are mixed from which the offsets count.
 */
export class Network {
  readonly lags: number;
  readonly steps: number;
  readonly #model: layers.LayersModel;

  constructor(lags: number, steps: number, seed: number) {
    this.lags = lags;
    this.steps = steps;
    const random = randomFrom(seed);
    const initial = () => layers.initializers.glorotUniform({ seed: Math.floor(random() * 2 ** 31) });
    const outputs = quantileLevels.length * steps + levelCount;
    const lagsIn = layers.input({ shape: [lags] });
    const contextIn = layers.input({ shape: [contextFeatures] });
    const join = (...tensors: layers.SymbolicTensor[]) =>
      layers.layers.concatenate().apply(tensors) as layers.SymbolicTensor;
    const dense = (units: number, input: layers.SymbolicTensor, activation: 'relu' | 'linear') =>
      layers.layers.dense({ units, activation, kernelInitializer: initial() }).apply(input) as layers.SymbolicTensor;
    const patches = layers.layers
      .reshape({ targetShape: [lags / patch, patch] })
      .apply(lagsIn) as layers.SymbolicTensor;
    const recurrent = layers.layers
      .lstm({ units: recurrentUnits, kernelInitializer: initial(), recurrentInitializer: initial() })
      .apply(patches) as layers.SymbolicTensor;
    const hidden = dense(hiddenUnits, join(recurrent, contextIn), 'relu');
    const straight = layers.layers.dense({ units: outputs, useBias: false, kernelInitializer: 'zeros' });
    const output = layers.layers
      .add()
      .apply([dense(outputs, hidden, 'linear'), straight.apply(join(lagsIn, contextIn)) as layers.SymbolicTensor]);
    this.#model = layers.model({ inputs: [lagsIn, contextIn], outputs: output as layers.SymbolicTensor });
  }

  /** rows x 3 x steps: the quantiles, lowest first, in spreads of the window. To be called in `tf.tidy`. */
  quantiles({ rows, lags, context, levels }: Batch): tf.Tensor3D {
    const { steps } = this;
    const inputs = [tf.tensor2d(lags, [rows, this.lags]), tf.tensor2d(context, [rows, contextFeatures])];
    const output = this.#model.apply(inputs, { training: true }) as tf.Tensor2D;
    const [low, middle, high, mix] = tf.split(output, [steps, steps, steps, levelCount], 1) as tf.Tensor2D[];
    const weighted = tf.mul(tf.softmax(mix!), tf.tensor2d(levels, [rows, levelCount]));
    const median = tf.add(middle!, tf.sum(weighted, 1, true));
    return tf.stack([tf.sub(median, tf.softplus(low!)), median, tf.add(median, tf.softplus(high!))], 1) as tf.Tensor3D;
  }

  /** All parameters in one row; their number follows from lags and steps. */
  getParameters(): Float32Array {
    const parts = this.#model.getWeights().map((tensor) => tensor.dataSync() as Float32Array);
    const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** False, and nothing is changed, when there are not as many as this network has. */
  setParameters(parameters: Float32Array): boolean {
    const shapes = this.#model.getWeights().map(({ shape, size }) => ({ shape, size }));
    if (shapes.reduce((sum, { size }) => sum + size, 0) !== parameters.length) return false;
    let at = 0;
    tf.tidy(() => {
      const tensors = shapes.map(({ shape, size }) => {
        at += size;
        return tf.tensor(parameters.slice(at - size, at), shape);
      });
      this.#model.setWeights(tensors);
    });
    return true;
  }

  /** Makes all parameters but the biases smaller. */
  shrink(factor: number): void {
    tf.tidy(() => {
      for (const parameter of this.#model.trainableWeights)
        if (parameter.shape.length > 1) parameter.write(tf.mul(parameter.read(), factor));
    });
  }

  dispose(): void {
    this.#model.dispose();
  }
}
