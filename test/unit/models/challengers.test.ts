import assert from 'node:assert/strict';
import { createForesight, type Forecaster, type Member } from '@foremesh/models';
import { randomOf } from '../../support/generated.ts';

const range = { low: 0, high: 100 };
const intervalMs = 60_000;
const steps = 12;
const flat = (value: number) => new Array<number>(steps).fill(value);

/** Says the same of every step, whatever comes. */
const saying = (value: number) => (): Forecaster => ({
  model: 'said',
  observe: () => {},
  forecast: () => ({ intervalMs, q10: flat(value - 1), q50: flat(value), q90: flat(value + 1) }),
});

/** Values around 40, each far from the one before. */
function restless(length: number, middle = 40): number[] {
  const { normal } = randomOf(7);
  return Array.from({ length }, () => middle + 6 * normal());
}

function engineWith(challenger: Partial<Member> & Pick<Member, 'factory'>) {
  const foresight = createForesight({ steps, members: [{ model: 'challenger', challenges: true, ...challenger }] });
  const open = (key: string, kind = 'cpu') => foresight.open({ key, kind, intervalMs, range });
  const weightOf = (key: string) => foresight.why(key)!.members.find(({ model }) => model === 'challenger')?.weight;
  return { foresight, open, weightOf };
}

describe('a challenger', () => {
  it('is scored, and changes nothing, whatever it says, while another is better', () => {
    const [low, high] = [saying(0), saying(100)].map((factory) => engineWith({ factory }));
    const [ones, others] = [low!.open('a'), high!.open('a')];
    for (const value of restless(200)) {
      ones.observe(value);
      others.observe(value);
      assert.deepEqual(ones.forecast(steps), others.forecast(steps));
    }
    for (const { foresight, weightOf } of [low!, high!]) {
      assert.equal(weightOf('a'), 0);
      const { champion, members } = foresight.why('a')!;
      assert.notEqual(champion, 'challenger');
      assert.ok(members.find(({ model }) => model === 'challenger')!.loss > 10);
      assert.ok(Math.abs(members.reduce((sum, { weight }) => sum + weight, 0) - 1) < 1e-6);
    }
  });

  it('takes part as soon as it is the champion, and no longer than it is', () => {
    // It knows what is coming, where the others can only say how far values go.
    const values = [...restless(200), ...restless(200)];
    let [seen, isLying] = [0, false];
    const prophet = (): Forecaster => ({
      model: 'prophet',
      observe: () => {
        seen += 1;
      },
      forecast: () => {
        const coming = isLying ? flat(0) : flat(0).map((_, step) => values[seen + step] ?? 40);
        return { intervalMs, q10: coming, q50: coming, q90: coming };
      },
    });
    const { foresight, open, weightOf } = engineWith({ factory: prophet });
    const series = open('a');
    for (const value of values.slice(0, 200)) series.observe(value);
    assert.equal(foresight.why('a')!.champion, 'challenger');
    const knowing = weightOf('a')!;
    assert.ok(knowing > 0.05, `${knowing}`);
    isLying = true;
    for (const value of values.slice(200)) series.observe(value);
    assert.notEqual(foresight.why('a')!.champion, 'challenger');
    assert.equal(weightOf('a'), 0);
  });

  it('speaks for no more series than it may, and for another one when one of them is closed', () => {
    let made = 0;
    const factory = () => {
      made += 1;
      return saying(40)();
    };
    const { foresight, open, weightOf } = engineWith({ factory, seriesMost: 2, kinds: ['cpu'] });
    const series = ['a', 'b', 'c'].map((key) => open(key));
    open('n', 'network').observe(1);
    assert.equal(made, 2);
    for (const value of restless(40)) for (const each of series) each.observe(value);
    assert.equal(weightOf('n'), undefined, 'it is for another kind');
    assert.equal(weightOf('c'), 0);
    assert.ok(series[2]!.forecast(steps).q50.every(Number.isFinite));
    foresight.close('c');
    open('d');
    assert.equal(made, 2);
    foresight.close('a');
    open('e');
    assert.equal(made, 3);
    open('f');
    assert.equal(made, 3);
  });
});
