import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openHome } from '../../../node-runtime/shell/home.ts';
import { checkVoterMark, markVoter } from '../../../node-runtime/shell/voter/voter-mark.ts';
import { endAll, meshError, scratch } from './scratch.ts';

describe('the mark of a voter', () => {
  afterEach(endAll);

  it('is there with its log, and not without', async () => {
    const home = openHome(await scratch(), {});
    assert.equal(await checkVoterMark(home, false), false);
    await markVoter(home);
    assert.equal(await checkVoterMark(home, false), true);
    await rm(home.logDirectory, { recursive: true });
    // Under its old key and name it would vote again where it has voted.
    await assert.rejects(checkVoterMark(home, false), meshError('MESH_LOG_LOST', 'node.key'));
  });

  it('outlives the folder of the log, and is not needed of a founder, who would found its mesh a second time', async () => {
    const home = openHome(await scratch(), {});
    await markVoter(home);
    await rm(join(home.directory, 'node'), { recursive: true });
    await assert.rejects(checkVoterMark(home, false), meshError('MESH_LOG_LOST', 'node.voter'));
    await rm(home.voterFile);
    await assert.rejects(checkVoterMark(home, true), meshError('MESH_LOG_LOST', home.logDirectory));
  });
});
