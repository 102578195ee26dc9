import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing, replaceFile } from '../home-file.ts';
import type { Authority } from './authority.ts';
import type { Pair } from './issue.ts';

/**
 * The broker's certificate: the one in the home while it is good for these names and has more than a third of its life
 * before it, else a new one. What is damaged is made anew.
 */
export async function serverCertificate(
  home: string,
  authority: Authority,
  names: readonly string[],
  lifeMs: number,
): Promise<Pair> {
  const path = join(home, 'broker', 'server.pem');
  const known = await readPair(path);
  if (known !== undefined && isGood(known, authority, names, lifeMs)) return known;
  const { issueServer } = await import('./issue.ts');
  const made = await issueServer(authority, names, Date.now() + lifeMs);
  await replaceFile(path, made.key + made.certificate);
  return made;
}

function isGood({ certificate }: Pair, authority: Authority, names: readonly string[], lifeMs: number): boolean {
  const parsed = new X509Certificate(certificate);
  const leftMs = Date.parse(parsed.validTo) - Date.now();
  const covers = names.every((name) => (parsed.checkHost(name) ?? parsed.checkIP(name)) !== undefined);
  return covers && leftMs > lifeMs / 3 && parsed.verify(new X509Certificate(authority.certificate).publicKey);
}

async function readPair(path: string): Promise<Pair | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const [key, certificate] = [block(text, 'PRIVATE KEY'), block(text, 'CERTIFICATE')];
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)) ? { key, certificate } : undefined;
  } catch {
    return undefined; // another is made: nobody remembers this one
  }
}

function block(text: string, kind: string): string {
  return new RegExp(`-----BEGIN ${kind}-----[^-]*-----END ${kind}-----\\n?`).exec(text)?.[0] ?? '';
}
