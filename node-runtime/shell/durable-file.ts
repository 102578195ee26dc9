import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../data/files.ts';

/** Writes a whole file so that a crash leaves the old one or the new one: temporary file, fsync, rename, fsync of the folder. */
export async function writeDurably(file: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const folder = dirname(file);
  const temporary = `${file}.new`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const handle = await open(temporary, 'w', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  await syncDirectory(folder);
}

/** The same, at once: for the rare write that everything after it must wait for. */
export function writeDurablyNow(file: string, content: string | Uint8Array, mode = 0o600): void {
  const temporary = `${file}.new`;
  const descriptor = openSync(temporary, 'w', mode);
  try {
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
  const folder = openSync(dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
