import { createHash, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { deflateRaw, deflateRawSync, inflateRaw } from 'node:zlib';

// What blobs need of their host, as Node has it. In a page `host-browser.ts` takes its place (`browser` of package.json).

export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** 32 bytes; nothing may be added after that. */
  digest(): Uint8Array;
}

export function makeSha256(): Sha256 {
  return createHash('sha256');
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

/** Bytes that nobody can guess. */
export function randomOctets(count: number): Uint8Array {
  return randomBytes(count);
}

const deflateAsync = promisify(deflateRaw);
const inflateAsync = promisify(inflateRaw);

/** Raw deflate (RFC 1951), fast rather than small. */
export async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  return deflateAsync(bytes, { level: 1 });
}

/** The bytes that a small sample deflates to. */
export async function deflatedLength(sample: Uint8Array): Promise<number> {
  return deflateRawSync(sample, { level: 1 }).length;
}

/** Undefined when it is more than `mostBytes`. Throws when the bytes are no raw deflate. */
export async function inflate(bytes: Uint8Array, mostBytes: number): Promise<Uint8Array | undefined> {
  try {
    return await inflateAsync(bytes, { maxOutputLength: Math.max(1, mostBytes) });
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw error;
  }
}
