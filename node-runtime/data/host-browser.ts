import { sha256 as hashes } from '@noble/hashes/sha2.js';
import { joinedBytes } from '../contract/index.ts';
import type { Sha256 } from './host.ts';

// What blobs need of their host, as a page has it. SHA-256 is a library's: a page's own (`crypto.subtle`) is not there
// unless the page itself came over HTTPS, and a mesh at home is often looked at over HTTP.

export function makeSha256(): Sha256 {
  return hashes.create();
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return hashes(bytes);
}

export function randomOctets(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

export async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  return (await through(bytes, new CompressionStream('deflate-raw'), Number.POSITIVE_INFINITY))!;
}

export async function deflatedLength(sample: Uint8Array): Promise<number> {
  return (await deflate(sample)).length;
}

export function inflate(bytes: Uint8Array, mostBytes: number): Promise<Uint8Array | undefined> {
  return through(bytes, new DecompressionStream('deflate-raw'), mostBytes);
}

type ByteTransform = { readonly readable: ReadableStream; readonly writable: WritableStream };

/** What comes out; undefined, and no more is read, as soon as it is more than `mostBytes`. */
async function through(
  bytes: Uint8Array,
  { readable, writable }: ByteTransform,
  mostBytes: number,
): Promise<Uint8Array | undefined> {
  const writer = writable.getWriter();
  // What is wrong with the bytes is told by the reading side too.
  writer.write(bytes).catch(() => undefined);
  writer.close().catch(() => undefined);
  const reader = readable.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = (await reader.read()) as { done: boolean; value: Uint8Array };
    if (done) return joinedBytes(parts);
    size += value.length;
    if (size > mostBytes) {
      await reader.cancel();
      return undefined;
    }
    parts.push(value);
  }
}
