import * as tf from '@tensorflow/tfjs-core';
import { quantileLevels, type SeriesWindow } from '../forecaster.ts';
import { originsIn } from '../global/scaling.ts';
import type { Weights } from '../global/weights.ts';
import { type Batch, emptyBatch, readWindow } from './features.ts';
import { Network, patch, startTensorflow } from './network.ts';
import { randomFrom } from './random.ts';

export interface LstmOptions {
  /** A multiple of 4. */
  readonly lags: number;
  readonly steps: number;
  /** The same seed and histories give the same weights. */
  readonly seed: number;
  /** Most updates of the weights. */
  readonly updates: number;
  /** Windows per update. */
  readonly batch: number;
  readonly learningRate: number;
  /** The length to which longer gradients are cut. */
  readonly gradientMost: number;
  /**
   * How much smaller parameters become with each update, times its rate and over the number of windows: few are not learned by heart, and many are not
   * held back.
   */
  readonly decay: number;
  /** The last part of each history, which is not learned from: it tells when to stop. */
  readonly validationShare: number;
  /** Windows of that part that are looked at. */
  readonly validationWindows: number;
  /** Updates between two looks. */
  readonly lookEvery: number;
  /** Looks without anything better after which it stops. */
  readonly patience: number;
  /** How much more an error of a restless window counts: the power of its spread. */
  readonly weightPower: number;
  readonly onProgress?: (progress: LstmProgress) => void;
}

export interface LstmProgress {
  readonly update: number;
  readonly updates: number;
  /** Mean pinball loss on the validation windows so far at best; in shares of the range. */
  readonly bestLoss: number;
}

export const lstmDefaults: LstmOptions = {
  lags: 48,
  steps: 12,
  seed: 1,
  updates: 600,
  batch: 128,
  learningRate: 0.005,
  gradientMost: 1,
  decay: 4_000,
  validationShare: 0.15,
  validationWindows: 1_024,
  lookEvery: 50,
  patience: 5,
  weightPower: 0.5,
};

export const lstmModelName = 'lstm';
export const lstmVersion = 1;

/** Targets are cut to so many spreads: after idle hours a burst is as far away as any other. */
const targetMost = 50;

interface Source {
  readonly history: SeriesWindow;
  readonly origins: Uint32Array;
}

interface Examples extends Batch {
  /** rows x steps, in spreads. */
  readonly targets: Float32Array;
  /** What an error of one spread costs. */
  readonly costs: Float32Array;
}

/**
 * Trains one network for all series, which must have the same interval. Undefined where no series is long enough to learn from and to look at.
 * Takes the thread for seconds to minutes: it belongs into a worker.
 */
export async function trainLstm(
  histories: readonly SeriesWindow[],
  options: Partial<LstmOptions> = {},
): Promise<Weights | undefined> {
  const all = { ...lstmDefaults, ...options };
  const { lags, steps, seed, updates, batch, validationWindows, lookEvery, patience } = all;
  if (lags % patch !== 0) throw new RangeError(`lags come in multiples of ${patch}, not ${lags}`);
  const intervalMs = histories[0]?.intervalMs ?? 0;
  const other = histories.find((history) => history.intervalMs !== intervalMs);
  if (other !== undefined)
    throw new RangeError(`histories of ${intervalMs} and of ${other.intervalMs} ms do not make one network`);
  const { training, validation } = separate(histories, all);
  if (training.length === 0 || validation.length === 0) return undefined;

  await startTensorflow();
  const windows = training.reduce((sum, { origins }) => sum + origins.length, 0);
  const decay = all.decay / windows;
  const random = randomFrom(seed);
  const network = new Network(lags, steps, Math.floor(random() * 2 ** 31));
  const optimizer = new SlowingAdam(all.learningRate);
  try {
    // Looked at in batches as well: more at once would only take memory.
    const looks = Math.ceil(validationWindows / batch);
    const looked = Array.from({ length: looks }, () => draw(validation, batch, all, random));
    const look = (examples: Examples) => tf.tidy(() => lossOf(network, examples).dataSync()[0]!);
    let best = { loss: Number.POSITIVE_INFINITY, parameters: network.getParameters() };
    for (let update = 1, since = 0; update <= updates && since < patience; update += 1) {
      const rate = all.learningRate * (1 - (update - 1) / updates);
      optimizer.slowTo(rate);
      improve(network, optimizer, draw(training, batch, all, random), all.gradientMost);
      network.shrink(1 - Math.min(1, rate * decay));
      if (update % lookEvery !== 0 && update !== updates) continue;
      const loss = looked.reduce((sum, examples) => sum + look(examples), 0) / looks;
      since = loss < best.loss ? 0 : since + 1;
      if (loss < best.loss) best = { loss, parameters: network.getParameters() };
      all.onProgress?.({ update, updates, bestLoss: best.loss });
    }
    const trainedOn = { series: training.length, windows };
    return {
      model: lstmModelName,
      version: lstmVersion,
      lags,
      steps,
      intervalMs,
      trainedOn,
      parameters: best.parameters,
    };
  } finally {
    optimizer.dispose();
    network.dispose();
  }
}

