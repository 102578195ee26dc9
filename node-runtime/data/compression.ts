import { joinedBytes, MeshError } from '../contract/index.ts';
import { deflate, deflatedLength, inflate } from './host.ts';

const sampleBytes = 1_024;
/** Below this there is nothing to win against the time it takes. */
const leastBytes = 256;

export interface Packed {
  readonly compression: 'none' | 'deflate';
  readonly data: Uint8Array;
}

/** Raw deflate, level 1, where a sample of three places says that it saves at least a fifth. */
export async function pack(bytes: Uint8Array): Promise<Packed> {
  if (bytes.length < leastBytes || !(await seemsCompressible(bytes))) return { compression: 'none', data: bytes };
  const data = await deflate(bytes);
  return data.length < bytes.length * 0.9 ? { compression: 'deflate', data } : { compression: 'none', data: bytes };
}

/** Throws `MESH_BLOB_CORRUPT` when it does not unpack to at most `mostBytes`. */
export async function unpack(packed: Packed, mostBytes: number): Promise<Uint8Array> {
  if (packed.compression === 'none') {
    if (packed.data.length > mostBytes) throw tooLong(packed.data.length, mostBytes);
    return packed.data;
  }
  let bytes: Uint8Array | undefined;
  try {
    bytes = await inflate(packed.data, mostBytes);
  } catch (error) {
    throw new MeshError('MESH_BLOB_CORRUPT', `the compressed bytes do not unpack: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (bytes === undefined) throw tooLong('more', mostBytes);
  return bytes;
}

function tooLong(found: number | string, mostBytes: number): MeshError {
  return new MeshError('MESH_BLOB_CORRUPT', `expected at most ${mostBytes} bytes, found ${found}`);
}

async function seemsCompressible(bytes: Uint8Array): Promise<boolean> {
  if (bytes.length <= 3 * sampleBytes) return true;
  const middle = bytes.length >>> 1;
  const sample = joinedBytes([
    bytes.subarray(0, sampleBytes),
    bytes.subarray(middle, middle + sampleBytes),
    bytes.subarray(bytes.length - sampleBytes),
  ]);
  return (await deflatedLength(sample)) < sample.length * 0.8;
}
