import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { lockHome } from '../../../node-runtime/shell/lock.ts';
import { endAll, later, meshError, scratch, spawnScript, until } from './support.ts';

async function held(file: string): Promise<void> {
  later(await lockHome(file));
}

describe('lockHome', () => {
  let file: string;
  beforeEach(async () => {
    file = join(await scratch(), 'node', 'lock');
  });
  afterEach(endAll);

  it('is had by one at a time', async () => {
    const unlock = await lockHome(file);
    await assert.rejects(lockHome(file), meshError('MESH_IDENTITY_IN_USE', dirname(file)));
    await unlock();
    await held(file);
    await assert.rejects(lockHome(file), meshError('MESH_IDENTITY_IN_USE', '--home'));
  });

  it('of another process is refused while that lives, stopped or not, and free once it is killed', async () => {
    const child = spawnScript('lock-process.ts', file);
    await until('the child has it', () => child.lines.includes('locked'));
    await assert.rejects(lockHome(file), meshError('MESH_IDENTITY_IN_USE'));
    child.process.kill('SIGSTOP');
    await assert.rejects(lockHome(file), meshError('MESH_IDENTITY_IN_USE'));
    await child.kill('SIGKILL');
    await held(file);
    assert.deepEqual(await readdir(dirname(file)), ['lock']);
  });

  it('left by a killed process is had by exactly one of many that start at once', async () => {
    for (let round = 0; round < 20; round += 1) {
      const at = `${file}-${round}`;
      await mkdir(dirname(at), { recursive: true });
      await writeFile(at, ''); // nobody answers on it
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockHome(at)));
      const had = tries.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      for (const unlock of had) await unlock();
      assert.equal(had.length, 1, `round ${round}`);
    }
  });

  it('says when its path is too long for a socket, and writes nothing', async () => {
    const directory = await scratch();
    const long = join(directory, 'x'.repeat(120 - directory.length), 'lock');
    await assert.rejects(lockHome(long), meshError('MESH_CONFIG_INVALID', 'bytes shorter'));
    assert.deepEqual(await readdir(directory), []);
    const longest = join(directory, 'x'.repeat(103 - directory.length - '//lock'.length), 'lock');
    await held(longest);
    assert.deepEqual(await readdir(dirname(longest)), ['lock']);
  });

  it('says when the folder cannot be made', async () => {
    const directory = await scratch();
    await writeFile(join(directory, 'node'), '');
    await assert.rejects(lockHome(join(directory, 'node', 'lock')), meshError('MESH_STORAGE_FAILED', 'lock'));
  });
});
