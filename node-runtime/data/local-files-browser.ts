import { joinedBytes, MeshError } from '../contract/index.ts';
import { bytesSource, type UploadSource } from './bytes-source.ts';

// A page has no files of its own: it has what its user picked (`File`), and what it holds in memory.

export async function openFile(path: string): Promise<UploadSource> {
  throw noFiles(path);
}

export async function spool(stream: AsyncIterable<Uint8Array>): Promise<UploadSource> {
  const parts: Uint8Array[] = [];
  for await (const bytes of stream) parts.push(bytes.slice());
  return bytesSource(joinedBytes(parts));
}

export async function saveFile(_pieces: AsyncIterable<Uint8Array>, filePath: string): Promise<void> {
  throw noFiles(filePath);
}

function noFiles(path: string): MeshError {
  return new MeshError('MESH_STORAGE_FAILED', 'a page has no files', {
    where: path.slice(0, 200),
    mend: 'hand over a `File` that its user picked, or bytes; read outputs with `read`',
  });
}
