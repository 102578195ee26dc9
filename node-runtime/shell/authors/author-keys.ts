import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isIdentifier, isPublicKey, keyIdOf, MeshError } from '../../contract/index.ts';
import type { Home } from '../home.ts';
import { type KeyPair, makeKey, readKey } from '../identity.ts';

/** What `foremesh up` and `foremesh submit` call a key when nobody says otherwise. */
export const authorDefault = 'author';

/** A key with which an author signs code. */
export interface AuthorKey extends KeyPair {
  readonly name: string;
}

const suffix = '.key';

/** All keys of this home, by name. */
export async function listAuthorKeys(home: Home): Promise<AuthorKey[]> {
  const files = await readdir(home.keysDirectory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new MeshError('MESH_STORAGE_FAILED', `cannot read: ${error.message}`, { where: home.keysDirectory });
  });
  const names = files.filter((file) => file.endsWith(suffix)).map((file) => file.slice(0, -suffix.length));
  return Promise.all(names.sort().map((name) => readAuthorKey(home, name)));
}

/** Throws `MESH_KEY_UNKNOWN`, or `MESH_IDENTITY_DAMAGED` when the file holds no key. */
export async function readAuthorKey(home: Home, name: string): Promise<AuthorKey> {
  const file = fileOf(home, name);
  let pair: KeyPair | undefined;
  try {
    pair = await readKey(file);
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'MESH_IDENTITY_DAMAGED') throw error;
    throw new MeshError('MESH_IDENTITY_DAMAGED', `the key "${name}" is damaged`, {
      where: file,
      mend: 'put it back from a backup; or remove it, and make another: `foremesh keys new`',
      cause: error,
    });
  }
  if (pair !== undefined) return { name, ...pair };
  throw new MeshError('MESH_KEY_UNKNOWN', `there is no key "${name}" in this home`, {
    where: home.keysDirectory,
    mend: `\`foremesh keys new${name === authorDefault ? '' : ` ${name}`}\` makes it; \`foremesh keys list\` shows those that are there`,
  });
}

/** A new key, readable by its owner alone. Throws `MESH_CONFIG_INVALID` when there is one of that name. */
export async function makeAuthorKey(home: Home, name: string): Promise<AuthorKey> {
  const file = fileOf(home, name);
  if ((await readKey(file).catch(() => true)) !== undefined) {
    throw new MeshError('MESH_CONFIG_INVALID', `there is a key "${name}" already`, {
      where: file,
      mend: "code signed with it would be nobody's: choose another name, or `foremesh keys show`",
    });
  }
  return { name, ...(await makeKey(file)) };
}

function fileOf(home: Home, name: string): string {
  if (isIdentifier(name)) return join(home.keysDirectory, `${name}${suffix}`);
  throw new MeshError('MESH_USAGE', `"${name}" cannot be the name of a key`, { mend: 'use A-Z a-z 0-9 _ -' });
}

/**
 * The public key that somebody means: the key itself, a file that holds it, the name of a key of this home, or the begin of
 * an id, of one of `known` or of this home. Throws `MESH_KEY_UNKNOWN`.
 */
export async function findPublicKey(home: Home, text: string, known: readonly string[] = []): Promise<string> {
  if (isPublicKey(text)) return text;
  const own = await listAuthorKeys(home);
  const named = own.find(({ name }) => name === text);
  if (named !== undefined) return named.publicKey;
  const all = [...new Set([...known, ...own.map(({ publicKey }) => publicKey)])];
  const found = /^[0-9a-f]{4,16}$/.test(text) ? all.filter((key) => keyIdOf(key).startsWith(text)) : [];
  if (found.length === 1) return found[0]!;
  const inFile = await readFile(text, 'utf8').catch(() => '');
  if (isPublicKey(inFile.trim())) return inFile.trim();
  throw new MeshError(
    'MESH_KEY_UNKNOWN',
    found.length > 1 ? `"${text}" begins the ids of ${found.length} keys` : `"${text}" is no key that is known here`,
    { mend: "give the whole key, as the author's `foremesh keys show` prints it, or a file that holds it" },
  );
}
