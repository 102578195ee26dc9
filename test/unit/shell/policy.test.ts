import assert from 'node:assert/strict';
import { encodeWeights, fitByConditionalSquares, forecastersBy } from '@foremesh/models';
import { trainLstm } from '@foremesh/models/lstm';
import { limits } from '@foremesh/node-runtime/contract';
import { plannerDefaults } from '@foremesh/node-runtime/core';
import { holdModel } from '../../../node-runtime/shell/foresight/shelf.ts';
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

  it('is what a backtest calls the engine', function () {
    this.timeout(60_000);
    const series = { intervalMs: 60_000, range: { low: 0, high: 1 } };
    const foresight = planningPolicy.createForesight();
    const leaders = foresight.open({ key: 'n0/cpu', kind: 'cpu', ...series });
    const { forecastSteps: horizon } = plannerDefaults;
    const backtests = forecastersBy({ fit: fitByConditionalSquares, horizon }).get('engine')!(series);
    const { normal } = randomOf(3);
    let [one, two] = [0, 0];
    for (let at = 0; at < 400; at += 1) {
      [one, two] = [1.5 * one - 0.9 * two + 0.02 * normal(), one];
      for (const each of [leaders, backtests]) each.observe(0.5 + one);
      const pieces = foresight.learningDue ? foresight.learn!() : undefined;
      while (pieces?.next().done === false);
    }
    assert.equal(foresight.why!('n0/cpu')!.champion, 'arima');
    assert.deepEqual(backtests.forecast(horizon), leaders.forecast(horizon));
  });

  it('has an LSTM take part in the forecasts of a series where it is the best, and in no others', async function () {
    this.timeout(120_000);
    const range = { low: 0, high: 1 };
    const intervalMs = 60_000;
    const histories = [1, 2, 3, 4].map((seed) => ({ values: ramps(600, seed), range, intervalMs }));
    const weights = encodeWeights((await trainLstm(histories, { lags: 8, steps: 30, updates: 200, batch: 64 }))!);
    const release = await holdModel(weights);
    const foresight = planningPolicy.createForesight();
    for (const key of ['climbs', 'rests']) foresight.open({ key, kind: 'cpu', intervalMs, range });
    foresight.useWeights!('cpu', weights);
    for (const value of ramps(300, 9))
      foresight.observeAll!([
        ['climbs', value],
        ['rests', 0.3],
      ]);
    release();
    const [climbs, rests] = ['climbs', 'rests'].map((key) => foresight.why!(key)!);
    const weightIn = ({ members }: Reasons) => members!.find(({ model }) => model === 'lstm')!.weight;
    assert.equal(climbs!.champion, 'lstm');
    assert.ok(weightIn(climbs!) > 0.2 && climbs!.loss! < 0.8 * climbs!.lossOfLast!, JSON.stringify(climbs));
    // What never moves is best foretold by its last value.
    assert.notEqual(rests!.champion, 'lstm');
    assert.equal(weightIn(rests!), 0);
  });
});

type Reasons = NonNullable<ReturnType<NonNullable<ReturnType<typeof planningPolicy.createForesight>['why']>>>;

/** Climbs until it passes 0.8, and falls to another start: which comes next hangs on a threshold, of which no linear map knows. */
function ramps(length: number, seed: number): Float64Array {
  const { uniform } = randomOf(seed);
  let value = 0.1 + 0.4 * uniform();
  return Float64Array.from({ length }, () => {
    value = value > 0.8 ? 0.1 + 0.2 * uniform() : value + 0.06 + 0.02 * uniform();
    return value;
  });
}
