import assert from 'node:assert/strict';
import { type CapacityCurve, type CostQuestion, expectedCost, type SlotCapacity } from '@foremesh/partitioner';
import fc from 'fast-check';

const exactly = (value: number) => ({ q10: value, q50: value, q90: value });
const flat = (rate: number): CapacityCurve => ({ untilSeconds: [], rates: [rate] });
const always = (rate: number, demand = 1): SlotCapacity => ({ ...curves(flat(rate)), demand });
const curves = (curve: CapacityCurve) => ({ q10: curve, q50: curve, q90: curve });

const question: CostQuestion = {
  workSeconds: exactly(10),
  capacity: always(1),
  speed: 1,
  startSeconds: 0,
  inputBytes: 0,
  bytesPerSecond: 1e6,
  leavesPerSecond: 0,
};
const termsOf = (change: Partial<CostQuestion>) => expectedCost({ ...question, ...change }).terms;

describe('cost of a placement', () => {
  it('ends where the integral of what is free, times speed, reaches the work, behind what is queued there', () => {
    assert.equal(termsOf({}).finishSeconds, 10);
    assert.equal(termsOf({ speed: 2, startSeconds: 7 }).finishSeconds, 12);
    // A quarter of a core for 20 s does 5 of the 10 s, a whole core the rest in 5 s.
    const soonFree = { ...curves({ untilSeconds: [20], rates: [0.25, 1] }), demand: 1 };
    assert.equal(termsOf({ capacity: soonFree }).finishSeconds, 25);
    assert.equal(termsOf({ capacity: soonFree, startSeconds: 20 }).finishSeconds, 30);
  });

  it('carries the quantiles of work and capacity: much work meets little capacity', () => {
    const capacity = { q10: flat(0.5), q50: flat(0.8), q90: flat(1), demand: 1 };
    const { finish, terms } = expectedCost({ ...question, capacity, workSeconds: { q10: 5, q50: 8, q90: 20 } });
    assert.deepEqual(finish, { q10: 5, q50: 10, q90: 40 });
    assert.equal(terms.finishSeconds, 0.3 * 5 + 0.4 * 10 + 0.3 * 40);
  });

  it('counts the seconds of CPU that the device would lose, while the task runs and no longer', () => {
    const busyThenFree = { ...curves({ untilSeconds: [20, 1_000], rates: [0.25, 1, 0.25] }), demand: 1 };
    assert.equal(termsOf({ capacity: busyThenFree }).contentionSeconds, 15);
    assert.equal(termsOf({ capacity: busyThenFree, startSeconds: 20 }).contentionSeconds, 0);
    // What the owner does not lend is nothing that the device would lose.
    assert.equal(termsOf({ capacity: always(0.5, 0.5) }).contentionSeconds, 0);
  });

  it('counts the input on its way, for which the task waits', () => {
    const { transferSeconds, finishSeconds } = termsOf({ inputBytes: 3e6 });
    assert.deepEqual({ transferSeconds, finishSeconds }, { transferSeconds: 3, finishSeconds: 13 });
  });

  it('counts the work that is lost if the device leaves: the mean over when it does', () => {
    // Simpson's rule on rate x exp(-rate t) x t, which the formula is the integral of.
    for (const leavesPerSecond of [1e-7, 1e-4, 0.01, 1]) {
      let integral = 0;
      const steps = 10_000;
      for (let step = 0; step <= steps; step += 1) {
        const at = (10 * step) / steps;
        const factor = step === 0 || step === steps ? 1 : step % 2 === 1 ? 4 : 2;
        integral += factor * leavesPerSecond * Math.exp(-leavesPerSecond * at) * at;
      }
      integral *= 10 / steps / 3;
      const { riskSeconds } = termsOf({ leavesPerSecond });
      assert.ok(Math.abs(riskSeconds - integral) <= 1e-4 * integral, `${riskSeconds} beside ${integral}`);
    }
  });

  it('adds up what the weights say, and nothing that has no weight', () => {
    const capacity = always(0.5);
    const some = { ...question, capacity, inputBytes: 1e6, leavesPerSecond: 0.01 };
    const { terms } = expectedCost(some, { makespan: 1, contention: 2, transfer: 3, risk: 4 });
    const { finishSeconds, contentionSeconds, transferSeconds, riskSeconds, total } = terms;
    assert.equal(total, finishSeconds + 2 * contentionSeconds + 3 * transferSeconds + 4 * riskSeconds);
    const never = { ...question, capacity: always(0) };
    assert.equal(expectedCost(never).terms.total, Number.POSITIVE_INFINITY);
    assert.equal(expectedCost(never, { makespan: 0, contention: 0, transfer: 1, risk: 1 }).terms.total, 0);
  });

  const rates = fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 });
  it('never ends earlier for more work, a later start, less capacity or more input', () => {
    fc.assert(
      fc.property(rates, fc.double({ min: 0, max: 100, noNaN: true }), rates, (some, more, drops) => {
        const untilSeconds = [3, 30, 60];
        const capacity = { ...curves({ untilSeconds, rates: some }), demand: 1 };
        const less = { ...curves({ untilSeconds, rates: some.map((rate, at) => rate * drops[at]!) }), demand: 1 };
        const { finishSeconds } = termsOf({ capacity });
        const slack = 1e-9 * (finishSeconds + more);
        for (const change of [
          { capacity, workSeconds: exactly(10 + more) },
          { capacity, startSeconds: more },
          { capacity, inputBytes: more * 1e6 },
          { capacity: less },
        ])
          assert.ok(termsOf(change).finishSeconds >= finishSeconds - slack);
      }),
    );
  });
});
