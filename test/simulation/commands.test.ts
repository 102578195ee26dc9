import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { runCli } from '@foremesh/node-runtime/cli';
import { MeshError } from '@foremesh/node-runtime/contract';
import { readScenario, runScenario, scenarioLimits, scenarioOf } from '@foremesh/simulations';
import { FakeIo } from '../unit/cli/fake-io.ts';

describe('simulation: scenarios that are given', function () {
  this.timeout(60_000);

  it('are read as they were printed, whatever the seed', () => {
    for (let seed = 1; seed <= 300; seed += 1)
      assert.deepEqual(readScenario(JSON.stringify(scenarioOf(seed))), scenarioOf(seed));
  });

  it('are as their seed draws them where they say nothing', () => {
    assert.deepEqual(readScenario('{"seed": 6, "faults": []}'), { ...scenarioOf(6), faults: [] });
  });

  it('are refused, with the place, where they are none', () => {
    const refused: readonly (readonly [text: string, said: RegExp])[] = [
      ['{"seed": 5', /not JSON/],
      ['null', /expected object/],
      ['{}', /seed: .*expected number/],
      ['{"seed": -1}', /seed: .*>=0/],
      ['{"seed": 5, "nodes": "many"}', /nodes: .*expected number/],
      [`{"seed": 5, "nodes": ${scenarioLimits.nodes + 1}}`, /nodes: .*<=64/],
      ['{"seed": 5, "profile": "mosquito"}', /profile: .*"plain"\|"nats"\|"rabbit"/],
      ['{"seed": 5, "voters": []}', /voters: .*>=1/],
      [
        '{"seed": 5, "faults": [{"kind": "kill", "atMs": 1, "forMs": 1, "machine": "everybody"}]}',
        /faults\.0\.machine/,
      ],
      ['{"seed": 5, "bogus": 1}', /bogus/],
    ];
    for (const [text, said] of refused)
      assert.throws(
        () => readScenario(text),
        (error) => error instanceof MeshError && error.code === 'MESH_USAGE' && said.test(error.toLine()),
        text,
      );
  });

  it('run as the seed does, and say it in one line of JSON', async () => {
    const { traceHash, trace, steps } = runScenario(scenarioOf(7), { trace: true });
    const said = async (...words: string[]) => {
      const io = new FakeIo(tmpdir());
      assert.equal(await runCli(['sim', 'run', ...words, '--json'], io), 0, io.err);
      assert.equal(io.documents.length, 1);
      return io.documents[0]!;
    };
    const { trace: lines, ...summary } = await said('--seed', '7', '--trace');
    assert.deepEqual(lines, trace);
    assert.deepEqual([summary.seed, summary.steps, summary.traceHash], [7, steps, traceHash]);
    assert.deepEqual(await said('--scenario', '{"seed": 7}'), summary);
  });
});
