import assert from 'node:assert/strict';
import {
  climatology,
  createForesight,
  dampedSmoothing,
  type Forecaster,
  type ForecasterFactory,
  lastValue,
  movingAverage,
  persistence,
  quantileLevels,
  type SeriesRange,
  seasonalNaive,
  simpleSmoothing,
} from '@foremesh/models';
import fc from 'fast-check';

const alone: ForecasterFactory = (options) =>
  createForesight({ steps: 12 }).open({ key: 'node', kind: 'cpu', ...options });

const models: Readonly<Record<string, ForecasterFactory>> = {
  'last-value': lastValue,
  persistence,
  'moving-average': movingAverage(),
  climatology,
  'seasonal-naive': seasonalNaive(7),
  'simple-smoothing': simpleSmoothing,
  'damped-smoothing': dampedSmoothing,
  foresight: alone,
};

const ranges: fc.Arbitrary<SeriesRange> = fc.constantFrom(
  { low: 0, high: 1 },
  { low: 0, high: 100 },
  { low: 0, high: Number.POSITIVE_INFINITY },
  { low: -5, high: 5 },
);
const values = fc.oneof(
  fc.double({ min: -10, max: 200, noNaN: true }),
  fc.integer({ min: 0, max: 3 }),
  fc.double(),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1e308, -1e308),
);
const series = fc.oneof(
  fc.array(values, { maxLength: 3 }),
  fc.array(values, { maxLength: 400, size: 'max' }),
  fc.tuple(values, fc.integer({ min: 0, max: 400 })).map(([value, length]) => new Array<number>(length).fill(value)),
);

function fed(model: ForecasterFactory, range: SeriesRange, observed: readonly number[]): Forecaster {
  const forecaster = model({ intervalMs: 5_000, range });
  for (const value of observed) forecaster.observe(value);
  return forecaster;
}

for (const [name, model] of Object.entries(models)) {
  describe(`model ${name}, whatever it observes`, function () {
    this.timeout(120_000);

    it('gives as many steps as asked for, within the range, never crossing', () => {
      fc.assert(
        fc.property(ranges, series, fc.integer({ min: 0, max: 60 }), (range, observed, steps) => {
          const { q10, q50, q90, point = q50, intervalMs } = fed(model, range, observed).forecast(steps);
          assert.equal(intervalMs, 5_000);
          for (const curve of [q10, q50, q90, point]) {
            assert.equal(curve.length, steps);
            for (const value of curve) assert.ok(value >= range.low && value <= range.high, `${value}`);
          }
          for (let step = 0; step < steps; step += 1)
            assert.ok(q10[step]! <= q50[step]! && q50[step]! <= q90[step]!, `step ${step}`);
        }),
        { numRuns: 150 },
      );
    });

    it('knows nothing of what comes later, and forgets nothing by being asked', () => {
      fc.assert(
        fc.property(ranges, series, series, (range, before, after) => {
          const asked = fed(model, range, before);
          const then = asked.forecast(12);
          for (const value of after) {
            asked.observe(value);
            asked.forecast(3);
          }
          assert.deepEqual(
            fed(model, range, before).forecast(12),
            then,
            'what comes later changed an earlier forecast',
          );
          const silent = fed(model, range, [...before, ...after]);
          assert.deepEqual(silent.forecast(12), asked.forecast(12), 'to be asked changed the model');
        }),
        { numRuns: 60 },
      );
    });

    it('is sure of a constant, and knows nothing of nothing', () => {
      const range = { low: 0, high: 100 };
      const { q10, q50, q90 } = fed(model, range, new Array(300).fill(40)).forecast(12);
      for (const curve of [q10, q50, q90]) for (const value of curve) assert.ok(Math.abs(value - 40) < 0.5, `${value}`);
      const unknown = fed(model, range, []).forecast(2);
      assert.deepEqual(unknown, { intervalMs: 5_000, q10: [0, 0], q50: [50, 50], q90: [100, 100] });
      assert.equal(quantileLevels.length, 3);
    });
  });
}
