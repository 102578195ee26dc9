import assert from 'node:assert/strict';
import { createLeaderForesight, type QuantileCurves, seasonalSmoothing } from '@foremesh/models';
import { randomOf } from '../../support/generated.ts';

const intervalMs = 60_000;
const day = 1_440;
const range = { low: 0, high: 1 };

/** A machine that works from nine to five on the first five days of a week; minutes. */
function workweeks(seed: number): (at: number) => number {
  const { normal } = randomOf(seed);
  return (at) => {
    const hour = (at % day) / 60;
    const isBusy = Math.floor(at / day) % 7 < 5 && hour >= 9 && hour < 17;
    return Math.min(1, Math.max(0, (isBusy ? 0.7 : 0.1) + 0.04 * normal()));
  };
}

/** What a leader that was elected at `elected` says at `now`: it was told `told` days, as means of five minutes, and has learned three days before its election and all since. */
function saidBy(told: number, elected: number, now: number): QuantileCurves {
  const value = workweeks(now);
  const foresight = createLeaderForesight({ steps: 30, learnedKinds: ['cpu'], arimaSeriesMost: 64 });
  const node = foresight.open({ key: 'node', kind: 'cpu', intervalMs, range });
  const mean = (at: number) => [0, 1, 2, 3, 4].reduce((sum, each) => sum + value(at + each) / 5, 0);
  const first = elected - 3 * day;
  const past = new Float32Array(told * day);
  for (let at = 0; at < past.length; at += 5) past.fill(mean(first - past.length + at), at, at + 5);
  node.recall?.(past);
  for (let at = first; at < now; at += 1) {
    if (at >= elected - day) node.observe(value(at));
    else node.observe(at % 5 === 0 ? mean(at) : Number.NaN);
    if (foresight.learningDue) for (const _ of foresight.learn());
  }
  return node.forecast(30);
}

describe('the engine: a past that it was told of', function () {
  this.timeout(60_000);
  const weeks = 5 * 7 * day;
  const at = (weekday: number, hour: number) => weeks + weekday * day + Math.round(hour * 60);

  for (const told of [15, 28]) {
    it(`knows working days from days off by ${told} days, which three days do not tell`, () => {
      const nineAnd = 9 + 1 / 6;
      for (const [weekday, electedDay, electedHour] of [
        [0, 0, 3],
        [1, 1, 0],
        [5, 4, 20],
      ] as const) {
        const isWorkday = weekday < 5;
        const now = at(weekday, nineAnd - 1 / 3);
        const { q50 } = saidBy(told, at(electedDay, electedHour), now);
        const without = saidBy(0, at(electedDay, electedHour), now).q50;
        const error = (said: readonly number[]) => Math.abs(said[19]! - (isWorkday ? 0.7 : 0.1));
        assert.ok(error(q50) < 0.33, `day ${weekday}: ${q50[19]}`);
        assert.ok(error(q50) < error(without) - 0.1, `day ${weekday}: ${q50[19]}, and ${without[19]} without`);
      }
      const noon = saidBy(told, at(5, 0), at(5, 12)).q50;
      assert.ok(
        noon.every((value) => value < 0.2),
        `${noon}`,
      );
    });
  }

  it('is the past of seasons alone: without any, it changes nothing', () => {
    const { normal } = randomOf(3);
    const engine = () =>
      createLeaderForesight({ steps: 30, learnedKinds: [], arimaSeriesMost: 0 }).open({
        ...{ key: 'node', kind: 'cpu', intervalMs, range },
      });
    const [told, untold] = [engine(), engine()];
    told.recall?.(Float32Array.from({ length: 3 * day }, () => 0.5));
    for (let index = 0; index < 200; index += 1) {
      const value = Math.min(1, Math.max(0, 0.3 + 0.1 * normal()));
      told.observe(value);
      untold.observe(value);
    }
    assert.deepEqual(told.forecast(30), untold.forecast(30));
  });

  it('may hold nothing, and gaps', () => {
    const model = seasonalSmoothing()({ intervalMs, range });
    for (const past of [[], [Number.NaN, Number.NaN], [Number.NaN, 0.5, Number.NaN]]) model.recall?.(past);
    model.observe(Number.NaN);
    model.observe(0.4);
    assert.ok(model.forecast(3).q50.every(Number.isFinite));
  });
});
