import assert from 'node:assert/strict';
import fc from 'fast-check';
import { halvesOf } from '../../../models/smoothing/precision.ts';

describe('numbers in 16 bits', () => {
  const kept = (range: { readonly low: number; readonly high: number }, value: number) => {
    const precision = halvesOf(range);
    const codes = precision.create(1);
    codes[0] = precision.encode(value);
    return precision.decode(codes[0]!);
  };
  const numbers = (min: number, max: number) => fc.double({ min, max, noNaN: true });

  it('are a 65,534th of a closed range apart, the ends of which they meet; what is outside is at the end', () => {
    fc.assert(
      fc.property(numbers(-1e3, 1e3), numbers(0, 1e3), numbers(0, 1), (low, span, share) => {
        const [high, value] = [low + span, low + share * span];
        const error = Math.abs(kept({ low, high }, value) - value);
        assert.ok(error <= (0.5 / 65_534) * span + 1e-12, `${error} of ${span}`);
        assert.ok(Math.abs(kept({ low, high }, high + 1) - high) < 1e-9);
        assert.ok(kept({ low, high }, low - 1) === low, '0 may be -0');
      }),
    );
    assert.equal(kept({ low: -1, high: 1 }, 0), 0);
    assert.equal(kept({ low: 3, high: 3 }, 3), 3);
  });

  it('are one part in 2,048 exact where the range is open above 0, for 32 octaves about their size; they round to 0 below', () => {
    const range = { low: 0, high: Number.POSITIVE_INFINITY };
    const keptAt = (size: number, value: number) => {
      const precision = halvesOf(range, size);
      return precision.decode(precision.encode(value));
    };
    fc.assert(
      fc.property(numbers(-31, 31), fc.integer({ min: -60, max: 60 }), (exponent, unit) => {
        const [size, value] = [2 ** unit, 2 ** (unit + exponent) * (1 - 2 ** -11)];
        assert.ok(Math.abs(keptAt(size, value) - value) <= value / 2_048);
      }),
    );
    for (const exact of [0, 1, 1_024, 3 * 2 ** 20]) assert.equal(keptAt(1, exact), exact);
    assert.ok(keptAt(1_000, 1e-20) === 0 && keptAt(0, 0) === 0);
    const most = keptAt(1, 1e30);
    assert.ok(most > 2 ** 31 && most < 2 ** 32);
  });

  it('are single where the range has no end, and NaN is kept in all', () => {
    const endless = Number.POSITIVE_INFINITY;
    assert.equal(kept({ low: -endless, high: endless }, -0.1), Math.fround(-0.1));
    for (const low of [0, -endless]) assert.ok(Number.isNaN(kept({ low, high: endless }, Number.NaN)));
    assert.ok(Number.isNaN(kept({ low: 0, high: 1 }, Number.NaN)));
  });
});
