import assert from 'node:assert/strict';
import { createForesight } from '@foremesh/models';
import { Mixture, slopeAt } from '../../../models/engine/mixture.ts';
import { pinballLoss } from '../../../models/scoring/scores.ts';

const level = 0.9;
const members = 3;

/** Lets a mixture of one cell learn from what experts say of values; the mean losses of the experts and, last, of the mixture. */
function learnedFrom(values: number[], experts: ((at: number) => number)[], ownRates: boolean) {
  const mixture = new Mixture(1, members, 0, ownRates);
  const squares = new Float64Array(mixture.rates);
  const losses = new Array<number>(members + 1).fill(0);
  for (const [at, value] of values.entries()) {
    mixture.weigh(0, 2);
    const said = Float32Array.from(experts, (expert) => expert(at));
    const mixed = mixture.mix(0, said, 0);
    for (const [index, each] of [...said, mixed].entries())
      losses[index]! += pinballLoss(value, each, level) / values.length;
    mixture.learn(0, slopeAt(level, value, mixed), said, 0, mixed, 1, 1, squares);
  }
  return { losses, mixture, weights: [...mixture.weights] };
}

describe('the mixture of the members', () => {
  const isBurst = (at: number) => at % 50 === 20;
  const values = Array.from({ length: 3_000 }, (_, at) => (isBurst(at) ? 1_000 : 1));
  /** It says so two values too early, and for as long afterwards. */
  const foresees = (at: number) => (at % 50 >= 18 && at % 50 <= 22 ? 1_000 : 1);
  const staysAt = (value: number) => () => value;

  it('with own rates is little worse than the one member that foresees rare bursts, and with one rate much worse', () => {
    const experts = [staysAt(1), staysAt(2), foresees];
    const own = learnedFrom(values, experts, true).losses;
    const common = learnedFrom(values, experts, false).losses;
    assert.ok(own[3]! < 1.2 * own[2]! && own[2]! < 0.5 * own[0]!, `${own}`);
    assert.ok(common[3]! > 1.5 * own[3]!, `${common} ${own}`);
  });

  it('with own rates tells members apart by everyday losses, whatever rare values cost another', () => {
    const { weights } = learnedFrom(values, [staysAt(1), staysAt(1.5), (at) => (at % 50 === 21 ? 1_000 : 1)], true);
    assert.ok(weights[0]! > 20 * weights[1]! && weights[0]! > 20 * weights[2]!, `${weights}`);
  });

  for (const ownRates of [false, true])
    it(`has the same weights after it was saved and restored (own rates: ${ownRates})`, () => {
      const { mixture } = learnedFrom(values.slice(0, 200), [staysAt(1), staysAt(2), foresees], ownRates);
      const other = new Mixture(1, members, 0, ownRates);
      other.restore(mixture.save());
      mixture.weigh(0);
      assert.deepEqual([...other.weights], [...mixture.weights]);
    });

  it('has own rates where the range is open, and only there', () => {
    const squaresOf = (high: number) => {
      const foresight = createForesight({ steps: 3, members: [] });
      const series = foresight.open({ key: 'a', kind: 'k', intervalMs: 60_000, range: { low: 0, high } });
      for (const value of [1, 2, 3]) series.observe(value);
      const { mixture } = foresight.save().k!;
      return { squares: mixture.squares.length, regrets: mixture.regrets.length };
    };
    const [closed, open] = [squaresOf(100), squaresOf(Number.POSITIVE_INFINITY)];
    assert.equal(open.squares, open.regrets);
    assert.ok(closed.squares < closed.regrets);
  });
});
