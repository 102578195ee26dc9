import assert from 'node:assert/strict';
import { climatology, createForesight, meanPinballLoss, persistence } from '@foremesh/models';
import { randomOf } from '../../support/generated.ts';

describe('seasonal climatology in the engine', () => {
  it('knows of bursts at a time of the day, and of none at others', function () {
    this.timeout(60_000);
    const { uniform } = randomOf(8);
    const [day, steps, intervalMs] = [48, 12, 1_800_000];
    const range = { low: 0, high: Number.POSITIVE_INFINITY };
    const engine = createForesight({ steps }).open({ key: 'a', kind: 'network', intervalMs, range });
    const contestants = [engine, persistence({ intervalMs, range }), climatology({ intervalMs, range })];
    const series = Array.from({ length: 24 * day }, (_, at) => (at % day === 8 && uniform() < 0.8 ? 160 : uniform()));
    const losses = contestants.map(() => 0);
    for (const [at, value] of series.entries()) {
      if (at >= 12 * day && at + steps <= series.length && at % 3 === 0)
        for (const [index, each] of contestants.entries())
          losses[index]! += meanPinballLoss(each.forecast(steps), Float64Array.from(series.slice(at, at + steps)));
      if (at === 22 * day + 2) {
        const { q50, q90 } = engine.forecast(steps);
        assert.ok(q50[6]! > 80 && q90[6]! > 120, `at the time of the burst: ${q50} ${q90}`);
        assert.ok(q90[11]! < 40, `five steps later: ${q90}`);
      }
      for (const each of contestants) each.observe(value);
    }
    assert.ok(losses[0]! < 0.7 * Math.min(losses[1]!, losses[2]!), `${losses}`);
  });
});
