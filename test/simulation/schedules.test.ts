import assert from 'node:assert/strict';
import { fuzzSchedules, hunt, mutants, runSchedule, scheduleScenarioOf } from '@foremesh/simulations';

/** More of it, and longer: `foremesh sim schedules`. */
describe('simulation: schedules', function () {
  this.timeout(60_000);

  it('start each of a thousand occurrences once, over weeks of leaders that change and clocks that jump', () => {
    const disturbed = { cron: '0 * * * *', nodes: 3, changePermille: 5, jumpPermille: 5, strayPercent: 20 };
    const scenario = { ...scheduleScenarioOf(7, 1_000), ...disturbed, timezone: 'Europe/Berlin', runMostMs: 2_000 };
    const { violation, started, skipped, changes, jumps, days } = runSchedule(scenario);
    assert.equal(violation, undefined, violation?.message);
    assert.ok(started + skipped >= 1_000 && started > 500, `${started} started, ${skipped} left out`);
    assert.ok(changes > 20 && jumps > 20 && days >= 40, `${changes} leaders, ${jumps} jumps, ${days} days`);
  });

  it('keep every promise in many short runs', () => {
    const { found, changes, jumps, skipped } = fuzzSchedules({ fromSeed: 1, seeds: 25, goOn: () => true }, 12);
    assert.deepEqual(found, []);
    assert.ok(changes > 60 && jumps > 25 && skipped > 10, 'and were disturbed');
  });

  const scheduleMutants = mutants.filter((each) => each.in === 'schedules');
  for (const name of ['accept an earlier occurrence', 'fire with a wrong clock']) {
    it(`find "${name}"`, async () => {
      const mutant = scheduleMutants.find((each) => each.name === name);
      assert.ok(mutant, name);
      const { found } = await hunt(mutant, { fromSeed: 1, seeds: 100, msMost: 30_000 });
      assert.match(found?.checker ?? 'not found', /^schedule/);
    });
  }
});
