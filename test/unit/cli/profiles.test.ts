import assert from 'node:assert/strict';
import { runCli } from '@foremesh/node-runtime/cli';
import type { ProfileRow } from '@foremesh/node-runtime/contract';
import { meshOfSuite } from './mesh-of-suite.ts';

describe('cli: profiles', () => {
  const { mesh, newIo } = meshOfSuite();

  it('tells what more input costs only where tasks with inputs of different size have told', async () => {
    const row = (growth: 'seen' | 'near' | 'guessed' | undefined, stage: string): ProfileRow => ({
      ...{ engine: 'js', code: `sha256-${'a'.repeat(64)}`, stage, inputBytes: 1_000 },
      estimate: {
        ...{ basis: 'own', evidence: { tasks: 4, categoryCodes: 0, codes: 0 } },
        workSeconds: {
          ...{ q10: 9, q50: 11, q90: 13, fixed: 11, perByte: 0.000_684 },
          ...(growth === undefined ? {} : { growth }),
        },
      },
    });
    const { code: _, stage: _stage, ...other } = row('guessed', '');
    const profiles = [row('seen', 'grows'), row('near', 'alike'), row(undefined, 'earlier'), other];
    mesh.answer = () => ({ query: 'profiles', profiles, truncated: 0 });
    const io = newIo();
    assert.equal(await runCli(['profiles'], io), 0, io.err);
    const cells = io.text.split('\n').map((line) => line.trim().split(/ {2,}/));
    assert.deepEqual(
      cells.filter(([first]) => first === 'aaaaaaaa').map((line) => [line[1], ...line.slice(-2)]),
      [
        ['grows', '11 min 24 s', 'by 4 tasks of this code'],
        ['alike', '13 s', 'by 4 tasks of this code'],
        ['earlier', '11 min 24 s', 'by 4 tasks of this code'],
      ],
    );
    assert.match(io.text, / 13 s +by 4 tasks of this code; how it grows with its input is a guess\n/);
  });
});
