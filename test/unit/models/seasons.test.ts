import assert from 'node:assert/strict';
import {
  type ForecasterFactory,
  findPeriods,
  type SeriesOptions,
  seasonalClimatology,
  seasonalSmoothing,
} from '@foremesh/models';
import fc from 'fast-check';
import { SeasonWatch } from '../../../models/season/season-watch.ts';
import { keepsForecasterContract } from '../../support/forecaster-contract.ts';
import { randomOf } from '../../support/generated.ts';

keepsForecasterContract('seasonal climatology', () => seasonalClimatology({ historyValues: 64 }), {
  followsShifts: false,
});
keepsForecasterContract('seasonal smoothing', () => seasonalSmoothing({ historyValues: 64, horizon: 12 }));

const shapes: Readonly<Record<string, (phase: number) => number>> = {
  sine: (phase) => Math.sin(2 * Math.PI * phase),
  'office hours': (phase) => (phase < 0.4 ? 1 : -1),
  spike: (phase) => (phase < 0.08 ? 3 : 0),
  saw: (phase) => 2 * phase - 1,
};

/** Days of 288 values, busy for a third of them, and restless while they are. */
function workdays(seed: number, length: number): Float64Array {
  const { normal } = randomOf(seed);
  return Float64Array.from({ length }, (_, step) => {
    const hour = ((step % 288) * 24) / 288;
    return hour > 9 && hour < 17 ? 60 + 12 * normal() : 15 + 2 * normal();
  });
}

describe('seasons: periods', () => {
  for (const [name, shape] of Object.entries(shapes)) {
    it(`are found of a ${name} that is seen at least twice, whatever its phase, level and unit, but for a few in noise`, () => {
      let missed = 0;
      const any = fc.record({
        period: fc.integer({ min: 24, max: 120 }),
        times: fc.double({ min: 2.2, max: 8, noNaN: true }),
        phase: fc.double({ min: 0, max: 1, noNaN: true }),
        level: fc.double({ min: -1e3, max: 1e3, noNaN: true }),
        unit: fc.constantFrom(1e-6, 1, 1e9),
        seed: fc.integer(),
      });
      fc.assert(
        fc.property(any, ({ period, times, phase, level, unit, seed }) => {
          const { normal } = randomOf(seed);
          const values = Float64Array.from(
            { length: Math.ceil(times * period) },
            (_, index) => unit * (level + shape((index / period + phase) % 1) + 0.1 * normal()),
          );
          const { period: found = Number.NaN } = findPeriods(values)[0] ?? {};
          if (!(Math.abs(found - period) <= Math.max(1, 0.06 * period))) missed += 1;
        }),
        { numRuns: 100 },
      );
      assert.ok(missed <= 2, `${missed} of 100`);
    });
  }

  it('are found the moment that the second is complete, but for a few in noise, and a few values later of those', () => {
    const late: string[] = [];
    for (const [name, shape] of Object.entries(shapes))
      for (const period of [20, 24, 60, 144, 333, 700, 1_440])
        for (const noise of [0.03, 0.15]) {
          const { normal } = randomOf(period + noise);
          const watch = new SeasonWatch({ intervalMs: 60_000 });
          let at = 0;
          const isFound = () => watch.periods.some((found) => Math.abs(found - period) <= Math.max(1, 0.06 * period));
          for (; at < 2.6 * period && !isFound(); at += 1)
            watch.observe(shape((at / period + 0.3) % 1) + noise * normal());
          assert.ok(isFound(), `${name} of ${period}`);
          // Blocks of a long past are complete every few values.
          if (at > 2 * period + 16) late.push(`${name} of ${period}: ${at / period}`);
        }
    assert.ok(late.length <= 4, `${late.length} of 56: ${late.join(', ')}`);
  });

  it('are found to a fraction of a step', () => {
    for (const period of [7.3, 12.5, 13.37, 29.5, 37.5, 44.4, 60.5]) {
      const { normal } = randomOf(period);
      const values = Float64Array.from({ length: 512 }, (_, at) => ((at / period) % 1 < 0.3 ? 60 : 20) + 2 * normal());
      const { period: found = Number.NaN } = findPeriods(values)[0] ?? {};
      assert.ok(Math.abs(found - period) < 0.05, `${found} in place of ${period}`);
    }
  });

  it('are not mistaken for shorter ones while they are not held twice', () => {
    let [wrong, searches] = [0, 0];
    for (let seed = 1; seed <= 40; seed += 1) {
      // Means over four, as a long history has them.
      const day = 72;
      const values = workdays(seed, 8 * day);
      const means = Float64Array.from({ length: 2 * day }, (_, at) => {
        return (values[4 * at]! + values[4 * at + 1]! + values[4 * at + 2]! + values[4 * at + 3]!) / 4;
      });
      for (let length = 1.7 * day; length < 2 * day; length += 3) {
        const [found] = findPeriods(means.subarray(0, length), [day]);
        if (found !== undefined && Math.abs(found.period - day) > 0.06 * day) wrong += 1;
        searches += 1;
      }
    }
    assert.ok(wrong <= searches / 50, `${wrong} of ${searches}`);
  });

  it('are found both: a day and a week', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const { normal } = randomOf(seed);
      const values = Float64Array.from({ length: 24 * 28 }, (_, hour) => {
        const workday = Math.floor(hour / 24) % 7 < 5;
        return (workday ? 1 : 0.1) * Math.sin((2 * Math.PI * hour) / 24) + 0.3 * normal();
      });
      const found = findPeriods(values, [24, 168]).map(({ period }) => period);
      assert.deepEqual(found.slice(0, 2), [24, 168]);
    }
  });

  it('are not found in noise, nor in a line, a constant, a shift, or too few values', () => {
    let found = 0;
    for (let seed = 1; seed <= 100; seed += 1) {
      const { normal } = randomOf(seed);
      for (const length of [40, 150, 288]) found += findPeriods(Float64Array.from({ length }, normal)).length;
    }
    assert.ok(found <= 3, `${found} in 300 series of noise`);
    const dull = [
      (index: number) => 3 * index,
      () => 5,
      (index: number) => (index < 100 ? 0 : 1),
      (index: number) => 2 ** -index,
    ];
    for (const value of dull)
      assert.deepEqual(findPeriods(Float64Array.from({ length: 200 }, (_, index) => value(index))), []);
    for (let length = 0; length < 6; length += 1) findPeriods(Float64Array.from({ length }, (_, index) => index % 2));
  });

  it('are seldom found in a series that wanders', () => {
    let found = 0;
    for (let seed = 1; seed <= 100; seed += 1) {
      const { normal } = randomOf(seed);
      let value = 0;
      const wander = Float64Array.from({ length: 288 }, () => {
        value = 0.9 * value + normal();
        return value;
      });
      if (findPeriods(wander).length > 0) found += 1;
    }
    assert.ok(found <= 20, `in ${found} of 100`);
  });
});

