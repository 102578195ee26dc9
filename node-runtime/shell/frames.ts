import { crc32 } from 'node:zlib';
import { decodeCbor, encodeCbor } from '../contract/index.ts';

/**
 * A record in a file: length of the payload, CRC-32 of the payload, CRC-32 of these eight bytes (32-bit big endian each),
 * then the payload, CBOR. The header has a checksum of its own so that a flipped bit in the length is not taken for a
 * write that was cut off.
 */
const headerBytes = 12;
const checkedHeaderBytes = 8;
/** What a disk writes at once. */
const sectorBytes = 512;
/** A shorter run of zeros says nothing. */
const zeroRunBytes = 8;

export function encodeFrame(value: unknown): Buffer {
  const payload = encodeCbor(value);
  const frame = Buffer.allocUnsafe(headerBytes + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeUInt32BE(crc32(payload), 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, checkedHeaderBytes)), checkedHeaderBytes);
  frame.set(payload, headerBytes);
  return frame;
}

export interface FramesRead {
  readonly values: unknown[];
  /** Bytes up to the end of the last good frame. */
  readonly goodBytes: number;
  /** Undefined when every byte was read; `torn` when a write was cut off at the end; `damaged` when bytes changed. */
  readonly fault: 'torn' | 'damaged' | undefined;
}

export function readFrames(bytes: Buffer): FramesRead {
  const values: unknown[] = [];
  let at = 0;
  for (;;) {
    const next = frameEnd(bytes, at);
    if (next === undefined || !isWhole(bytes, at, next)) break;
    values.push(decodeCbor(bytes.subarray(at + headerBytes, next)));
    at = next;
  }
  if (at === bytes.length) return { values, goodBytes: at, fault: undefined };
  return { values, goodBytes: at, fault: isTorn(bytes, at) ? 'torn' : 'damaged' };
}

/** Where the frame at `at` ends by its header, which may be behind the last byte; undefined without a good header. */
function frameEnd(bytes: Buffer, at: number): number | undefined {
  if (at + headerBytes > bytes.length) return undefined;
  const checksum = bytes.readUInt32BE(at + checkedHeaderBytes);
  if (crc32(bytes.subarray(at, at + checkedHeaderBytes)) !== checksum) return undefined;
  return at + headerBytes + bytes.readUInt32BE(at);
}

function isWhole(bytes: Buffer, at: number, end: number): boolean {
  return end <= bytes.length && crc32(bytes.subarray(at + headerBytes, end)) === bytes.readUInt32BE(at + 4);
}

/**
 * Whether what begins at `at` can be a write that a crash cut off: the file ends in the middle of it, or sectors of it
 * never reached the disk and read as zeros, and nothing good is behind it. All else is damage.
 */
function isTorn(bytes: Buffer, at: number): boolean {
  if (at + headerBytes > bytes.length) return true;
  const end = frameEnd(bytes, at);
  if (end !== undefined && end > bytes.length) return true;
  return hasZeroSector(bytes, at, end ?? bytes.length) && !goodFrameFollows(bytes, at + 1);
}

function hasZeroSector(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; ) {
    const next = Math.min(to, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    if (next - at >= zeroRunBytes && bytes.subarray(at, next).every((byte) => byte === 0)) return true;
    at = next;
  }
  return false;
}

/** Looked for byte by byte, only ever after a bad frame. */
function goodFrameFollows(bytes: Buffer, from: number): boolean {
  for (let at = from; at + headerBytes < bytes.length; at += 1) {
    const end = frameEnd(bytes, at);
    if (end !== undefined && isWhole(bytes, at, end)) return true;
  }
  return false;
}
