import assert from 'node:assert/strict';
import type { Forecaster, ForecasterFactory, SeriesRange } from '@foremesh/models';
import fc from 'fast-check';

export const ranges: fc.Arbitrary<SeriesRange> = fc.constantFrom(
  { low: 0, high: 1 },
  { low: 0, high: 100 },
  { low: 0, high: Number.POSITIVE_INFINITY },
  { low: -5, high: 5 },
  { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY },
  { low: Number.NEGATIVE_INFINITY, high: 5 },
  { low: 3, high: 3 },
);
export const wild = fc.oneof(
  fc.double({ min: -10, max: 200, noNaN: true }),
  fc.double(),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1e308, -1e308),
);
/** Stretches, each of one kind: long enough that models are fitted, seasons found, and both given up again. */
const stretches: fc.Arbitrary<number[]> = fc.oneof(
  fc.array(wild, { maxLength: 40 }),
  fc.tuple(wild, fc.integer({ min: 1, max: 80 })).map(([value, length]) => new Array<number>(length).fill(value)),
  fc
    .tuple(
      fc.integer({ min: 2, max: 30 }),
      fc.double({ min: 0, max: 50, noNaN: true }),
      fc.integer({ min: 10, max: 150 }),
    )
    .map(([period, height, length]) =>
      Array.from({ length }, (_, index) => height * (1 + Math.sin((2 * Math.PI * index) / period))),
    ),
  fc
    .tuple(fc.double({ min: -2, max: 2, noNaN: true }), fc.integer({ min: 1, max: 80 }))
    .map(([slope, length]) => Array.from({ length }, (_, index) => slope * index)),
);
const series = fc.oneof(
  fc.array(stretches, { maxLength: 6 }).map((parts) => parts.flat()),
  fc.array(wild, { maxLength: 3 }),
  fc.array(fc.oneof(wild, fc.integer({ min: 0, max: 3 })), { maxLength: 400, size: 'max' }),
  fc.tuple(wild, fc.integer({ min: 0, max: 400 })).map(([value, length]) => new Array<number>(length).fill(value)),
);

/**
 * What every forecaster must do, whatever its series does: `describe`s it under the model's name. One that tells of the last day
 * does not `followShifts`; one whose bands are learned with time is not `sureOf` a constant to the last digit. Where the range is open, one that does not `widensOpen` is certain of
 * 0 after a 0, and has bands that are too narrow after a few values.
 */
