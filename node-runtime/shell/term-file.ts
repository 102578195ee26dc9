import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { MeshError } from '../contract/index.ts';

/** The highest term this node has seen: the fence. 0 on a new node. Throws `MESH_STORAGE_FAILED` when it is unreadable. */
export function readTerm(file: string): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw new MeshError('MESH_STORAGE_FAILED', `cannot read the term: ${(error as Error).message}`, {
      where: file,
      cause: error,
    });
  }
  const term = Number(text);
  // Only the whole number with its newline: what is left of a cut file would be a lower term.
  if (!/^\d+\n$/.test(text) || !Number.isSafeInteger(term)) {
    throw new MeshError('MESH_STORAGE_FAILED', `"${text.slice(0, 40)}" is not a term`, {
      where: file,
      mend: 'the file is damaged: remove the home of this node and join again under a new id',
    });
  }
  return term;
}
