import { promisify } from 'node:util';
import { deflateRaw, deflateRawSync, inflateRaw } from 'node:zlib';
import { MeshError } from '../contract/index.ts';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);
const sampleBytes = 1_024;
/** Below this there is nothing to win against the time it takes. */
const leastBytes = 256;

export interface Packed {
  readonly compression: 'none' | 'deflate';
  readonly data: Uint8Array;
}

/** Raw deflate, level 1, where a sample of three places says that it saves at least a fifth. */
export async function pack(bytes: Uint8Array): Promise<Packed> {
  if (bytes.length < leastBytes || !seemsCompressible(bytes)) return { compression: 'none', data: bytes };
  const data = await deflate(bytes, { level: 1 });
  return data.length < bytes.length * 0.9 ? { compression: 'deflate', data } : { compression: 'none', data: bytes };
}

/** Throws `MESH_BLOB_CORRUPT` when it does not unpack to at most `mostBytes`. */
export async function unpack(packed: Packed, mostBytes: number): Promise<Uint8Array> {
  if (packed.compression === 'none') {
    if (packed.data.length > mostBytes) throw tooLong(packed.data.length, mostBytes);
    return packed.data;
  }
  try {
    return await inflate(packed.data, { maxOutputLength: Math.max(1, mostBytes) });
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLong('more', mostBytes);
    throw new MeshError('MESH_BLOB_CORRUPT', `the compressed bytes do not unpack: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function tooLong(found: number | string, mostBytes: number): MeshError {
  return new MeshError('MESH_BLOB_CORRUPT', `expected at most ${mostBytes} bytes, found ${found}`);
}

function seemsCompressible(bytes: Uint8Array): boolean {
  if (bytes.length <= 3 * sampleBytes) return true;
  const middle = bytes.length >>> 1;
  const sample = Buffer.concat([
    bytes.subarray(0, sampleBytes),
    bytes.subarray(middle, middle + sampleBytes),
    bytes.subarray(bytes.length - sampleBytes),
  ]);
  return deflateRawSync(sample, { level: 1 }).length < sample.length * 0.8;
}