export function keepsForecasterContract(
  name: string,
  factoryOf: () => ForecasterFactory,
  { followsShifts = true, sureOf = 1e-6, widensOpen = true, numRuns = 150 } = {},
): void {
  describe(`forecaster ${name}`, function () {
    this.timeout(120_000);
    const open = (range: SeriesRange, values: readonly number[] = []): Forecaster => {
      const model = factoryOf()({ intervalMs: 60_000, range });
      for (const value of values) model.observe(value);
      return model;
    };

    it('gives curves of numbers that never cross and never leave the range', () => {
      const steps = fc.integer({ min: 0, max: 60 });
      fc.assert(
        fc.property(ranges, series, steps, (range, values, count) => {
          const { q10, q50, q90, point = q50, intervalMs } = open(range, values).forecast(count);
          assert.equal(intervalMs, 60_000);
          for (const curve of [q10, q50, q90, point]) assert.equal(curve.length, count);
          for (let step = 0; step < count; step += 1) {
            const [low, middle, high] = [q10[step]!, q50[step]!, q90[step]!];
            assert.ok(
              range.low <= low && low <= middle && middle <= high && high <= range.high,
              `${low} ${middle} ${high}`,
            );
            assert.ok(point[step]! >= range.low && point[step]! <= range.high, `${point[step]}`);
            for (const value of [low, middle, high]) assert.ok(Number.isFinite(value), `${value}`);
          }
        }),
        { numRuns },
      );
    });

    it('knows nothing of what comes later, and forgets nothing by being asked', () => {
      fc.assert(
        fc.property(ranges, series, series, (range, before, after) => {
          const asked = open(range, before);
          const then = asked.forecast(12);
          for (const value of after) {
            asked.observe(value);
            asked.forecast(3);
          }
          assert.deepEqual(open(range, before).forecast(12), then, 'what comes later changed an earlier forecast');
          const silent = open(range, [...before, ...after]);
          assert.deepEqual(silent.forecast(12), asked.forecast(12), 'to be asked changed the model');
        }),
        { numRuns: Math.ceil(numRuns / 2.5) },
      );
    });

    it('knows nothing before the first value: the whole range', () => {
      for (const values of [[], [Number.NaN, Number.NaN]]) {
        const curves = open({ low: 0, high: 100 }, values).forecast(3);
        assert.deepEqual(curves, { intervalMs: 60_000, q10: [0, 0, 0], q50: [50, 50, 50], q90: [100, 100, 100] });
      }
    });

    it('says something finite before the first value where the range is open', () => {
      const none = (low: number, high: number) => {
        const { q10, q50, q90 } = open({ low, high }).forecast(1);
        return [q10[0], q50[0], q90[0]];
      };
      const endless = Number.POSITIVE_INFINITY;
      assert.deepEqual(none(0, endless), [0, 0.5, 1]);
      assert.deepEqual(none(-endless, endless), [-1, 0, 1]);
      assert.deepEqual(none(-endless, 5), [4, 4.5, 5]);
    });

    it('expects what it has seen after one value, and is not certain of it', () => {
      fc.assert(
        fc.property(ranges, wild, (range, value) => {
          const seen = Math.min(range.high, 1e30, Math.max(range.low, -1e30, value));
          // What single precision cannot hold is taken for 0.
          fc.pre(Number.isFinite(value) && (seen === 0 ? widensOpen : Math.abs(seen) > 1e-30));
          const { q10, q50, q90 } = open(range, [value]).forecast(12);
          for (let step = 0; step < 12; step += 1) {
            assert.ok(Math.abs(q50[step]! - seen) <= 1e-6 * Math.abs(seen), `${q50[step]} for ${seen}`);
            if (seen > range.low) assert.ok(q10[step]! < seen, `${q10[step]} for ${seen}`);
            if (seen < range.high) assert.ok(q90[step]! > seen, `${q90[step]} for ${seen}`);
          }
        }),
        { numRuns },
      );
      const certain = open({ low: 3, high: 3 }, [3]).forecast(1);
      assert.deepEqual([certain.q10, certain.q50, certain.q90], [[3], [3], [3]], 'nothing can differ');
    });

    it('has the point as the median while few errors are known', () => {
      const few = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 11 });
      fc.assert(
        fc.property(few, (values) => {
          const { q50, point = q50 } = open({ low: 0, high: 100 }, values).forecast(12);
          assert.deepEqual(q50, point);
        }),
        { numRuns },
      );
    });

    it('holds most of what comes after a few values in its bands', () => {
      let state = 1;
      const random = () => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return state / 2 ** 32;
      };
      const series = { even: () => 100 * random(), long: () => Math.exp(4 * random()) } as const;
      for (const [name, next] of Object.entries(series))
        for (const high of widensOpen ? [100, Number.POSITIVE_INFINITY] : [100])
          for (const count of [2, 4, 8, 11]) {
            let within = 0;
            for (let run = 0; run < 300; run += 1) {
              const values = Array.from({ length: count }, next);
              const { q10, q90 } = open({ low: 0, high }, values).forecast(1);
              const came = next();
              if (came >= q10[0]! && came <= q90[0]!) within += 1;
            }
            assert.ok(within >= 0.55 * 300, `${name} to ${high} after ${count}: ${within} of 300`);
          }
    });

    it('expects a constant series to stay as it is', () => {
      for (const [level, length] of [
        [7, 400],
        [40, 300],
      ] as const) {
        const { q10, q50, q90 } = open({ low: 0, high: 100 }, new Array<number>(length).fill(level)).forecast(12);
        for (const value of q50) assert.ok(Math.abs(value - level) < sureOf, `${value}`);
        for (const value of [...q10, ...q90]) assert.ok(Math.abs(value - level) < 0.5, `${value}`);
      }
    });

    it('says something sensible after three values', () => {
      const { q50 } = open({ low: 0, high: 100 }, [10, 12, 11]).forecast(5);
      for (const value of q50) assert.ok(value >= 5 && value <= 20, `${value}`);
    });

    if (!followsShifts) return;
    it('follows a series that has moved to another level within twenty values', () => {
      const noise = (index: number) => Math.sin(index * index);
      const shifted = Array.from({ length: 300 }, (_, index) => (index < 280 ? 20 : 60) + noise(index));
      const { q50 } = open({ low: 0, high: 100 }, shifted).forecast(3);
      for (const value of q50) assert.ok(value > 50 && value < 70, `${value}`);
    });
  });
}
