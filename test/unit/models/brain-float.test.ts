import assert from 'node:assert/strict';
import fc from 'fast-check';
import { fromBrainFloat, toBrainFloat } from '../../../models/engine/brain-float.ts';

describe('brain floats', () => {
  it('are 16 bits that come back within one part in 256, and 0 as 0', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, min: -2e30, max: 2e30 }), (value) => {
        const half = toBrainFloat(value);
        assert.ok(Number.isInteger(half) && half >= 0 && half < 2 ** 16);
        // Below the least normal number of single precision, the distance is what counts.
        assert.ok(Math.abs(fromBrainFloat(half) - value) <= Math.abs(value) / 256 + 2 ** -126);
      }),
    );
    assert.equal(fromBrainFloat(toBrainFloat(0)), 0);
    for (const exact of [1, -1, 0.5, 96, -(2 ** 40)]) assert.equal(fromBrainFloat(toBrainFloat(exact)), exact);
  });
});
