import assert from 'node:assert/strict';
import { createForesight, type GlobalModel, type SeriesWindow } from '@foremesh/models';

const range = { low: 0, high: 100 };
const steps = 6;
const options = { steps, learnedKinds: ['cpu'], members: [] };
/** A square wave of 40 values that is hard to foretell from single values. */
const valueAt = (at: number) => (Math.floor(at / 20) % 2 === 0 ? 20 : 70) + ((at * 7919) % 13) / 10;

/** Says what came a period before, moved by `wrong`. */
function seasonal(wrong: number, model = 'seasonal', seen: SeriesWindow[] = []): GlobalModel {
  return {
    model,
    lags: 40,
    context: 100,
    steps,
    predict: (windows) => {
      seen.push(...windows);
      return windows.map(({ values, intervalMs }) => {
        const before = [...values.slice(values.length - 40, values.length - 40 + steps)];
        const moved = (by: number) => before.map((value) => Math.min(100, Math.max(0, value + wrong + by)));
        return { intervalMs, q10: moved(-0.6), q50: moved(0), q90: moved(0.6) };
      });
    },
  };
}

function opened(models: readonly GlobalModel[] = []) {
  const foresight = createForesight(options);
  const series = ['a', 'b'].map((key) => foresight.open({ key, kind: 'cpu', intervalMs: 60_000, range }));
  for (const model of models) foresight.use('cpu', model);
  const observe = (from: number, to: number) => {
    for (let at = from; at < to; at += 1)
      for (const [phase, each] of series.entries()) each.observe(valueAt(at + 5 * phase));
  };
  return { foresight, series, observe };
}

