import assert from 'node:assert/strict';
import {
  decodeWeights,
  encodeWeights,
  type GlobalModel,
  meanPinballLoss,
  ridgeModel,
  type SeriesWindow,
  trainRidge,
  type Weights,
  WeightsError,
} from '@foremesh/models';
import { type LstmModel, type LstmOptions, lstmModel, trainLstm } from '@foremesh/models/lstm';
import { randomOf } from '../../support/generated.ts';

const range = { low: 0, high: 100 };
const intervalMs = 60_000;
const lags = 8;
const steps = 2;
const options: Partial<LstmOptions> = { lags, steps, updates: 200, batch: 64, lookEvery: 50, seed: 5 };

describe('lstm', () => {
  const histories = [1, 2, 3, 4].map((seed) => ramps(400, seed));
  let weights: Weights;
  let model: LstmModel;

  before(async function () {
    this.timeout(180_000);
    weights = (await trainLstm(histories, options))!;
    model = await lstmModel(weights);
  });
  after(() => model.dispose());

  it('learns what no linear map can: when a series that climbs will fall', () => {
    const ridge = ridgeModel(trainRidge(histories, { lags, steps })!);
    const unseen = ramps(600, 9);
    const [learned, linear] = [lossOn(model, unseen), lossOn(ridge, unseen)];
    assert.ok(learned < 0.6 * linear, `pinball loss ${learned}, of ridge ${linear}`);
  });

  it('says less than the whole range, never crosses, and stays in the range', () => {
    const extremes = [
      new Float64Array(8),
      new Float64Array(8).fill(100),
      Float64Array.of(0, 100, 0, 100, 0, 100, 0, 100),
    ];
    const windows = [...extremes, ...windowsOf(ramps(300, 11))].map(asWindow);
    const curves = model.predict(windows);
    assert.equal(curves.length, windows.length);
    for (const { q10, q50, q90 } of curves) {
      assert.equal(q50.length, steps);
      for (let step = 0; step < steps; step += 1) {
        assert.ok(0 <= q10[step]! && q10[step]! <= q50[step]! && q50[step]! <= q90[step]! && q90[step]! <= 100);
      }
    }
  });

  it('has something sensible to say of rates that know no upper end, also of none at all', () => {
    const unbounded = { low: 0, high: Number.POSITIVE_INFINITY };
    const idle = new Float64Array(40);
    const burst = Float64Array.from(idle, (_, index) => (index === 38 ? 1e12 : 0));
    for (const { q10, q90 } of model.predict([idle, burst].map((values) => ({ values, range: unbounded, intervalMs }))))
      assert.ok(q10.every((value) => value >= 0) && q90.every((value) => value < 1e14), `${q10} to ${q90}`);
  });

  it('predicts the same for a window by itself as in a batch, and whatever its unit', () => {
    const windows = windowsOf(ramps(300, 12)).map(asWindow);
    const together = model.predict(windows);
    const alone = model.predict([windows[7]!])[0]!;
    assertClose(alone.q90, together[7]!.q90, 1e-3);
    const scale = (values: Float64Array) => values.map((value) => value / 100);
    const inShares = model.predict([{ values: scale(windows[7]!.values), range: { low: 0, high: 1 }, intervalMs }])[0]!;
    assertClose(
      inShares.q90.map((value) => 100 * value),
      alone.q90,
      1e-3,
    );
  });

  it('is as unsure of a series that has no range, or rested lately, whatever its unit', () => {
    const { values } = ramps(300, 12);
    const resting = Float64Array.from(values, (value, index) => (index < 290 ? value : 0));
    for (const low of [0, Number.NEGATIVE_INFINITY]) {
      const open = { low, high: Number.POSITIVE_INFINITY };
      for (const usual of [values, resting]) {
        const tiny = usual.map((value) => value * 1e-12);
        const [one, other] = model.predict([usual, tiny].map((each) => ({ values: each, range: open, intervalMs })));
        assert.ok(one!.q90[0]! > one!.q10[0]!);
        for (const curve of ['q10', 'q50', 'q90'] as const)
          assertClose(
            other![curve].map((value) => value * 1e12),
            one![curve],
            1e-3,
          );
      }
    }
  });

  it('reads a longer past where there is one, and none of what lies before a gap', () => {
    const { values } = ramps(300, 13);
    const gap = values.slice();
    gap[300 - lags - 1] = Number.NaN;
    const short = asWindow(values.subarray(300 - lags));
    const [long, cut, brief] = model.predict([asWindow(values), asWindow(gap), short]) as [Curve, Curve, Curve];
    assertClose(cut.q50, brief.q50, 1e-3);
    assert.notDeepEqual(long.q50, brief.q50);
  });

  it('has the same weights by the same seed, others by another', async function () {
    this.timeout(120_000);
    const few = { ...options, updates: 6, lookEvery: 3 };
    const [once, again] = [await trainLstm(histories, few), await trainLstm(histories, few)];
    assert.deepEqual(once, again);
    assert.notDeepEqual((await trainLstm(histories, { ...few, seed: 6 }))!.parameters, once!.parameters);
  });

  it('stops when it does not get better, and keeps what was best', async function () {
    this.timeout(120_000);
    const seen: number[] = [];
    // So steep that it gets lost.
    const wild = { ...options, learningRate: 3, gradientMost: 1e6, updates: 400, lookEvery: 2, patience: 2 };
    const found = await trainLstm(histories, { ...wild, onProgress: ({ bestLoss }) => seen.push(bestLoss) });
    assert.ok(seen.length < 200, `${seen.length} looks`);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => b - a),
    );
    assert.ok(found!.parameters.every(Number.isFinite));
  });

  it('predicts the same from its bytes', async () => {
    const again = await lstmModel(decodeWeights(encodeWeights(weights)));
    const windows = windowsOf(ramps(100, 14)).map(asWindow);
    assert.deepEqual(again.predict(windows), model.predict(windows));
    again.dispose();
  });

  it('refuses windows that are too short, histories that do not fit, and weights of something else', async () => {
    assert.throws(() => model.predict([asWindow(new Float64Array(7))]), /a window of 7 values, 8 are needed/);
    assert.equal(await trainLstm([], options), undefined);
    assert.equal(await trainLstm([ramps(11, 1)], options), undefined);
    await assert.rejects(trainLstm([...histories, { ...histories[0]!, intervalMs: 5_000 }], options), RangeError);
    await assert.rejects(trainLstm(histories, { ...options, lags: 10 }), RangeError);
    await assert.rejects(lstmModel({ ...weights, model: 'ridge' }), WeightsError);
    await assert.rejects(lstmModel({ ...weights, version: weights.version + 1 }), WeightsError);
    for (const wrong of [{ steps: 3 }, { lags: 10 }, { lags: 12 }, { lags: 4_000_000_000, steps: 1 }])
      await assert.rejects(lstmModel({ ...weights, ...wrong }), WeightsError);
  });
});

