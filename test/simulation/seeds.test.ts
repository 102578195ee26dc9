import assert from 'node:assert/strict';
import { faultKinds, runScenario, type Scenario, scenarioOf } from '@foremesh/simulations';

const seeds = 200;

/** What the simulator can say of one run besides what it checks at every step. */
describe('simulation: the core under faults', function () {
  this.timeout(240_000);

  it(`keeps every promise in seeds 1 to ${seeds}`, () => {
    const kinds = new Set<string>();
    const runsBy = { voters: new Map<number, number>(), terms: 0 };
    let moved = 0;
    for (let seed = 1; seed <= seeds; seed += 1) {
      const scenario = scenarioOf(seed);
      const { violation, votersMost, terms, moves } = runScenario(scenario);
      const again = `foremesh sim run --seed ${seed}`;
      assert.equal(violation, undefined, `${again}: ${violation?.checker}: ${violation?.message}`);
      for (const { kind } of scenario.faults) kinds.add(kind);
      runsBy.voters.set(votersMost, (runsBy.voters.get(votersMost) ?? 0) + 1);
      if (terms > 1) runsBy.terms += 1;
      moved += moves;
    }
    assert.deepEqual([...kinds].sort(), [...faultKinds].sort(), 'every kind of fault struck');
    for (const voters of [1, 3, 5]) assert.ok(runsBy.voters.get(voters)! > seeds / 6, `${voters} voters`);
    assert.ok(runsBy.terms > seeds / 3, 'leaders changed');
    assert.ok(moved > seeds / 4, `tasks moved: ${moved}`);
  });

  it('runs the same seed the same way, to the byte', () => {
    for (const seed of [3, 17, 101]) {
      const [first, second] = [0, 1].map(() => runScenario(scenarioOf(seed), { trace: true }));
      assert.deepEqual(first, second);
      assert.equal(first!.traceHash, runScenario(scenarioOf(seed)).traceHash, 'kept or not, the trace is the same');
    }
    assert.notEqual(runScenario(scenarioOf(3)).traceHash, runScenario(scenarioOf(4)).traceHash);
  });

  it('runs a scenario that went through JSON the same way', () => {
    const scenario = scenarioOf(17);
    const copy = JSON.parse(JSON.stringify(scenario)) as Scenario;
    assert.equal(runScenario(copy).traceHash, runScenario(scenario).traceHash);
  });
});
