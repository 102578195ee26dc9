import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Address,
  isIdentifier,
  MeshError,
  type MeshPlace,
  parseConnection,
} from '@foremesh/node-runtime/contract';
import * as z from 'zod';

const meshFile = z.looseObject({
  v: z.literal(1),
  mesh: z.string().refine(isIdentifier, { error: 'is no identifier' }),
});

/** The mesh of this home, or undefined when it has none yet. Throws `MESH_CONFIG_INVALID` when the file is damaged. */
export async function readMesh(home: string): Promise<string | undefined> {
  const path = join(home, 'mesh.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MeshError('MESH_STORAGE_FAILED', (error as Error).message, { where: path, cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new MeshError('MESH_CONFIG_INVALID', 'it is not JSON', { where: path, cause: error });
  }
  const parsed = meshFile.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new MeshError('MESH_CONFIG_INVALID', issue?.message ?? 'wrong', {
      where: `${path}: ${issue?.path.join('.')}`,
    });
  }
  return parsed.data.mesh;
}

export type FoundedAddress = Address & Partial<Pick<MeshPlace, 'mesh' | 'meshId' | 'ca' | 'profile'>>;

/** Where the founder of this home said that its broker is reached: there it listens. Loopback when nothing was said. */
export async function readAddress(home: string): Promise<FoundedAddress> {
  const path = join(home, 'connection');
  try {
    return parseConnection(await readFile(path, 'utf8'), path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { host: '127.0.0.1', port: 1883 };
  }
}
