import assert from 'node:assert/strict';
import { lastValue } from '@foremesh/models';
import fc from 'fast-check';
import { ranges, wild } from '../../support/forecaster-contract.ts';

const series = fc.array(wild, { maxLength: 150, size: 'max' });

describe('model last-value', () => {
  it('gives curves that never cross, never leave the range and never narrow', () => {
    fc.assert(
      fc.property(ranges, series, fc.integer({ min: 0, max: 60 }), (range, observed, steps) => {
        const model = lastValue({ intervalMs: 5_000, range });
        for (const value of observed) model.observe(value);
        const { q10, q50, q90, intervalMs } = model.forecast(steps);
        assert.equal(intervalMs, 5_000);
        for (const curve of [q10, q50, q90]) {
          assert.equal(curve.length, steps);
          for (const value of curve) assert.ok(value >= range.low && value <= range.high, `${value}`);
        }
        for (let step = 0; step < steps; step += 1) {
          assert.ok(q10[step]! <= q50[step]! && q50[step]! <= q90[step]!);
          if (step > 0) assert.ok(q10[step]! <= q10[step - 1]! && q90[step]! >= q90[step - 1]!);
        }
      }),
      // Bands that are narrower than what a number near 1 can tell.
      { numRuns: 1_000, examples: [[{ low: 0, high: 1 }, [1.0115958010937465e-17, 0, 0, 0], 55]] },
    );
  });

  it('passes over what is missing', () => {
    const model = lastValue({ intervalMs: 1, range: { low: 0, high: 1 } });
    assert.deepEqual(model.forecast(1), { intervalMs: 1, q10: [0], q50: [0.5], q90: [1] });
    for (let at = 0; at < 12; at += 1) for (const value of [Number.NaN, 0.25, Number.NaN]) model.observe(value);
    assert.deepEqual(model.forecast(2), { intervalMs: 1, q10: [0.25, 0.25], q50: [0.25, 0.25], q90: [0.25, 0.25] });
  });

  it('clips what lies outside the range', () => {
    const model = lastValue({ intervalMs: 1, range: { low: 0, high: 1 } });
    model.observe(7);
    assert.equal(model.forecast(1).q50[0], 1);
  });

  it('has bands of the right width for a random walk', () => {
    // An 80 % band holds 80 % of the next values of a walk with normal steps (here: sums of 12 uniforms).
    let state = 1;
    const uniform = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state / 2 ** 32;
    };
    const step = () => Array.from({ length: 12 }, uniform).reduce((sum, each) => sum + each, -6);
    const model = lastValue({ intervalMs: 1, range: { low: -1e6, high: 1e6 } });
    let value = 0;
    let held = 0;
    for (let at = 0; at < 2_100; at += 1) {
      const { q10, q90 } = model.forecast(1);
      value += step();
      if (at >= 100 && value >= q10[0]! && value <= q90[0]!) held += 1;
      model.observe(value);
    }
    assert.ok(Math.abs(held / 2_000 - 0.8) < 0.03, `${held / 2_000}`);
  });
});
