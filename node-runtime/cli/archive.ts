import { createReadStream } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { paddedBytes, tarBlockBytes, tarFiles, tarHeader } from '@foremesh/partitioner';
import { limits, MeshError } from '../contract/index.ts';
import { bytesText, printable } from './text.ts';

/** A file that goes into an archive. */
export interface ArchivedFile {
  readonly path: string;
  /** In the archive: with slashes, never outside. */
  readonly name: string;
  readonly sizeBytes: number;
}

/** The name that a path has in an archive: without what leads out of the folder. */
export function archiveName(path: string): string {
  return path
    .replaceAll('\\', '/')
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .join('/');
}

/**
 * Looks at the files of an archive. Throws `MESH_SPEC_INVALID` when two have one name, a name does not fit or one is no file,
 * `MESH_LIMIT_EXCEEDED` when all together, or one, are too large.
 */
export async function listArchive(paths: readonly { path: string; shown: string }[], where: string) {
  const files: ArchivedFile[] = [];
  const names = new Map<string, string>();
  let sizeBytes = 2 * tarBlockBytes;
  for (const { path, shown } of paths) {
    const name = archiveName(shown);
    const other = names.get(name);
    if (other === shown) continue;
    if (other !== undefined) throw wrong(`${other} and ${shown} would both be called ${name}`, where);
    names.set(name, shown);
    const status = await stat(path).catch((error: NodeJS.ErrnoException) => {
      throw wrong(error.code === 'ENOENT' ? `there is no file ${shown}` : error.message, where);
    });
    if (!status.isFile()) throw wrong(`${shown} is not a file`, where, `name its files: ${shown}/*`);
    if (status.size > limits.recordBytes) throw tooLarge('recordBytes', shown, status.size, where);
    try {
      tarHeader(name, status.size);
    } catch (error) {
      throw wrong((error as RangeError).message, where);
    }
    files.push({ path, name, sizeBytes: status.size });
    sizeBytes += tarBlockBytes + paddedBytes(status.size);
    if (sizeBytes > limits.blobBytes) throw tooLarge('blobBytes', 'the files together', sizeBytes, where);
  }
  return { files, sizeBytes };
}

function wrong(message: string, where: string, mend?: string): MeshError {
  return new MeshError('MESH_SPEC_INVALID', message, mend === undefined ? { where } : { where, mend });
}

function tooLarge(limit: 'recordBytes' | 'blobBytes', what: string, sizeBytes: number, where: string): MeshError {
  const message = `${limit} is ${bytesText(limits[limit])}, ${what} would have ${bytesText(sizeBytes)}`;
  return new MeshError('MESH_LIMIT_EXCEEDED', message, { where });
}

/** The archive as a stream: the same files under the same names give the same bytes. A file that changes meanwhile throws. */
export async function* archiveStream(files: readonly ArchivedFile[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const { path, name, sizeBytes } of files) {
    yield tarHeader(name, sizeBytes);
    let passed = 0;
    // One byte more than there should be, so that one that has grown is noticed.
    for await (const chunk of createReadStream(path, { end: sizeBytes }) as AsyncIterable<Uint8Array>) {
      passed += chunk.length;
      if (passed > sizeBytes) break;
      yield chunk;
    }
    if (passed !== sizeBytes) {
      throw new MeshError('MESH_STORAGE_FAILED', `${name} changed while it was read`, { where: path });
    }
    yield new Uint8Array(paddedBytes(sizeBytes) - sizeBytes);
  }
  yield new Uint8Array(2 * tarBlockBytes);
}

/** Whether bytes begin as an archive of tar does. */
export function isArchive(bytes: Uint8Array): boolean {
  return bytes.length >= tarBlockBytes && Buffer.from(bytes.subarray(257, 262)).toString('latin1') === 'ustar';
}

/**
 * Writes the files of an archive under a folder; returns their names. Nothing is written outside it, nor unless all names are sound: throws
 * `MESH_TASK_OUTPUT` otherwise, `MESH_STORAGE_FAILED` when the disk does not take them.
 */
async function extractArchive(bytes: Uint8Array, folder: string): Promise<string[]> {
  const entries = listed(bytes);
  for (const { name } of entries) {
    if (name !== archiveName(name) || name.includes('\0')) {
      throw new MeshError('MESH_TASK_OUTPUT', `the output has a file "${printable(name)}", which would lie elsewhere`, {
        mend: 'give files plain names in `task.files`, or take the archive as it is: --out FILE.tar',
      });
    }
  }
  for (const { name, start, sizeBytes } of entries) {
    const path = join(folder, name);
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, bytes.subarray(start, start + sizeBytes));
    } catch (error) {
      throw new MeshError('MESH_STORAGE_FAILED', `cannot write: ${(error as Error).message}`, {
        where: path,
        cause: error,
      });
    }
  }
  return entries.map(({ name }) => name);
}

function listed(bytes: Uint8Array) {
  try {
    return [...tarFiles(bytes)];
  } catch (error) {
    throw new MeshError(
      'MESH_TASK_OUTPUT',
      `the output begins as an archive and is none: ${(error as Error).message}`,
      {
        mend: 'take it as it is: --out FILE',
      },
    );
  }
}

/** Of a downloaded file. */
export async function extractFile(path: string, folder: string): Promise<string[]> {
  return extractArchive(await readFile(path), folder);
}