describe('a learned model among the members', () => {
  it('is used and named once it was compared often enough and beats all others', () => {
    const { foresight, series, observe } = opened();
    observe(0, 200);
    assert.equal(foresight.learnedScore('cpu'), undefined);
    foresight.use('cpu', seasonal(0));
    observe(200, 290);
    assert.equal(foresight.why('a')!.champion === 'seasonal', false, 'its 180 comparisons are too few');
    assert.equal(foresight.why('a')!.members.find(({ model }) => model === 'seasonal')!.weight, 0);
    observe(290, 400);
    const { scored, loss, challengerLoss } = foresight.learnedScore('cpu')!;
    assert.ok(scored === 354 && loss < challengerLoss / 3, `${scored}: ${loss} and ${challengerLoss}`);
    const { champion, members } = foresight.why('a')!;
    assert.deepEqual([champion, members[0]!.model], ['seasonal', 'seasonal']);
    assert.ok(Math.abs(members.reduce((sum, { weight }) => sum + weight, 0) - 1) < 1e-3);
    const ahead = series[0]!.forecast(3).q50;
    for (const [step, value] of ahead.entries()) assert.ok(Math.abs(value - valueAt(400 + step)) < 15, `${value}`);
  });

  it('is scored against the last value on the values that it was asked about', () => {
    const { foresight, series } = opened();
    const more = Array.from({ length: 8 }, (_, each) =>
      foresight.open({ key: `more${each}`, kind: 'cpu', intervalMs: 60_000, range }),
    );
    const all = [...series, ...more];
    // At first it all rests: what the last value says is right.
    for (let at = 0; at < 300; at += 1) {
      if (at === 240) foresight.use('cpu', seasonal(0));
      for (const each of all) each.observe(at < 200 ? valueAt(0) : valueAt(at));
    }
    const { champion, evidence, lossOfLast, members } = foresight.why('a')!;
    assert.equal(champion, 'seasonal');
    assert.ok(evidence > 30 && evidence < 60, `${evidence}`);
    const lossOnAll = members.find(({ model }) => model === 'last-value')!.loss;
    assert.ok(lossOfLast > 1.2 * lossOnAll, `${lossOfLast} ${lossOnAll}`);
  });

  it('changes nothing where another beats it, and nothing any more once it is worse', () => {
    const [without, bad] = [opened(), opened([seasonal(40)])];
    without.observe(0, 400);
    bad.observe(0, 400);
    const { scored, loss, challengerLoss } = bad.foresight.learnedScore('cpu')!;
    assert.ok(scored === 558 && loss > challengerLoss, `${scored}`);
    for (const [index, series] of bad.series.entries())
      assert.deepEqual(series.forecast(steps), without.series[index]!.forecast(steps));
    const weights = bad.foresight.why('a')!.members.filter(({ weight }) => weight > 0);
    assert.deepEqual(
      weights,
      without.foresight.why('a')!.members.filter(({ weight }) => weight > 0),
    );

    const turning = opened([seasonal(0)]);
    turning.observe(0, 400);
    assert.equal(turning.foresight.why('a')!.champion, 'seasonal');
    turning.foresight.use('cpu', seasonal(40, 'turned'));
    turning.observe(400, 800);
    const turned = turning.foresight.why('a')!.members.find(({ model }) => model === 'turned')!;
    assert.equal(turned.weight, 0);
    assert.ok(turned.loss > 10, 'what the one before it said is not its');
  });

  it('reads as much of the past as it can use, in one batch for many values of one series', () => {
    const seen: SeriesWindow[] = [];
    const [single, batch] = [opened([seasonal(0)]), opened([seasonal(0, 'seasonal', seen)])];
    single.observe(0, 300);
    const rows = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, at) => [
        ['a', valueAt(from + at)] as const,
        ['b', valueAt(from + at + 5)] as const,
      ]).flat();
    batch.foresight.observeAll(rows(0, 90));
    batch.foresight.observeAll(rows(90, 300));
    assert.deepEqual(batch.series[0]!.forecast(steps), single.series[0]!.forecast(steps));
    assert.deepEqual(batch.foresight.why('b'), single.foresight.why('b'));
    assert.equal(seen.length, 521);
    assert.deepEqual(
      [...seen.at(-1)!.values],
      Array.from({ length: 100 }, (_, at) => Math.fround(valueAt(205 + at))),
    );
    assert.equal(seen[0]!.values.length, 40);
  });

  it('is heard as often in batches of values of one series as one by one, used or not', () => {
    for (const wrong of [0, 2, 40]) {
      const [single, batch] = [opened([seasonal(wrong)]), opened([seasonal(wrong)])];
      single.observe(0, 600);
      for (let from = 0, length = 1; from < 600; from += length, length = 1 + ((7 * length) % 23)) {
        const values = Array.from({ length: Math.min(length, 600 - from) }, (_, at) => from + at);
        batch.foresight.observeAll(
          values.flatMap((at) => [['a', valueAt(at)] as const, ['b', valueAt(at + 5)] as const]),
        );
      }
      assert.deepEqual(batch.foresight.learnedScore('cpu'), single.foresight.learnedScore('cpu'));
      for (const [index, series] of batch.series.entries())
        assert.deepEqual(series.forecast(steps), single.series[index]!.forecast(steps));
    }
  });

  it('is not compared on what it may have been trained on', () => {
    const { foresight } = opened([seasonal(0)]);
    const rows = (from: number, to: number, isFamiliar: boolean) =>
      Array.from({ length: to - from }, (_, at) => ['a', valueAt(from + at), isFamiliar] as const);
    foresight.observeAll(rows(0, 300, true));
    assert.equal(foresight.learnedScore('cpu'), undefined);
    foresight.observeAll(rows(300, 360, false));
    const { scored } = foresight.learnedScore('cpu')!;
    assert.equal(scored, 54);
  });

  it('is asked after each value where it is used or hardly known, after every fourth where it is not', () => {
    for (const [wrong, least, most] of [
      [0, 40, 40],
      [40, 9, 11],
    ] as const) {
      const seen: SeriesWindow[] = [];
      const { observe } = opened([seasonal(wrong, 'seasonal', seen)]);
      observe(0, 69);
      assert.equal(seen.length, 2 * 30, 'of the first that are compared');
      observe(69, 400);
      seen.length = 0;
      observe(400, 440);
      assert.ok(seen.length >= 2 * least && seen.length <= 2 * most, `${seen.length}`);
    }
  });

  it('is for the kinds that were named', () => {
    assert.throws(() => createForesight(options).use('memory', seasonal(0)), RangeError);
  });
});
