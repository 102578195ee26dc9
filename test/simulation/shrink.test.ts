import assert from 'node:assert/strict';
import { runScenario, type Scenario, scenarioOf, shrink, tellStory, Violation } from '@foremesh/simulations';

/** A planted bug: the mesh "loses a job" when a node is killed while a job that is cut is there. */
function planted(scenario: Scenario) {
  const result = runScenario({ ...scenario, faults: [], jobs: [] });
  const kill = scenario.faults.some(({ kind, machine }) => kind === 'kill' && machine === 'leader');
  const broken = kill && scenario.jobs.some(({ kind }) => kind === 'map' || kind === 'chain');
  return broken ? { ...result, violation: new Violation('I3', 'job lost') } : result;
}

describe('simulation: shrinker', function () {
  this.timeout(60_000);

  it('leaves of a failing run what it takes to fail', () => {
    let seed = 1;
    const isLarge = ({ faults, jobs, weather, inventoryGraceMs }: Scenario) =>
      faults.length > 10 && jobs.length > 2 && weather.delayMostMs > 20 && inventoryGraceMs > 1_500;
    while (!isLarge(scenarioOf(seed)) || planted(scenarioOf(seed)).violation === undefined) seed += 1;
    const small = shrink(scenarioOf(seed), { run: planted });
    assert.ok(small);
    const { faults, jobs, nodes, weather, profile, inventoryGraceMs } = small.scenario;
    assert.deepEqual(
      faults.map(({ kind, machine }) => [kind, machine]),
      [['kill', 'leader']],
    );
    assert.ok(faults[0]!.forMs <= 100);
    assert.equal(jobs.length, 1);
    assert.deepEqual([nodes, profile, weather.dropPercent, weather.delayMostMs], [1, 'plain', 0, 20]);
    assert.equal(inventoryGraceMs, 1_500);
    assert.equal(small.result.violation?.checker, 'I3');
  });

  it('has nothing to do for a run that is right, and stops at its budget', () => {
    assert.equal(shrink(scenarioOf(1)), undefined);
    const fails = (scenario: Scenario) => ({
      ...runScenario({ ...scenario, jobs: [] }),
      violation: new Violation('I3', ''),
    });
    assert.equal(shrink(scenarioOf(5), { run: fails, triesMost: 3 })?.tries, 3);
  });

  it('tells a story that ends with the command that runs it again', () => {
    const scenario = scenarioOf(6);
    assert.match(tellStory(scenario), /again: foremesh sim run --seed 6$/);
    const smaller = { ...scenario, faults: [] };
    const command = /again: foremesh sim run --scenario '(.*)'$/.exec(tellStory(smaller));
    assert.deepEqual(JSON.parse(command![1]!), smaller);
  });
});
