import { createHash, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '@foremesh/node-runtime/contract';
import { isMissing, replaceFile } from '../home-file.ts';
import type { Issuer } from './issue.ts';

/** The CA of a mesh, in the home of its broker. */
export interface Authority extends Issuer {
  /** SHA-256 of the certificate, in base64url: what connection strings carry. */
  readonly fingerprint: string;
  readonly endsAtMs: number;
}

const lifeMs = 20 * 365 * 86_400_000;

export function authorityPaths(home: string): { readonly certificate: string; readonly key: string } {
  return { certificate: join(home, 'ca.pem'), key: join(home, 'ca.key') };
}

/** Undefined when the home has none. Throws `MESH_CONFIG_INVALID` when one of its two files is missing or damaged. */
async function readAuthority(home: string): Promise<Authority | undefined> {
  const paths = authorityPaths(home);
  const [certificate, key] = await Promise.all([textOf(paths.certificate), textOf(paths.key)]);
  // A crash while it was being made: the key is written first, and nobody knows it.
  if (certificate === undefined) return undefined;
  try {
    if (key === undefined) throw new Error(`${paths.key} is missing`);
    const parsed = new X509Certificate(certificate);
    const privateKey = createPrivateKey(key);
    if (!parsed.checkPrivateKey(privateKey)) throw new Error(`${paths.key} is the key of another certificate`);
    const fingerprint = createHash('sha256').update(parsed.raw).digest('base64url');
    return { certificate, key: privateKey, fingerprint, endsAtMs: Date.parse(parsed.validTo) };
  } catch (error) {
    throw new MeshError('MESH_CONFIG_INVALID', `the CA of this mesh is damaged: ${(error as Error).message}`, {
      where: paths.certificate,
      mend: 'put ca.pem and ca.key back from a backup; a new CA would be another mesh to every node that has joined',
      cause: error,
    });
  }
}

/** The CA of the home; made when there is none. */
export async function ensureAuthority(home: string, mesh: string): Promise<Authority> {
  const known = await readAuthority(home);
  if (known !== undefined) return known;
  const { issueAuthority } = await import('./issue.ts');
  // A name of its own: among CAs of one name OpenSSL takes the wrong one for the issuer, and fails where it should refuse.
  const name = `foremesh ${mesh} ${randomBytes(4).toString('hex')}`;
  const made = await issueAuthority(name, Date.now() + lifeMs);
  const paths = authorityPaths(home);
  await replaceFile(paths.key, made.key);
  await replaceFile(paths.certificate, made.certificate);
  return (await readAuthority(home))!;
}

/** Makes the CA of a home that is being founded; returns its fingerprint. */
export async function createAuthority(home: string, mesh: string): Promise<string> {
  return (await ensureAuthority(home, mesh)).fingerprint;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new MeshError('MESH_STORAGE_FAILED', (error as Error).message, { where: path, cause: error });
  }
}
