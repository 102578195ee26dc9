import { crc32 } from 'node:zlib';
import { decodeCbor, encodeCbor } from '../contract/index.ts';

/** A record in a file: length and CRC-32 of the payload (both 32-bit big endian), then the payload, CBOR. */
const headerBytes = 8;
/** No record of ours is larger; a length above it is damage, not a record. */
const frameBytesMost = 1024 ** 3;

export function encodeFrame(value: unknown): Buffer {
  const payload = encodeCbor(value);
  const frame = Buffer.allocUnsafe(headerBytes + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeUInt32BE(crc32(payload), 4);
  frame.set(payload, headerBytes);
  return frame;
}

export interface FramesRead {
  readonly values: unknown[];
  /** Bytes up to the end of the last good frame. */
  readonly goodBytes: number;
  /** Undefined when every byte was read; `torn` when a write was cut off at the end; `damaged` when good frames follow. */
  readonly fault: 'torn' | 'damaged' | undefined;
}

export function readFrames(bytes: Buffer): FramesRead {
  const values: unknown[] = [];
  let at = 0;
  for (;;) {
    const next = frameEnd(bytes, at);
    if (next === undefined) break;
    values.push(decodeCbor(bytes.subarray(at + headerBytes, next)));
    at = next;
  }
  if (at === bytes.length) return { values, goodBytes: at, fault: undefined };
  return { values, goodBytes: at, fault: goodFrameFollows(bytes, at + 1) ? 'damaged' : 'torn' };
}

/** Where the frame at `at` ends, or undefined when there is no whole, good frame. */
function frameEnd(bytes: Buffer, at: number): number | undefined {
  if (at + headerBytes > bytes.length) return undefined;
  const length = bytes.readUInt32BE(at);
  const end = at + headerBytes + length;
  if (length === 0 || length > frameBytesMost || end > bytes.length) return undefined;
  return crc32(bytes.subarray(at + headerBytes, end)) === bytes.readUInt32BE(at + 4) ? end : undefined;
}

/** A torn write has nothing good behind it; a flipped bit has. Looked for byte by byte, only ever after a bad frame. */
function goodFrameFollows(bytes: Buffer, from: number): boolean {
  for (let at = from; at + headerBytes < bytes.length; at += 1) {
    if (bytes.readUInt32BE(at) < bytes.length - at && frameEnd(bytes, at) !== undefined) return true;
  }
  return false;
}
