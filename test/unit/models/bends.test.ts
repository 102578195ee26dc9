import assert from 'node:assert/strict';
import { createForesight, type ForecasterFactory } from '@foremesh/models';
import { Bends } from '../../../models/engine/bends.ts';
import { randomOf } from '../../support/generated.ts';

const range = { low: 0, high: 100 };

describe('the shape of a forecast between its anchors', () => {
  it('has the sharp edges of a season, wherever they lie', () => {
    const { uniform } = randomOf(2);
    const foresight = createForesight({ steps: 30 });
    const series = foresight.open({ key: 'a', kind: 'cpu', intervalMs: 5_000, range });
    const busy = (at: number) => at % 12 < 6;
    for (let at = 0; at < 156; at += 1) {
      if (at >= 144) {
        const { q50 } = series.forecast(12);
        for (let step = 4; step <= 12; step += 1) {
          const expected = busy(at + step - 1) ? 80 : 10;
          assert.ok(Math.abs(q50[step - 1]! - expected) < 12, `phase ${at % 12}, step ${step}: ${q50}`);
        }
      }
      series.observe((busy(at) ? 80 : 10) + 4 * (uniform() - 0.5));
    }
  });

  it('neither crosses nor leaves the range, whatever a member says', () => {
    const { uniform } = randomOf(3);
    const wild: ForecasterFactory = ({ intervalMs }) => ({
      model: 'wild',
      observe: () => {},
      forecast(steps) {
        const curve = () =>
          Array.from({ length: steps }, () => (uniform() < 0.1 ? Number.POSITIVE_INFINITY : 120 * uniform() - 10));
        return { intervalMs, q10: curve(), q50: curve(), q90: curve() };
      },
    });
    const foresight = createForesight({ steps: 30, members: [{ model: 'wild', factory: wild }] });
    const series = foresight.open({ key: 'a', kind: 'cpu', intervalMs: 5_000, range });
    for (let at = 0; at < 120; at += 1) {
      series.observe(uniform() < 0.1 ? Number.NaN : 100 * uniform());
      const { q10, q50, q90 } = series.forecast(40);
      for (let step = 0; step < 40; step += 1)
        assert.ok(
          0 <= q10[step]! && q10[step]! <= q50[step]! && q50[step]! <= q90[step]! && q90[step]! <= 100,
          `${at}, ${step}: ${q10[step]} ${q50[step]} ${q90[step]}`,
        );
    }
  });

  it('is that of the members by their weights, and none at the anchors or where nothing is known', () => {
    const bends = new Bends([1, 3, 6]);
    const said = [10, 30, 20, 20, 50, 20];
    bends.add(
      { intervalMs: 1, q10: said, q50: said, q90: [0, Number.POSITIVE_INFINITY, 0] },
      (anchor, level) => (anchor === 2 ? 0.1 : 0.5) * (level + 1),
    );
    const shape = (level: number) => Array.from({ length: 6 }, (_, step) => bends.at(step + 1, level));
    assert.deepEqual(shape(0), [0, 7.5, 0, 0, 15, 0]);
    assert.deepEqual(shape(1), [0, 15, 0, 0, 30, 0]);
    assert.deepEqual(shape(2), [0, 0, 0, 0, 0, 0]);
    bends.clear();
    assert.deepEqual(shape(1), [0, 0, 0, 0, 0, 0]);
  });
});
