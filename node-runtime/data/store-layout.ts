import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DataReference, limits } from '../contract/index.ts';
import { isWhole } from './hash.ts';
import { LargeBlob } from './large-blob.ts';

/**
 * `whole/ab/<hash>-<size>` is a file per blob; `large/ab/<hash>-<size>/` a directory per blob (see `LargeBlob`);
 * `temporary/` is emptied when the store is opened. `ab` are the first two digits of the hash.
 */
export const storePaths = {
  whole: (directory: string, key: string): string => join(directory, 'whole', key.slice(0, 2), key),
  large: (directory: string, key: string): string => join(directory, 'large', key.slice(0, 2), key),
  temporary: (directory: string): string => join(directory, 'temporary'),
};

export interface StoreEntry {
  readonly reference: DataReference;
  readonly path: string;
  /** On disk. */
  bytes: number;
  readonly large: LargeBlob | undefined;
  /** When it was last asked for, by this process's own clock. */
  usedMs: number;
}

const keyPattern = /^([0-9a-f]{64})-(\d{1,10})$/;

/** What is there, the oldest first. Makes the directories; removes what is not a blob. */
export async function readStore(directory: string): Promise<[string, StoreEntry][]> {
  await rm(storePaths.temporary(directory), { recursive: true, force: true });

  for (const name of ['whole', 'large', 'temporary']) await mkdir(join(directory, name), { recursive: true });
  await writeFile(join(directory, 'format'), 'foremesh-blobs 1\n');
  const found: { key: string; entry: StoreEntry; writtenMs: number }[] = [];
  for (const kind of ['whole', 'large'] as const) {
    for (const shard of await readdir(join(directory, kind))) {
      for (const key of await readdir(join(directory, kind, shard))) {
        const path = join(directory, kind, shard, key);
        const entry = await readEntry(kind, key, path);
        if (entry === undefined) await rm(path, { recursive: true, force: true });
        else found.push({ key, ...entry });
      }
    }
  }
  found.sort((a, b) => a.writtenMs - b.writtenMs);
  return found.map(({ key, entry }) => [key, entry]);
}

async function readEntry(
  kind: 'whole' | 'large',
  key: string,
  path: string,
): Promise<{ entry: StoreEntry; writtenMs: number } | undefined> {
  const usedMs = performance.now();
  const parsed = keyPattern.exec(key);
  if (parsed === null) return undefined;
  const reference = { blob: `sha256-${parsed[1]}`, sizeBytes: Number(parsed[2]) };
  if (reference.sizeBytes > limits.blobBytes || isWhole(reference) !== (kind === 'whole')) return undefined;
  if (kind === 'whole') {
    const file = await stat(path);
    if (!file.isFile() || file.size !== reference.sizeBytes) return undefined;
    return { entry: { reference, path, bytes: file.size, large: undefined, usedMs }, writtenMs: file.mtimeMs };
  }
  const { blob, writtenMs } = await LargeBlob.load(path, reference);
  return { entry: { reference, path, bytes: blob.bytes, large: blob, usedMs }, writtenMs };
}
