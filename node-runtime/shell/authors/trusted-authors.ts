import * as z from 'zod';
import { limits, MeshError, type TrustChange, type TrustedKey, trustedKeys, version } from '../../contract/index.ts';
import { writeDurably } from '../durable-file.ts';
import { type Home, readJson } from '../home.ts';

const trustedAuthorsFile = z.strictObject({ v: version, keys: trustedKeys });

/** Whose code the owner of this home lets run on engine `node`. Throws `MESH_CONFIG_INVALID` when the file is not as it should be. */
export async function readTrustedAuthors(home: Home): Promise<readonly TrustedKey[]> {
  return (await readJson(home.authorsFile, trustedAuthorsFile))?.keys ?? [];
}

/** What is trusted from now on; on disk when it resolves. Throws `MESH_LIMIT_EXCEEDED`, or `MESH_KEY_UNKNOWN` for one to remove. */
export async function changeTrustedAuthors(
  home: Home,
  before: readonly TrustedKey[],
  { add, remove }: TrustChange,
): Promise<readonly TrustedKey[]> {
  if (remove !== undefined && !before.some(({ key }) => key === remove)) {
    throw new MeshError('MESH_KEY_UNKNOWN', `the key ${remove} is not trusted here`, {
      mend: '`foremesh trust --list` shows those that are',
    });
  }
  const kept = before.filter(({ key }) => key !== remove && key !== add?.key);
  const after = add === undefined ? kept : [...kept, add];
  if (after.length > limits.trustedKeysPerNode) {
    throw new MeshError('MESH_LIMIT_EXCEEDED', `trustedKeysPerNode is ${limits.trustedKeysPerNode}`, {
      mend: 'remove one first: `foremesh trust --remove KEY`',
    });
  }
  if (JSON.stringify(after) !== JSON.stringify(before))
    await writeDurably(home.authorsFile, `${JSON.stringify({ v: 1, keys: after }, undefined, 2)}\n`, 0o600);
  return after;
}