/** Mean absolute error of the median, `steps` ahead, over the last part of a series. */
function errorOf(
  series: SeriesOptions,
  values: Float64Array,
  from: number,
  steps: number,
  factory: ForecasterFactory = seasonalSmoothing(),
): { error: number; held: number } {
  const model = factory(series);
  let [sum, held, count] = [0, 0, 0];
  for (const [index, value] of values.entries()) {
    model.observe(value);
    if (index < from || index % 7 !== 0 || index + steps >= values.length) continue;
    const { q10, q50, q90 } = model.forecast(steps);
    for (let step = 0; step < steps; step += 1) {
      const truth = values[index + 1 + step]!;
      sum += Math.abs(truth - q50[step]!);
      if (q10[step]! <= truth && truth <= q90[step]!) held += 1;
      count += 1;
    }
  }
  return { error: sum / count, held: held / count };
}

describe('seasonal smoothing', () => {
  const range = { low: 0, high: 100 };

  it('knows a day of one-minute values after two of them, in bands that hold 80 %', () => {
    const { normal } = randomOf(1);
    const day = 1_440;
    const values = Float64Array.from({ length: 5 * day }, (_, minute) => {
      const hour = (minute % day) / 60;
      return (hour > 9 && hour < 17 ? 70 : 15) + 4 * normal();
    });
    const { error, held } = errorOf({ intervalMs: 60_000, range }, values, 3 * day, 30);
    // Noise alone is 3.2.
    assert.ok(error < 4.5, `${error}`);
    assert.ok(held > 0.75 && held < 0.85, `${held}`);
  });

  it('knows working days from days off after two weeks', () => {
    const { normal } = randomOf(2);
    const values = Float64Array.from({ length: 24 * 35 }, (_, hour) => {
      const works = Math.floor(hour / 24) % 7 < 5 && hour % 24 >= 8 && hour % 24 < 18;
      return (works ? 60 : 10) + 3 * normal();
    });
    const { error } = errorOf({ intervalMs: 3_600_000, range }, values, 24 * 22, 24);
    assert.ok(error < 5, `${error}`);
  });

  it('knows a period that no calendar has', () => {
    const { normal } = randomOf(3);
    const values = Float64Array.from({ length: 1_200 }, (_, index) => (index % 37 < 9 ? 80 : 20) + 3 * normal());
    const { error } = errorOf({ intervalMs: 5_000, range }, values, 600, 30);
    assert.ok(error < 5, `${error}`);
  });

  for (const period of [13.37, 37.5, 44.4])
    it(`knows a period of ${period} steps`, () => {
      const { normal } = randomOf(period);
      const values = Float64Array.from(
        { length: 1_200 },
        (_, at) => ((at / period) % 1 < 0.3 ? 60 : 20) + 2 * normal(),
      );
      const { error } = errorOf({ intervalMs: 60_000, range }, values, 800, 12);
      // Taken for a whole number of steps: 3.5 and more.
      assert.ok(error < 3, `${error}`);
    });

  for (const seconds of [60, 5]) {
    it(`knows days off after two weeks of values of ${seconds} seconds, half an hour ahead`, () => {
      const intervalMs = 1_000 * seconds;
      const ahead = 1_800 / seconds;
      const { normal } = randomOf(6);
      const day = 86_400_000 / intervalMs;
      const busy = (index: number) =>
        Math.floor(index / day) % 7 < 5 && (index / day) % 1 > 0.4 && (index / day) % 1 < 0.7;
      const model = seasonalSmoothing({ horizon: ahead })({ intervalMs, range });
      // To the noon of a Saturday, at the same time on Friday it was busy.
      const length = Math.round(19.5 * day);
      for (let index = 0; index < length; index += 1) model.observe((busy(index) ? 70 : 10) + 4 * normal());
      const noon = model.forecast(ahead).q50;
      for (const value of noon) assert.ok(value < 30, `${value}`);
      // To a quarter of an hour before the work of Monday begins.
      const monday = Math.ceil(21.4 * day) - ahead / 2;
      for (let index = length; index < monday; index += 1) model.observe((busy(index) ? 70 : 10) + 4 * normal());
      const { q50 } = model.forecast(ahead);
      assert.ok(q50[0]! < 30 && q50[ahead - 1]! > 45, `${q50}`);
    });
  }

  it('sees a season come and go', () => {
    const { normal } = randomOf(4);
    const wave = (index: number) => (index < 600 ? 0 : 30 * Math.sin((2 * Math.PI * index) / 48));
    const values = Float64Array.from(
      { length: 2_600 },
      (_, index) => 50 + (index < 1_600 ? wave(index) : 0) + 3 * normal(),
    );
    const { error } = errorOf({ intervalMs: 60_000, range }, values, 2_300, 24);
    assert.ok(error < 3.5, `${error}`);
  });
});

describe('seasonal climatology', () => {
  it('says the same in another unit, where the range is open', () => {
    const said = (unit: number) => {
      const model = seasonalClimatology()({ intervalMs: 300_000, range: { low: 0, high: Number.POSITIVE_INFINITY } });
      for (const value of workdays(1, 3 * 288)) model.observe(unit * Math.max(0, value));
      return model.forecast(24).q90;
    };
    const expected = said(1);
    for (const unit of [2 ** -40, 2 ** 40])
      assert.deepEqual(
        said(unit).map((value) => value / unit),
        expected,
      );
  });

  it('knows the distribution of each time of day after two of them, in bands that hold 80 %', () => {
    const day = 288;
    const series = { intervalMs: 300_000, range: { low: 0, high: 100 } };
    for (let seed = 1; seed <= 12; seed += 1) {
      const { error, held } = errorOf(series, workdays(seed, 12 * day), 8 * day, 24, seasonalClimatology());
      // Noise alone is 9.6 for a third of the day and 1.6 for the rest: 4.3 in the mean.
      assert.ok(error < 5.2, `${error} with seed ${seed}`);
      assert.ok(held > 0.74 && held < 0.9, `${held} with seed ${seed}`);
    }
  });
});
