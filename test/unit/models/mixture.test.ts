import assert from 'node:assert/strict';
import { climatology, createForesight, meanPinballLoss, persistence } from '@foremesh/models';
import { Mixture, slopeAt } from '../../../models/engine/mixture.ts';
import { pinballLoss } from '../../../models/scoring/scores.ts';
import { randomOf } from '../../support/generated.ts';

const level = 0.9;

/** Lets a mixture of one cell learn from what experts say of values; the mean losses of the experts and, last, of the mixture. */
function lossesOf(values: number[], experts: ((at: number) => number)[]): { losses: number[]; weights: number[] } {
  const mixture = new Mixture(1, experts.length);
  const losses = new Array<number>(experts.length + 1).fill(0);
  for (const [at, value] of values.entries()) {
    mixture.weigh(0, 2);
    const said = Float32Array.from(experts, (expert) => expert(at));
    const mixed = mixture.mix(0, said, 0);
    for (const [index, each] of [...said, mixed].entries())
      losses[index]! += pinballLoss(value, each, level) / values.length;
    mixture.learn(0, slopeAt(level, value, mixed), said, 0, mixed, 1, 1);
  }
  return { losses, weights: [...mixture.weights] };
}

describe('the mixture of the members', () => {
  const burst = (at: number) => at % 50 === 20;
  const values = Array.from({ length: 3_000 }, (_, at) => (burst(at) ? 1_000 : 1));

  it('is little worse than the one member that foresees the rare values which cost most', () => {
    const foresees = (at: number) => (at % 50 >= 18 && at % 50 <= 22 ? 1_000 : 1);
    const { losses } = lossesOf(values, [() => 1, () => 2, foresees]);
    assert.ok(losses[3]! < 1.2 * losses[2]! && losses[2]! < 0.5 * losses[0]!, `${losses}`);
  });

  it('tells members apart by everyday losses too, where rare values cost them alike', () => {
    const { weights } = lossesOf(values, [() => 1, () => 1.5, (at) => (at % 50 === 21 ? 1_000 : 1)]);
    assert.ok(weights[0]! > 20 * weights[1]! && weights[0]! > 20 * weights[2]!, `${weights}`);
  });

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