/** Adam (Kingma and Ba 2015) with steps that become smaller, so that it settles; with `shrink`, as Loshchilov and Hutter (2019) have it. */
class SlowingAdam extends tf.AdamOptimizer {
  constructor(learningRate: number) {
    super(learningRate, 0.9, 0.999);
  }

  slowTo(learningRate: number): void {
    this.learningRate = learningRate;
  }
}

/** By time, so that no value is both learned from and looked at. */
function separate(histories: readonly SeriesWindow[], { lags, steps, validationShare }: LstmOptions) {
  const [training, validation]: [Source[], Source[]] = [[], []];
  for (const history of histories) {
    const border = Math.floor(history.values.length * (1 - validationShare));
    const origins = originsIn(history.values, lags, steps);
    const early = origins.filter((origin) => origin + steps <= border);
    const late = origins.filter((origin) => origin >= border);
    if (early.length > 0) training.push({ history, origins: early });
    if (late.length > 0) validation.push({ history, origins: late });
  }
  return { training, validation };
}

/** Any series is as likely as any other, whatever its length. */
function draw(
  sources: readonly Source[],
  rows: number,
  { lags, steps, weightPower }: LstmOptions,
  random: () => number,
): Examples {
  const batch = emptyBatch(rows, lags);
  const targets = new Float32Array(rows * steps);
  const costs = new Float32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    const { history, origins } = sources[Math.floor(random() * sources.length)]!;
    const { values, range } = history;
    const origin = origins[Math.floor(random() * origins.length)]!;
    const { mean, spread, share } = readWindow(values, origin, range, lags, batch, row);
    for (let step = 0; step < steps; step += 1) {
      const ahead = (values[origin + step]! - mean) / spread;
      targets[row * steps + step] = Math.min(targetMost, Math.max(-targetMost, ahead));
    }
    costs[row] = share ** weightPower;
  }
  return { ...batch, targets, costs };
}

/** Mean pinball loss, each window's by its cost. */
function lossOf(network: Network, examples: Examples): tf.Scalar {
  const { rows, targets, costs } = examples;
  const { steps } = network;
  const errors = tf.sub(tf.tensor3d(targets, [rows, 1, steps]), network.quantiles(examples));
  const levels = tf.tensor3d([...quantileLevels], [1, quantileLevels.length, 1]);
  const losses = tf.maximum(tf.mul(errors, levels), tf.mul(errors, tf.sub(levels, 1)));
  return tf.mean(tf.mul(losses, tf.tensor3d(costs, [rows, 1, 1]))) as tf.Scalar;
}

/** One step down the gradient, which is cut to a length (Pascanu, Mikolov and Bengio 2013). */
function improve(network: Network, optimizer: tf.Optimizer, examples: Examples, gradientMost: number): void {
  tf.tidy(() => {
    const { grads } = optimizer.computeGradients(() => lossOf(network, examples));
    const squares = Object.values(grads).map((gradient) => tf.sum(tf.square(gradient)));
    const length = tf.sqrt(tf.addN(squares));
    const factor = tf.div(gradientMost, tf.maximum(length, gradientMost));
    const cut = Object.fromEntries(Object.entries(grads).map(([name, gradient]) => [name, tf.mul(gradient, factor)]));
    optimizer.applyGradients(cut);
  });
}
