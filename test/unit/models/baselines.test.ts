import assert from 'node:assert/strict';
import {
  climatology,
  dampedSmoothing,
  movingAverage,
  persistence,
  seasonalNaive,
  simpleSmoothing,
} from '@foremesh/models';
import fc from 'fast-check';
import { SortedWindow } from '../../../models/baselines/sorted-window.ts';

const options = { intervalMs: 1, range: { low: -1e9, high: 1e9 } };

function fedWith(factory: typeof persistence, values: Iterable<number>) {
  const forecaster = factory(options);
  for (const value of values) forecaster.observe(value);
  return forecaster;
}

/** What type 7 of Hyndman and Fan says, from scratch. */
function quantileOf(values: readonly number[], level: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  const position = level * (sorted.length - 1);
  const below = sorted[Math.floor(position)]!;
  return below + (position % 1) * (sorted[Math.ceil(position)]! - below);
}

describe('baselines', () => {
  const count = Array.from({ length: 40 }, (_, index) => index);

  it('persistence: errors of a line are as far as the step', () => {
    const { q10, q50, q90, point } = fedWith(persistence, count).forecast(3);
    assert.deepEqual(
      [q10, q50, q90, point],
      [
        [40, 41, 42],
        [40, 41, 42],
        [40, 41, 42],
        [39, 39, 39],
      ],
    );
  });

  it('moving average: the mean of the last values', () => {
    const { point } = fedWith(movingAverage(4), count).forecast(2);
    assert.deepEqual(point, [37.5, 37.5]);
  });

  it('climatology: the quantiles of the last 288 values, older ones gone', () => {
    const values = Array.from({ length: 700 }, (_, index) => (index * 7919) % 1009);
    const { q10, q50, q90 } = fedWith(climatology, values).forecast(1);
    const last = values.slice(-288);
    assert.deepEqual(
      [q10, q50, q90],
      [0.1, 0.5, 0.9].map((level) => [quantileOf(last, level)]),
    );
  });

  it('seasonal naive: the season repeats, and what it missed by is the band', () => {
    const season = [5, 1, 9];
    const steady = fedWith(seasonalNaive(3), [...season, ...season, ...season, ...season]).forecast(7);
    for (const curve of [steady.q10, steady.q50, steady.q90]) assert.deepEqual(curve, [5, 1, 9, 5, 1, 9, 5]);
    const shifted = fedWith(seasonalNaive(3), [...season, ...season.map((value) => value + 2)]).forecast(3);
    assert.deepEqual(shifted.point, [7, 3, 11]);
    assert.deepEqual(shifted.q50, [9, 5, 13]);
  });

  it('simple smoothing: a walk is followed, noise is averaged', () => {
    let state = 7;
    const noise = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state / 2 ** 32 - 0.5;
    };
    let at = 0;
    const walk = Array.from({ length: 288 }, () => (at += noise()));
    assert.ok(Math.abs(fedWith(simpleSmoothing, walk).forecast(1).point![0]! - walk.at(-1)!) < 0.2);
    const still = Array.from({ length: 288 }, noise);
    assert.ok(Math.abs(fedWith(simpleSmoothing, still).forecast(1).point![0]!) < 0.15);
  });

  it('damped smoothing: a trend goes on, and comes to rest', () => {
    const point = fedWith(dampedSmoothing, count).forecast(30).point!;
    assert.ok(point[0]! > 39.5 && point[29]! > point[0]!, `${point[0]} ${point[29]}`);
    assert.ok(point[29]! - point[28]! < point[1]! - point[0]!);
  });

  it('sorted windows have the quantiles of what is in them, in both precisions', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        fc.constantFrom(Float32Array, Float64Array),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, capacity, Precision, level) => {
          const window = new SortedWindow(capacity, new Precision(capacity + 1));
          for (const [index, value] of values.entries()) window.replace(value, values[index - capacity] ?? 0);
          const kept = values.slice(-capacity).map((value) => Precision.of(value)[0]!);
          const expected = quantileOf(kept, level);
          assert.ok(Math.abs(window.quantile(level) - expected) <= 1e-9 * Math.max(1, Math.abs(expected)));
        },
      ),
    );
  });
});
