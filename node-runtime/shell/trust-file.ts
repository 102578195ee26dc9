import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod';
import { check, count, MeshError, nodeKey, publicKey, version, votersChain } from '../contract/index.ts';
import type { TrustRecord } from '../core/index.ts';
import { writeDurablyNow } from './durable-file.ts';

const trustFile = z.object({
  v: version,
  mesh: publicKey,
  term: count,
  leader: nodeKey.optional(),
  links: votersChain,
});

/**
 * What the node knew last of whom it obeys; undefined on a new node. Throws `MESH_STORAGE_FAILED` when it is unreadable or
 * damaged: a guess could lower the fence. Throws `MESH_CONFIG_INVALID` when it is of another mesh.
 */
export function readTrust(file: string, meshId: string): TrustRecord | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const message = `cannot read whom this node obeys: ${(error as Error).message}`;
    throw new MeshError('MESH_STORAGE_FAILED', message, { where: file, cause: error });
  }
  const { mesh, term, leader, links } = parse(file, text);
  if (mesh !== meshId) {
    throw new MeshError(
      'MESH_CONFIG_INVALID',
      'this home belongs to another mesh, of whose founder the key is another',
      {
        where: file,
        mend: 'use another --home for another mesh',
      },
    );
  }
  return { term, links, ...(leader === undefined ? {} : { leader }) };
}

/** On disk when this returns. Throws `MESH_STORAGE_FAILED`: then nothing of it may be acted on. */
export function writeTrust(file: string, meshId: string, { term, leader, links }: TrustRecord): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeDurablyNow(file, `${JSON.stringify({ v: 1, mesh: meshId, term, leader, links })}\n`);
  } catch (error) {
    const message = `whom this node obeys cannot be written: ${(error as Error).message}`;
    const mend = 'free space or replace the disk, then start the node again';
    throw new MeshError('MESH_STORAGE_FAILED', message, { where: file, mend, cause: error });
  }
}

function parse(file: string, text: string): z.infer<typeof trustFile> {
  try {
    return check(trustFile, JSON.parse(text), 'MESH_CONFIG_INVALID');
  } catch (error) {
    throw new MeshError('MESH_STORAGE_FAILED', `it is damaged: ${(error as Error).message}`, {
      where: file,
      mend: 'remove the home of this node and join again under a new id',
      cause: error,
    });
  }
}
