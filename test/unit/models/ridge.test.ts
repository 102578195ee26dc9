import assert from 'node:assert/strict';
import {
  decodeWeights,
  encodeWeights,
  ridgeModel,
  type SeriesWindow,
  trainRidge,
  WeightsError,
} from '@foremesh/models';
import { randomOf } from '../../support/generated.ts';

const range = { low: 0, high: 100 };
const options = { lags: 8, steps: 3, penalty: 1e-6 };

/** Waves of one period: each value follows from the two before it, whatever mean and size. */
function wave(length: number, period: number, phase: number, middle = 50, size = 20): SeriesWindow {
  const values = Float64Array.from(
    { length },
    (_, index) => middle + size * Math.sin((2 * Math.PI * index) / period + phase),
  );
  return { values, range, intervalMs: 60_000 };
}

describe('ridge', () => {
  it('finds the linear map that there is, and applies it to series it has not seen', () => {
    const model = ridgeModel(trainRidge([wave(200, 9, 0), wave(200, 9, 1, 30, 5)], options)!);
    const whole = wave(40, 9, 2, 60, 12).values;
    const [curves] = model.predict([{ values: whole.slice(0, 37), range, intervalMs: 60_000 }]);
    for (let step = 0; step < 3; step += 1) {
      assert.ok(Math.abs(curves!.q50[step]! - whole[37 + step]!) < 0.1, `step ${step}`);
      assert.ok(curves!.q10[step]! <= curves!.q50[step]! && curves!.q50[step]! <= curves!.q90[step]!);
    }
    assert.equal(curves!.intervalMs, 60_000);
  });

  it('is as unsure as its errors were: 80 % of what comes lies in the band', () => {
    const noise = noiseFrom(7);
    const series = (length: number) => ({ ...wave(length, 9, 0), values: Float64Array.from({ length }, noise) });
    const model = ridgeModel(trainRidge([series(4_000)], options)!);
    const { values } = series(4_000);
    let within = 0;
    for (let origin = 8; origin < 3_997; origin += 1) {
      const [curves] = model.predict([{ values: values.subarray(0, origin), range, intervalMs: 60_000 }]);
      if (values[origin]! >= curves!.q10[0]! && values[origin]! <= curves!.q90[0]!) within += 1;
    }
    assert.ok(Math.abs(within / 3_989 - 0.8) < 0.03, `${within / 3_989}`);
  });

  it('stays in the range, for windows at its edge too, and for constant ones', () => {
    const model = ridgeModel(trainRidge([wave(400, 9, 0, 50, 50)], options)!);
    const constant = (value: number) => ({ values: new Float64Array(8).fill(value), range, intervalMs: 60_000 });
    for (const curves of model.predict([constant(0), constant(100), wave(8, 3, 0, 99, 1)])) {
      const all = [...curves.q10, ...curves.q50, ...curves.q90];
      assert.ok(all.every((value) => value >= 0 && value <= 100));
    }
  });

  it('has something sensible to say of rates that know no upper end, also of none at all', () => {
    const unbounded = { low: 0, high: Number.POSITIVE_INFINITY };
    const rates = { values: wave(200, 9, 0).values.map((value) => value * 1e6), range: unbounded, intervalMs: 60_000 };
    const model = ridgeModel(trainRidge([rates, { ...rates, values: new Float64Array(50) }], options)!);
    const [busy, idle] = model.predict([rates, { ...rates, values: new Float64Array(8) }]);
    assert.ok(busy!.q50.every((value) => value > 29e6 && value < 71e6));
    assert.ok(idle!.q10.every((value) => value === 0) && idle!.q90.every((value) => value < 1));
  });

  it('says the same of a series in whatever unit, also of one that rests', () => {
    const bursts = Float64Array.from({ length: 400 }, (_, index) =>
      index % 40 < 20 ? 0 : 2 + Math.sin(index * index),
    );
    const foretold = (unit: number, high: number) => {
      const inUnit = {
        values: bursts.map((value) => value * unit),
        range: { low: 0, high: high * unit },
        intervalMs: 1,
      };
      const model = ridgeModel(trainRidge([inUnit], options)!);
      const ends = [390, 380, 370];
      return model.predict(ends.map((end) => ({ ...inUnit, values: inUnit.values.subarray(0, end) })));
    };
    for (const high of [10, Number.POSITIVE_INFINITY])
      for (const [index, { q10, q50, q90 }] of foretold(1e-12, high).entries()) {
        const same = foretold(1, high)[index]!;
        for (let step = 0; step < 3; step += 1)
          for (const [tiny, usual] of [
            [q10, same.q10],
            [q50, same.q50],
            [q90, same.q90],
          ] as const)
            assert.ok(Math.abs(tiny[step]! * 1e12 - usual[step]!) < 1e-6, `${tiny[step]} and ${usual[step]}`);
      }
  });

  it('leaves out windows with a gap, and has nothing to say without a whole one', () => {
    const gaps = wave(200, 9, 0);
    gaps.values.fill(Number.NaN, 100, 105);
    assert.equal(trainRidge([gaps], options)!.trainedOn.windows, 90 + 85);
    assert.equal(trainRidge([gaps], { ...options, stride: 5 })!.trainedOn.windows, 18 + 17);
    const short = { ...gaps, values: gaps.values.slice(95, 115) };
    assert.equal(trainRidge([short], options), undefined);
    assert.equal(trainRidge([], options), undefined);
  });

  it('refuses windows that are too short, histories of two intervals, and weights of something else', () => {
    const weights = trainRidge([wave(200, 9, 0)], options)!;
    assert.throws(() => ridgeModel(weights).predict([wave(7, 9, 0)]), /a window of 7 values, 8 are needed/);
    assert.throws(() => trainRidge([wave(200, 9, 0), { ...wave(200, 9, 0), intervalMs: 5_000 }], options), RangeError);
    assert.throws(() => ridgeModel({ ...weights, model: 'lstm' }), WeightsError);
    assert.throws(() => ridgeModel({ ...weights, version: 2 }), WeightsError);
    assert.throws(() => ridgeModel({ ...weights, lags: 9 }), WeightsError);
  });

  it('predicts the same from its bytes', () => {
    const weights = trainRidge([wave(200, 9, 0)], options)!;
    const windows = [wave(20, 9, 1)];
    const again = ridgeModel(decodeWeights(encodeWeights(weights)));
    assert.deepEqual(again.predict(windows), ridgeModel(weights).predict(windows));
  });
});

/** Numbers between 40 and 60 without any pattern. */
function noiseFrom(seed: number): () => number {
  const { uniform } = randomOf(seed);
  return () => 40 + 20 * uniform();
}
