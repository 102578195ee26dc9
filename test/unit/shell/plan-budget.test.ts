import assert from 'node:assert/strict';
import { limits, MeshError } from '@foremesh/node-runtime/contract';
import { PlanBudget } from '../../../node-runtime/shell/voter/plan-budget.ts';

describe('the time that a leader plans for others', () => {
  let nowMs: number;
  let budget: PlanBudget;
  beforeEach(() => {
    nowMs = 1_000;
    budget = new PlanBudget(() => nowMs);
  });
  const plan = (account: string, tookMs: number) =>
    budget.spend(account, () => {
      nowMs += tookMs;
      return account;
    });
  const refused = (account: string, limit: string, seconds: number) =>
    assert.throws(
      () => budget.check(account),
      (error: unknown) =>
        error instanceof MeshError &&
        error.code === 'MESH_LIMIT_EXCEEDED' &&
        error.message.startsWith(`${limit} is `) &&
        error.mend === `ask again in ${seconds} s`,
    );

  it('is as much for one account as was said, and then as much as comes with the time', () => {
    assert.equal(plan('eve', limits.planMsPerAccount - 1), 'eve');
    plan('eve', 1_000); // there was something left
    const rate = limits.planMsPerAccount / 60_000;
    const dueMs = (1_000 - 1 - 1_000 * rate) / rate;
    refused('eve', 'planMsPerAccount', Math.ceil(dueMs / 1_000));
    assert.throws(() => plan('eve', 1), MeshError);
    budget.check('ada');
    nowMs += dueMs - 10;
    refused('eve', 'planMsPerAccount', 1);
    nowMs += 20;
    assert.equal(plan('eve', 50), 'eve');
    assert.throws(() => plan('eve', 1), MeshError);
  });

  it('is as much for all accounts together as was said, whoever asks', () => {
    for (let account = 0; account < 4; account += 1) plan(`a${account}`, limits.planMsOfAll / 4 + 200);
    assert.throws(() => budget.check('new'), /planMsOfAll is 6000/);
  });

  it('is spent by a plan that fails, too', () => {
    const failing = () => {
      nowMs += limits.planMsPerAccount * 2;
      throw new RangeError('no');
    };
    assert.throws(() => budget.spend('eve', failing), RangeError);
    assert.throws(() => budget.check('eve'), /planMsPerAccount/);
  });
});
