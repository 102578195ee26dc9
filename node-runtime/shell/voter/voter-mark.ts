import { access, readdir } from 'node:fs/promises';
import { MeshError } from '../../contract/index.ts';
import { writeDurably } from '../durable-file.ts';
import type { Home } from '../home.ts';
import { LogStore, newIdentityMend } from './log-store.ts';

/**
 * That this node has (or had) a log stands outside of it: a voter whose log is lost has forgotten whom it voted for and what
 * it answered for, and must not begin again under its old name. Makes the empty log too.
 */
export async function markVoter(home: Home): Promise<void> {
  const { store } = await LogStore.open(home.logDirectory);
  await store.close();
  await writeDurably(home.voterFile, '1\n');
}

/**
 * Whether this node has a log. Throws `MESH_LOG_LOST` when it had one and it is gone. A founder had one, mark or not: with an
 * empty log it would be a sole voter again, and lead.
 */
export async function checkVoterMark(home: Home, isFounder: boolean): Promise<boolean> {
  const marked = isFounder || (await isThere(home.voterFile));
  if (marked && !(await hasSegment(home.logDirectory))) {
    throw new MeshError('MESH_LOG_LOST', 'this node votes, and its log is gone', {
      where: home.logDirectory,
      mend: newIdentityMend,
    });
  }
  return marked;
}

async function hasSegment(directory: string): Promise<boolean> {
  return (await isThere(directory)) && (await readdir(directory)).some((name) => name.startsWith('segment-'));
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new MeshError('MESH_STORAGE_FAILED', `cannot read: ${(error as Error).message}`, {
      where: path,
      cause: error,
    });
  }
}
