import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { runCli } from '@foremesh/node-runtime/cli';
import { mutants } from '@foremesh/simulations';
import { read } from '../house/support/sources.ts';
import { sectionsOf } from '../integration/docs/blocks.ts';
import { matchesText } from '../integration/docs/compare.ts';
import { FakeIo } from '../unit/cli/fake-io.ts';

async function run(line: string) {
  const io = new FakeIo(tmpdir());
  const exitCode = await runCli(line.trim().split(' ').slice(1), io);
  return { exitCode, text: io.text, err: io.err };
}

describe('simulation: docs/simulation.md and the command', function () {
  this.timeout(60_000);
  const markdown = read('docs/simulation.md');
  const blocks = sectionsOf(markdown).flatMap((section) => section.blocks);

  for (const [index, { marks, text, line }] of blocks.entries()) {
    if (!marks.has('run')) continue;
    it(`line ${line}: ${text.trim()}`, async () => {
      const { exitCode, text: found, err } = await run(text);
      assert.deepEqual([exitCode, err], [0, '']);
      const shown = blocks[index + 1]!.text;
      assert.ok(matchesText(shown, found), `shown:\n${shown}\nfound:\n${found.slice(0, 3_000)}`);
    });
  }

  it('says how many mutants there are', () => {
    assert.ok(
      markdown.includes(`"mutants":{"found":${mutants.length},"total":${mutants.length}}`),
      String(mutants.length),
    );
  });

  it('refuses what is no number and no scenario', async () => {
    for (const wrong of ['fuzz --seeds many', 'fuzz --minutes soon', 'run --seed -1', 'run --scenario {']) {
      const { exitCode, err } = await run(`foremesh sim ${wrong}`);
      assert.equal(exitCode, 2, wrong);
      assert.match(err, /MESH_USAGE/);
    }
  });

  it('stops when its time is up', async () => {
    const { text } = await run('foremesh sim fuzz --seeds 100000 --minutes 0 --json');
    assert.deepEqual(JSON.parse(text), { seeds: 0, violations: 0 });
  });
});
