import assert from 'node:assert/strict';
import {
  createForesight,
  type Foresight,
  type ForesightState,
  type GlobalModel,
  meanPinballLoss,
  movingAverage,
  persistence,
} from '@foremesh/models';
import { randomOf } from '../../support/generated.ts';

const range = { low: 0, high: 100 };
const steps = 12;

/** Series that return to a level of their own, with spikes: neither the last value nor the mean alone is right. */
function fleet(series: number, length: number, seed = 1): Float64Array[] {
  const { uniform: next } = randomOf(seed);
  return Array.from({ length: series }, (_, index) => {
    let slow = 0;
    return Float64Array.from({ length }, () => {
      slow = 0.9 * slow + 6 * (next() - 0.5);
      const spike = next() < 0.05 ? 30 * next() : 0;
      return Math.min(100, Math.max(0, 20 + 5 * (index % 5) + slow + 4 * next() + spike));
    });
  });
}

function openAll(foresight: Foresight, count: number, kind = 'cpu') {
  return Array.from({ length: count }, (_, index) =>
    foresight.open({ key: `${kind}${index}`, kind, intervalMs: 60_000, range }),
  );
}

function learn(foresight: Foresight): number {
  let pieces = 0;
  if (foresight.learningDue) for (const _ of foresight.learn()) pieces += 1;
  return pieces;
}

