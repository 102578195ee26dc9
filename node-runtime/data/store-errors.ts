import { type DataReference, MeshError } from '../contract/index.ts';
import { chunkCount } from './hash.ts';

export function checkChunk(reference: DataReference, chunk: number): void {
  if (!(Number.isInteger(chunk) && chunk >= 0 && chunk < chunkCount(reference))) {
    throw malformed(`${reference.blob} has no chunk ${chunk}`);
  }
}

export function checkRange(reference: DataReference, start: number, end: number): void {
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end)) {
    throw malformed(`not a range: [${start}, ${end})`);
  }
  if (end > reference.sizeBytes) throw malformed(`[${start}, ${end}) is outside the ${reference.sizeBytes} bytes`);
}

export function malformed(message: string): MeshError {
  return new MeshError('MESH_MESSAGE_MALFORMED', message);
}

export function missing(reference: DataReference): MeshError {
  return new MeshError('MESH_BLOB_MISSING', `${reference.blob} is not in the store`);
}

export function corrupt(reference: DataReference, what: string): MeshError {
  return new MeshError('MESH_BLOB_CORRUPT', `${what} of ${reference.blob} does not fit its hash`);
}

export function noRoom(limitBytes: number, bytes: number, directory: string): MeshError {
  return new MeshError(
    'MESH_LIMIT_EXCEEDED',
    `limitBytes of the blob store is ${limitBytes}, ${bytes} more do not fit`,
    {
      where: directory,
      mend: 'let old jobs expire sooner, or give the store more room',
    },
  );
}
