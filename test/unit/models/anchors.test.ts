import assert from 'node:assert/strict';
import { createForesight } from '@foremesh/models';
import { anchorsUpTo, strideOf } from '../../../models/engine/anchors.ts';

describe('anchors', () => {
  it('end at the farthest step, and wait for values at whole strides', () => {
    for (let steps = 1; steps <= 200; steps += 1) {
      const anchors = anchorsUpTo(steps);
      assert.equal(anchors.at(-1), steps);
      for (const anchor of anchors) {
        assert.equal(anchor % strideOf(anchor), 0, `${anchor}`);
        if (anchor <= 12) assert.equal(strideOf(anchor), 1, `${anchor}`);
      }
    }
  });

  it('are all forecast anew after each value, those too that are scored at every third', () => {
    const foresight = createForesight({ steps: 30 });
    const series = foresight.open({ key: 'a', kind: 'cpu', intervalMs: 60_000, range: { low: 0, high: 100 } });
    for (let step = 0; step < 60; step += 1) series.observe(10 + (step % 7));
    let before = series.forecast(30).q50[29]!;
    for (const value of [40, 60, 80, 90]) {
      series.observe(value);
      const now = series.forecast(30).q50[29]!;
      assert.ok(now > before, `${before} to ${now} after ${value}`);
      before = now;
    }
  });
});
