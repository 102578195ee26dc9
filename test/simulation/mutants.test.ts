import assert from 'node:assert/strict';
import { hunt, mutants, mutate } from '@foremesh/simulations';
import { read } from '../house/support/sources.ts';

/** For each checker a bug that it alone finds first: a checker that cannot fail proves nothing. */
const byChecker: Readonly<Record<string, string>> = {
  I1: 'answer before the fsync',
  I2: 'keep the fence in memory',
  I3: 'refuse a job that is said twice',
  I6: 'merge the parts in another order',
  I7: 'run what does not fit the memory',
  I9: 'no entry of the new term',
  agent: 'run again what has ended',
  attempts: 'use the number of an attempt again',
  copies: 'copy without end',
  'early vote': 'vote at once after a restart',
  inventory: 'assign before a node has said what it has',
  lease: 'assign when the lease has run out',
  ledger: 'forget in a snapshot which jobs have ended',
  moves: 'move again what has moved but now',
  outcomes: 'report an outcome before it is kept',
  planner: 'take up no job of the leader before',
  profiles: 'learn again from an outcome that comes too late',
  raft: 'compact one entry too many',
  specs: 'leave to clients the specs that were heard while nobody led',
  stale: 'go on leading after a long sleep',
  settled: 'forget at a restart what has ended',
  voter: 'plan on when another leads',
  waste: 'an inventory without attempts',
};

/** Where to begin, so that what only few runs show is found in time. */
const fromSeed: Readonly<Record<string, number>> = { moves: 420 };

describe('simulation: mutants', function () {
  this.timeout(240_000);

  it('change what stands exactly once in the core of today, and have a name of their own', () => {
    for (const mutant of mutants) {
      const source = read(`node-runtime/core/${mutant.file}`);
      assert.notEqual(mutate(source, mutant), source, mutant.name);
    }
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
    assert.ok(mutants.length >= 20);
  });

  it('are refused when what they change is not there', () => {
    const mutant = { name: 'none', file: 'raft.ts', find: 'a  b', replace: '' };
    assert.throws(() => mutate('a b; a\nb', mutant), /2 places in raft.ts/);
    assert.throws(() => mutate('ab', mutant), /0 places/);
    assert.equal(mutate('(a\n  b)', mutant), '()');
  });

  for (const [checker, name] of Object.entries(byChecker)) {
    it(`checker ${checker} finds "${name}"`, async () => {
      const mutant = mutants.find((each) => each.name === name);
      assert.ok(mutant, name);
      const { found } = await hunt(mutant, { fromSeed: fromSeed[checker] ?? 1, seeds: 500, msMost: 60_000 });
      assert.equal(found?.checker, checker, found?.message);
    });
  }
});
