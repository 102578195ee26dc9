import { type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MeshError } from '../contract/index.ts';

/** Runs disk work; what the system reports becomes `MESH_STORAGE_FAILED` with what to do about it. The rest passes. */
export async function onDisk<T>(what: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemCode(error);
    throw code === undefined ? error : storageError(error, code, what, path);
  }
}

function storageError(error: unknown, code: string, what: string, path: string): MeshError {
  const reason = reasons[code] ?? code;
  const mend = mends[code];
  return new MeshError('MESH_STORAGE_FAILED', `cannot ${what}: ${reason}`, {
    where: path,
    cause: error,
    ...(mend === undefined ? {} : { mend }),
  });
}

/** `ENOENT` and its like; undefined for an error that is not the system's. */
export function systemCode(error: unknown): string | undefined {
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown };
  return typeof code === 'string' && typeof syscall === 'string' ? code : undefined;
}

const reasons: Record<string, string> = {
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EIO: 'the disk reports an error',
  EMFILE: 'too many open files',
  ENOENT: 'no such file or directory',
  EISDIR: 'it is a directory',
};
const room = 'free space on that disk, or move the data directory to a larger one';
const mends: Record<string, string> = {
  ENOSPC: room,
  EDQUOT: room,
  EROFS: 'remount it writable; a worn-out SD card turns read-only by itself',
  EACCES: 'let the user that runs foremesh read and write there',
  EIO: 'look at `dmesg`; replace the disk or SD card',
  EMFILE: 'raise the limit of open files (`ulimit -n`)',
};

/** What a rename or a new name needs to survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a directory that may exist; when `durable`, its name survives a power cut. */
export async function makeDirectory(path: string, durable: boolean): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (!durable || first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

/** Writes all of it; a plain `write` may write less. */
export async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const result = await handle.write(bytes, written, bytes.length - written, position + written);
    written += result.bytesWritten;
  }
}

/** Bytes [position, position + length) of a file; fewer where the file ends. */
export async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await handle.read(buffer, read, length - read, position + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return read === length ? buffer : buffer.subarray(0, read);
}

/**
 * Puts a file in place at once: written under a temporary name on the same file system, then renamed. When `durable` the
 * bytes and the name are on the disk when it resolves. Nothing is left of a failed attempt.
 */
export async function writeInPlace(
  path: string,
  bytes: Uint8Array,
  temporaryPath: string,
  durable: boolean,
): Promise<void> {
  let renamed = false;
  try {
    const handle = await open(temporaryPath, 'wx');
    try {
      await writeAt(handle, bytes, 0);
      if (durable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporaryPath, path);
    renamed = true;
    if (durable) await syncDirectory(dirname(path));
  } catch (error) {
    await unlink(renamed ? path : temporaryPath).catch(() => undefined);
    throw error;
  }
}
