import assert from 'node:assert/strict';
import { LongHistory } from '../../../models/season/history.ts';

/** The last `most` means over blocks of `stride` whole values each. */
function meansOf(values: readonly number[], stride: number, most: number): number[] {
  const means: number[] = [];
  for (let end = stride; end <= values.length; end += stride)
    means.push(values.slice(end - stride, end).reduce((sum, value) => sum + value, 0) / stride);
  return means.slice(-most);
}

describe('long history', () => {
  it('keeps the last values and the last means of each level, while its levels grow and after', () => {
    const size = 70;
    const history = new LongHistory(size);
    const values: number[] = [];
    for (let index = 0; index < 2_000; index += 1) {
      // Whole numbers, whose means over 4, 16, 64, ... are exact.
      values.push((index * 37) % 101);
      history.push(values.at(-1)!);
      if (index > 300 && index % 97 !== 0) continue;
      for (const { values: held, stride, first } of history.levels()) {
        assert.deepEqual([...held], meansOf(values, stride, size), `level of ${stride} after ${index + 1} values`);
        assert.equal(first, (Math.floor(values.length / stride) - held.length) * stride);
      }
    }
    assert.deepEqual(
      history.levels().map(({ stride }) => stride),
      [1, 4, 16, 64, 256, 1_024],
    );
  });
});
