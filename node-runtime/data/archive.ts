import { paddedBytes, tarBlockBytes, tarHeader } from '@foremesh/partitioner';
import { bytesOf, checkLimit, limits, MeshError } from '../contract/index.ts';
import { chunkCount } from './hash.ts';
import { openSource, type SlicedBytes } from './upload-source.ts';

/** What a file of an archive holds: text, bytes, a file (by its path, in Node), or a `File` or `Blob`. */
export type FileContent = string | Uint8Array | { readonly file: string } | SlicedBytes;

/**
 * The files by their names, with slashes, as an archive that a stage can be split by (tar): the same files under the same names in the same order
 * give the same bytes. Throws `MESH_INPUT_INVALID` for a name that does not fit, `MESH_LIMIT_EXCEEDED` for a file above `recordBytes`, and what
 * `openSource` throws.
 */
export async function* archiveOf(
  files: Readonly<Record<string, FileContent>>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const [name, content] of Object.entries(files)) {
    const source = await openSource(
      typeof content === 'string' ? bytesOf(content) : 'file' in content ? content.file : content,
    );
    try {
      const { sizeBytes } = source.reference;
      checkLimit('recordBytes', sizeBytes, limits.recordBytes, name);
      yield headerOf(name, sizeBytes);
      for (let chunk = 0; chunk < chunkCount(source.reference); chunk += 1) yield await source.readChunk(chunk);
      yield new Uint8Array(paddedBytes(sizeBytes) - sizeBytes);
    } finally {
      await source.close();
    }
  }
  yield new Uint8Array(2 * tarBlockBytes);
}

function headerOf(name: string, sizeBytes: number): Uint8Array {
  try {
    return tarHeader(name, sizeBytes);
  } catch (error) {
    const mend = 'at most 100 bytes, or 255 where a slash divides it';
    throw new MeshError('MESH_INPUT_INVALID', (error as RangeError).message, { where: name, mend, cause: error });
  }
}
