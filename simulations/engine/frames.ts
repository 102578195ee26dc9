import { crc32 } from 'node:zlib';
import { decodeCbor, encodeCbor } from '@foremesh/node-runtime/contract';

const headerBytes = 8;

/** A record in a virtual file: length, checksum of length and payload, payload. */
export function encodeFrame(value: unknown): Uint8Array {
  const payload = encodeCbor(value);
  const frame = new Uint8Array(headerBytes + payload.length);
  const view = new DataView(frame.buffer);
  frame.set(payload, headerBytes);
  view.setUint32(0, payload.length);
  view.setUint32(4, crc32(frame.subarray(headerBytes), payload.length));
  return frame;
}

/** Every record up to the first that is torn or damaged, and where that begins. */
export function readFrames(bytes: Uint8Array): { readonly values: unknown[]; readonly goodBytes: number } {
  const values: unknown[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + headerBytes <= bytes.length) {
    const length = view.getUint32(at);
    const payload = bytes.subarray(at + headerBytes, at + headerBytes + length);
    if (payload.length < length || crc32(payload, length) !== view.getUint32(at + 4)) break;
    values.push(decodeCbor(payload));
    at += headerBytes + length;
  }
  return { values, goodBytes: at };
}
