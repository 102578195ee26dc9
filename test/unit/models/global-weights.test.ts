import assert from 'node:assert/strict';
import { decodeWeights, encodeWeights, type Weights, WeightsError } from '@foremesh/models';

const weights: Weights = {
  model: 'ridge',
  version: 1,
  lags: 4,
  steps: 2,
  intervalMs: 60_000,
  trainedOn: { series: 3, windows: 1_000 },
  parameters: Float32Array.from([0, -1.5, 3.25, 1e-20]),
};

describe('weights of a global model', () => {
  it('come back from their bytes as they were, wherever these lie', () => {
    const bytes = encodeWeights(weights);
    const within = new Uint8Array(bytes.length + 3);
    within.set(bytes, 3);
    assert.deepEqual(decodeWeights(bytes), weights);
    assert.deepEqual(decodeWeights(within.subarray(3)), weights);
  });

  it('are refused when they are cut anywhere, or one bit is another', () => {
    const bytes = encodeWeights(weights);
    for (let length = 0; length < bytes.length; length += 1)
      assert.throws(() => decodeWeights(bytes.slice(0, length)), WeightsError, `${length} bytes`);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = bytes.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => decodeWeights(changed), WeightsError, `bit ${bit}`);
    }
    assert.throws(() => decodeWeights(Uint8Array.from([...bytes, 0])), faulty('corrupt'));
  });

  it('say what is wrong with them', () => {
    const bytes = encodeWeights(weights);
    assert.throws(() => decodeWeights(bytes.slice(0, -1)), faulty('truncated'));
    assert.throws(() => decodeWeights(new TextEncoder().encode('something else altogether')), faulty('foreign'));
    assert.throws(() => decodeWeights(new Uint8Array(0)), faulty('foreign'));
    const later = bytes.slice();
    later[4] = 2;
    assert.throws(() => decodeWeights(later), faulty('future'));
    const huge = bytes.slice();
    huge[19] = 0x7f;
    assert.throws(() => decodeWeights(huge), faulty('corrupt'));
    const infinite = encodeWeights({ ...weights, parameters: Float32Array.of(Number.POSITIVE_INFINITY) });
    assert.throws(() => decodeWeights(infinite), faulty('corrupt'));
  });

  it('are refused with a header that makes no sense, whole as they may be', () => {
    for (const wrong of [{ lags: -1 }, { steps: 0.5 }, { trainedOn: { series: 1, windows: Number.NaN } }, { model: 7 }])
      assert.throws(() => decodeWeights(encodeWeights({ ...weights, ...wrong } as Weights)), faulty('corrupt'));
    assert.throws(() => encodeWeights({ ...weights, model: 'größer' }), RangeError);
  });
});

function faulty(fault: WeightsError['fault']) {
  return (error: unknown) => error instanceof WeightsError && error.fault === fault;
}
