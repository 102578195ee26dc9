import assert from 'node:assert/strict';
import {
  type BacktestOptions,
  backtest,
  backtestOrigins,
  type ForecasterFactory,
  forecastersBy,
  lastValue,
  scoreBacktest,
} from '@foremesh/models';
import fc from 'fast-check';
import { loadArima } from '../../../node-runtime/shell/load-arima.ts';

const series = { intervalMs: 60_000, range: { low: 0, high: 100 } };
const value = fc.oneof({ weight: 9, arbitrary: fc.double({ min: 0, max: 100, noNaN: true }) }, fc.constant(Number.NaN));
const optionsOf = (length: number, horizon: number, count = 9): BacktestOptions => ({
  ...series,
  horizon,
  origins: backtestOrigins(length, horizon, count),
});

/** It knows what comes, and how far it may be off. */
const oracle =
  (values: readonly number[], off: number): ForecasterFactory =>
  ({ intervalMs }) => {
    let seen = 0;
    return {
      model: 'oracle',
      observe: () => {
        seen += 1;
      },
      forecast: (steps) => {
        const q50 = values.slice(seen, seen + steps);
        return { intervalMs, q50, q10: q50.map((each) => each - off), q90: q50.map((each) => each + off) };
      },
    };
  };

describe('backtest', () => {
  it('takes its origins from the second half, evenly, and ends with the series', () => {
    fc.assert(
      fc.property(
        fc.nat(500),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 200 }),
        (length, horizon, count) => {
          const origins = backtestOrigins(length, horizon, count);
          if (length < 2 * horizon) assert.deepEqual(origins, []);
          if (origins.length === 0) return;
          assert.equal(new Set(origins).size, origins.length);
          assert.ok(
            origins.length <= count && origins.every((origin) => origin >= horizon && origin >= Math.floor(length / 2)),
          );
          assert.equal(origins.at(-1), length - horizon);
          assert.deepEqual(
            [...origins].sort((a, b) => a - b),
            origins,
          );
        },
      ),
    );
  });

  it('shows no model what comes after an origin: another future changes none of its forecasts', async () => {
    const models = forecastersBy({ fit: await loadArima(), horizon: 6 });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 80, maxLength: 160 }),
        fc.array(value, { minLength: 160, maxLength: 160 }),
        (values, others) => {
          const options = optionsOf(values.length, 6, 4);
          const last = options.origins.at(-1)!;
          const changed = values.map((each, at) => (at < last ? each : others[at]!));
          for (const [name, factory] of models) {
            const one = [...backtest(factory, values, options)];
            assert.deepEqual([...backtest(factory, changed, options)], one, name);
            assert.deepEqual(
              one.map(({ origin, curves }) => [origin, curves.q50.length]),
              options.origins.map((origin) => [origin, 6]),
            );
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('gives the best scores to who knows what comes, and counts no value that is missing', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 30, maxLength: 100 }), (values) => {
        const options = optionsOf(values.length, 5);
        const known = scoreBacktest([...backtest(oracle(values, 1), values, options)], values);
        const windows = options.origins.filter((origin) =>
          values.slice(origin, origin + 5).some((each) => !Number.isNaN(each)),
        );
        assert.equal(known.windows, windows.length);
        if (windows.length === 0) return;
        assert.deepEqual([known.meanAbsoluteError, known.coverage], [0, 1]);
        assert.ok(Math.abs(known.meanPinballLoss - 0.2 / 3) < 1e-9, `${known.meanPinballLoss}`);
        const plain = scoreBacktest([...backtest(lastValue, values, options)], values);
        assert.ok(plain.meanAbsoluteError >= 0 && plain.coverage >= 0 && plain.coverage <= 1);
      }),
    );
  });

  it('finds a constant in the band of every model, whatever its digits', async () => {
    const values = Array(120).fill(0.3);
    const options = { ...optionsOf(values.length, 6), range: { low: 0, high: 1 } };
    for (const [name, factory] of forecastersBy({ fit: await loadArima(), horizon: 6 }))
      assert.equal(scoreBacktest([...backtest(factory, values, options)], values).coverage, 1, name);
  });

  it('is what one counts by hand', () => {
    const values = [1, 3, 2, 4, 3, 5];
    const forecast = { intervalMs: 1, q10: [2, 5], q50: [4, 5], q90: [5, 6] };
    const { windows, ...scores } = scoreBacktest([{ origin: 4, curves: forecast }], values);
    assert.equal(windows, 1);
    // Errors 1 and 0; changes before the origin 2, 1, 2; losses (0.1*1 + 0.5*1 + 0.1*2) + (0 + 0 + 0.1*1).
    assert.ok(Math.abs(scores.meanAbsoluteError - 0.5) < 1e-12);
    assert.ok(Math.abs(scores.meanAbsoluteScaledError - 0.5 / (5 / 3)) < 1e-12);
    assert.ok(Math.abs(scores.meanPinballLoss - 0.9 / 6) < 1e-12, `${scores.meanPinballLoss}`);
    assert.equal(scores.coverage, 1);
    const constant = scoreBacktest([{ origin: 2, curves: { ...forecast, q50: [7, 7] } }], [7, 7, 7, 7]);
    assert.ok(Number.isNaN(constant.meanAbsoluteScaledError), 'a constant has no scale');
  });
});