describe('foresight', function () {
  this.timeout(120_000);

  it('beats the last value and the moving average on a fleet, and its band holds 80 % or a little more', () => {
    const data = fleet(20, 400);
    const foresight = createForesight({ steps });
    const engine = openAll(foresight, data.length);
    const rivals = [persistence, movingAverage()].map((factory) =>
      data.map(() => factory({ intervalMs: 60_000, range })),
    );
    const losses = [0, 0, 0];
    let held = 0;
    let judged = 0;
    for (let at = 0; at < 400 - steps; at += 1) {
      learn(foresight);
      for (const [index, values] of data.entries()) {
        const contestants = [engine[index]!, ...rivals.map((each) => each[index]!)];
        if (at >= 200 && at % 6 === 0) {
          const actual = values.subarray(at, at + steps);
          for (const [who, model] of contestants.entries())
            losses[who]! += meanPinballLoss(model.forecast(steps), actual);
          const { q10, q90 } = engine[index]!.forecast(steps);
          for (const [step, value] of actual.entries()) {
            judged += 1;
            if (value >= q10[step]! && value <= q90[step]!) held += 1;
          }
        }
        for (const model of contestants) model.observe(values[at]!);
      }
    }
    assert.ok(losses[0]! < 0.97 * losses[1]! && losses[0]! < 0.97 * losses[2]!, `${losses}`);
    assert.ok(held / judged > 0.78 && held / judged < 0.86, `${held / judged}`);
  });

  it('gives the same curves for rounds as for values one by one', () => {
    const data = fleet(6, 150);
    const window: GlobalModel = {
      model: 'mean-of-ten',
      lags: 10,
      steps,
      predict: (windows) =>
        windows.map(({ values, intervalMs }) => {
          const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
          const flat = (value: number) => new Array<number>(steps).fill(value);
          return { intervalMs, q10: flat(mean - 1), q50: flat(mean), q90: flat(mean + 1) };
        }),
    };
    const single = createForesight({ steps, globals: [window] });
    const rounds = createForesight({ steps, globals: [window] });
    const ones = openAll(single, data.length);
    openAll(rounds, data.length);
    for (let at = 0; at < 150; at += 1) {
      for (const [index, values] of data.entries()) ones[index]!.observe(values[at]!);
      rounds.observeAll(data.map((values, index) => [`cpu${index}`, values[at]!]));
      assert.equal(learn(single), learn(rounds));
    }
    const together = rounds.forecastAll(steps);
    for (const [index, one] of ones.entries()) assert.deepEqual(together.get(`cpu${index}`), one.forecast(steps));
    assert.deepEqual(rounds.why('cpu0'), single.why('cpu0'));
    assert.ok(rounds.why('cpu0')!.members.some(({ model, weight }) => model === 'mean-of-ten' && weight > 0));
  });

  it('follows a shift of level within a few values', () => {
    const foresight = createForesight({ steps });
    const [series] = openAll(foresight, 1);
    const { uniform: next } = randomOf(3);
    for (let at = 0; at < 300; at += 1) series!.observe(20 + next());
    for (let at = 0; at < 8; at += 1) series!.observe(70 + next());
    const { q10, q50, q90 } = series!.forecast(3);
    for (let step = 0; step < 3; step += 1)
      assert.ok(q50[step]! > 60 && q10[step]! > 20 && q90[step]! >= 69, `${q10[step]} ${q50[step]} ${q90[step]}`);
  });

  it('is unsure of what it hardly knows', () => {
    const foresight = createForesight({ steps });
    const [series] = openAll(foresight, 1);
    let width = 100;
    for (let count = 1; count <= 6; count += 1) {
      series!.observe(40);
      const { q10, q50, q90 } = series!.forecast(1);
      assert.ok(Math.abs(q50[0]! - 40) < 0.5 && q90[0]! - q10[0]! < width, `${count}: ${q10[0]} ${q50[0]} ${q90[0]}`);
      width = q90[0]! - q10[0]!;
      if (count === 1) assert.ok(width > 60, `${width}`);
    }
  });

  it('does not take an open range for known after a few values that are 0, or the same', () => {
    const open = { low: 0, high: Number.POSITIVE_INFINITY };
    const foresight = createForesight({ steps });
    let opened = 0;
    /** What it says of the first and the last step after these values of a new series. */
    const saidOf = (values: readonly number[]) => {
      opened += 1;
      const one = foresight.open({ key: `${opened}`, kind: 'network', intervalMs: 60_000, range: open });
      for (const value of values) one.observe(value);
      const { q10, q50, q90 } = one.forecast(steps);
      for (const [step, middle] of q50.entries())
        assert.ok(0 <= q10[step]! && q10[step]! <= middle && middle <= q90[step]!, `${values}`);
      return [0, steps - 1].map((step) => ({ q10: q10[step]!, q50: q50[step]!, q90: q90[step]! }));
    };
    const zeros = (count: number) => Array<number>(count).fill(0);
    // Nothing says how large it may be: a unit.
    for (const { q50, q90 } of saidOf([0])) assert.ok(q50 === 0 && q90 > 0.8 && q90 < 1, `${q90}`);
    saidOf([2_000, 4_000, 6_000]);
    // As large as others of its kind are; the less so, the longer it rests.
    let before = Number.POSITIVE_INFINITY;
    for (let count = 1; count < 12; count += 1) {
      const [near, far] = saidOf(zeros(count));
      assert.ok(Math.abs(near!.q90 - far!.q90) < 1e-9 * near!.q90);
      assert.ok(near!.q50 < 1e-9 && near!.q90 > 0 && near!.q90 < before, `${count} zeros: ${near!.q90}, ${before}`);
      if (count === 1) assert.ok(near!.q90 > 1_000, `${near!.q90}`);
      before = near!.q90;
    }
    assert.ok(saidOf(zeros(12))[0]!.q90 < 1e-9);
    // Once it moved it may again, as far as that.
    for (const values of [
      [0, 0, 5_000],
      [5_000, 0, 0],
      [...zeros(5), 5_000, 0, 0],
    ])
      for (const { q90 } of saidOf(values)) assert.ok(q90 > 500, `${values}: ${q90}`);
    for (const { q90 } of saidOf([0, 0, 5_000])) assert.ok(q90 > 5_000, `${q90}`);
    const widths = [1, 2, 6, 11].map((count) => saidOf(Array<number>(count).fill(7_000))[1]!);
    for (const [index, { q10, q50, q90 }] of widths.entries()) {
      assert.ok(Math.abs(q50 - 7_000) < 1e-6, `${q50}`);
      assert.ok(q10 < 7_000 && q90 > 7_000 && q90 < 14_000);
      if (index > 0) assert.ok(q10 > widths[index - 1]!.q10 && q90 < widths[index - 1]!.q90);
    }
  });

  it('is less sure after values that did not come', () => {
    const foresight = createForesight({ steps: 30 });
    const [series] = openAll(foresight, 1);
    const { uniform: next } = randomOf(5);
    let value = 50;
    for (let at = 0; at < 300; at += 1) {
      value = Math.min(100, Math.max(0, value + 2 * (next() - 0.5)));
      series!.observe(value);
    }
    const before = series!.forecast(1);
    for (let gap = 0; gap < 10; gap += 1) series!.observe(Number.NaN);
    const later = series!.forecast(1);
    assert.ok(later.q90[0]! - later.q10[0]! > 1.5 * (before.q90[0]! - before.q10[0]!));
  });

  it('says which member it relies on, and what it scored against the last value', () => {
    const data = fleet(8, 250, 9);
    const foresight = createForesight({ steps, members: [{ model: 'average-of-50', factory: movingAverage(50) }] });
    const opened = openAll(foresight, data.length);
    for (let at = 0; at < 250; at += 1) {
      learn(foresight);
      for (const [index, values] of data.entries()) opened[index]!.observe(values[at]!);
    }
    const { champion, evidence, loss, lossOfLast, members } = foresight.why('cpu3')!;
    assert.equal(evidence, 100);
    assert.ok(loss > 0 && loss < lossOfLast, `${loss} ${lossOfLast}`);
    assert.ok(members.some(({ model }) => model === champion));
    assert.ok(members.some(({ model }) => model === 'average-of-50'));
    assert.ok(Math.abs(members.reduce((sum, { weight }) => sum + weight, 0) - 1) < 1e-3);
    for (let index = 1; index < members.length; index += 1)
      assert.ok(members[index - 1]!.weight >= members[index]!.weight);
    const leader = members.find(({ model }) => model === champion)!;
    assert.ok(leader.loss < lossOfLast);
    assert.equal(members.find(({ model }) => model === 'last-value')!.loss, lossOfLast, 'the last value has one name');
    assert.equal(foresight.why('nobody'), undefined);
  });

  it('goes on from what another learned', () => {
    const data = fleet(12, 300, 4);
    const teacher = createForesight({ steps });
    const opened = openAll(teacher, data.length);
    for (let at = 0; at < 200; at += 1) {
      learn(teacher);
      for (const [index, values] of data.entries()) opened[index]!.observe(values[at]!);
    }
    const state = JSON.parse(JSON.stringify(teacher.save())) as ForesightState;
    const pupil = createForesight({ steps });
    pupil.restore(state);
    assert.deepEqual(JSON.parse(JSON.stringify(pupil.save())), state);
    const untaught = createForesight({ steps });
    const lossOf = (foresight: Foresight) => {
      const series = openAll(foresight, 1, 'cpu')[0]!;
      let loss = 0;
      for (let at = 0; at < 288; at += 1) {
        if (at >= 30) loss += meanPinballLoss(series.forecast(steps), data[0]!.subarray(at, at + steps));
        series.observe(data[0]![at]!);
      }
      return loss;
    };
    assert.ok(lossOf(pupil) < lossOf(untaught));
    assert.throws(() => teacher.restore(state), RangeError);
  });

  it('opens a series once, forgets it when closed, and refuses what does not fit', () => {
    const foresight = createForesight({ steps });
    const identity = { key: 'a', kind: 'cpu', intervalMs: 1_000, range };
    const series = foresight.open(identity);
    assert.equal(foresight.open(identity), series);
    assert.throws(() => foresight.open({ ...identity, key: 'b', intervalMs: 5 }), /one interval and one range/);
    assert.throws(() => foresight.observeAll([['b', 1]]), /no open series b/);
    foresight.close('a');
    assert.notEqual(foresight.open(identity), series);
    assert.throws(() => createForesight({ steps: 0 }), RangeError);
  });

  it('says of bad input what is wrong with it', () => {
    const foresight = createForesight({ steps });
    const identity = { key: 'a', kind: 'cpu', intervalMs: 1_000, range };
    for (const intervalMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => foresight.open({ ...identity, intervalMs }), {
        name: 'RangeError',
        message: `intervalMs must be a number above 0, not ${intervalMs}`,
      });
    const endless = Number.POSITIVE_INFINITY;
    for (const [low, high] of [
      [1, 0],
      [Number.NaN, 1],
      [0, Number.NaN],
      [endless, endless],
      [-endless, -endless],
    ] as const)
      assert.throws(() => foresight.open({ ...identity, range: { low, high } }), {
        name: 'RangeError',
        message: `a range goes from low up to high, not from ${low} to ${high}`,
      });
    const series = foresight.open(identity);
    assert.throws(
      () => foresight.open({ ...identity, key: 'b', range: { low: 0, high: 7 } }),
      /1000 ms and 0 to 100, not 1000 ms and 0 to 7/,
    );
    for (const ahead of [-1, 1.5, Number.NaN])
      for (const ask of [() => series.forecast(ahead), () => foresight.forecastAll(ahead)])
        assert.throws(ask, { name: 'RangeError', message: `steps must be a whole number from 0, not ${ahead}` });
    assert.deepEqual(series.forecast(0), { intervalMs: 1_000, q10: [], q50: [], q90: [] });
  });

  it('refuses what was learned with other steps or members', () => {
    const teacher = createForesight({ steps });
    openAll(teacher, 1);
    for (const other of [{ steps: steps - 1 }, { steps: 3 * steps }, { steps, members: [] }]) {
      const pupil = createForesight(other);
      pupil.restore(teacher.save());
      assert.throws(() => openAll(pupil, 1), {
        name: 'RangeError',
        message: /^what was learned of steps 1, 2, .* and members .* does not fit steps 1, 2, .* and members /,
      });
    }
  });
});
