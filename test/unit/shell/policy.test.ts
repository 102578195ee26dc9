import assert from 'node:assert/strict';
import { limits } from '@foremesh/node-runtime/contract';
import { planningPolicy } from '../../../node-runtime/shell/voter/policy.ts';
import { randomOf } from '../../support/generated.ts';

describe('what a leader forecasts with', () => {
  it('has ARIMA challenge the others on so many series, and names it where it is the best', function () {
    this.timeout(60_000);
    const foresight = planningPolicy.createForesight();
    const range = { low: 0, high: 1 };
    const open = (key: string) => foresight.open({ key, kind: 'cpu', intervalMs: 60_000, range });
    const [first] = Array.from({ length: limits.arimaSeriesPerKind }, (_, index) => open(`n${index}/cpu`));
    const beyond = open('more/cpu');
    // It swings, but never twice as long as before: a matter of two lags, not of seasons.
    const { normal } = randomOf(3);
    let [one, two] = [0, 0];
    for (let at = 0; at < 400; at += 1) {
      [one, two] = [1.5 * one - 0.9 * two + 0.02 * normal(), one];
      for (const series of [first!, beyond]) series.observe(0.5 + one);
    }
    const why = foresight.why!('n0/cpu')!;
    assert.equal(why.champion, 'arima');
    assert.ok(why.members!.find(({ model }) => model === 'arima')!.weight > 0.1);
    assert.ok(why.loss! < 0.8 * why.lossOfLast!);
    const without = foresight.why!('more/cpu')!;
    assert.notEqual(without.champion, 'arima');
    assert.equal(without.members!.find(({ model }) => model === 'arima')!.weight, 0);
  });
});