type Curve = ReturnType<GlobalModel['predict']>[number];

/** Climbs from a low start until it passes 80, then falls to another start: which regime comes next hangs on a threshold. */
function ramps(length: number, seed: number): SeriesWindow {
  const { uniform: random } = randomOf(seed);
  let value = 10 + 40 * random();
  const values = Float64Array.from({ length }, () => {
    value = value > 80 ? 10 + 20 * random() : value + 9 + 2 * random();
    return value;
  });
  return asWindow(values);
}

function asWindow(values: Float64Array): SeriesWindow {
  return { values, range, intervalMs };
}

/** Everything that precedes an origin, for each origin of the series. */
function windowsOf({ values }: SeriesWindow): Float64Array[] {
  return Array.from({ length: values.length - steps - lags }, (_, index) => values.subarray(0, lags + index));
}

function lossOn(model: GlobalModel, series: SeriesWindow): number {
  const windows = windowsOf(series);
  const losses = model.predict(windows.map(asWindow)).map((curves, index) => {
    const { length } = windows[index]!;
    return meanPinballLoss(curves, series.values.subarray(length, length + steps));
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

function assertClose(found: readonly number[], wanted: readonly number[], most: number): void {
  for (const [index, value] of found.entries())
    assert.ok(Math.abs(value - wanted[index]!) <= most, `${found} is not ${wanted}`);
}
