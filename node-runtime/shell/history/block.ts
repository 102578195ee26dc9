import { crc32 } from 'node:zlib';
import { blockMsMost, type HistoryRecord, readRecord, recordBytes, writeRecord } from './record.ts';

/** Records of one run that were written together. */
export interface Block {
  /** One more than that of the block before, in the same file. */
  readonly sequence: number;
  readonly records: readonly HistoryRecord[];
}

/** `FMH1`. A file of another release holds no block of ours. */
const magic = 0x31_48_4d_46;
const magicAt = 0;
const checksumAt = 4;
const sequenceAt = 8;
const runAt = 12;
const recordsAt = 16;
const atMsAt = 18;
const wallMsAt = 26;
const headerBytes = 34;

/** Every block of a file has the same size, be it full or not. */
export function blockBytesOf(recordsPerBlock: number): number {
  return headerBytes + recordBytes * recordsPerBlock;
}

/** The records are of one run, in order, at least one, and fit: see `fitsBlock`. */
export function encodeBlock({ sequence, records }: Block, recordsPerBlock: number): Buffer {
  const bytes = Buffer.alloc(blockBytesOf(recordsPerBlock));
  const [first] = records;
  const last = records.at(-1)!;
  bytes.writeUInt32LE(magic, magicAt);
  bytes.writeUInt32LE(sequence, sequenceAt);
  bytes.writeUInt32LE(first!.run, runAt);
  bytes.writeUInt16LE(records.length, recordsAt);
  bytes.writeDoubleLE(first!.atMs, atMsAt);
  // Of the last record: a clock that was wrong when the machine came up is right soon.
  bytes.writeDoubleLE(last.wallMs, wallMsAt);
  for (const [index, record] of records.entries())
    writeRecord(bytes, headerBytes + index * recordBytes, record, first!.atMs);
  bytes.writeUInt32LE(checksumOf(bytes), checksumAt);
  return bytes;
}

/** Undefined for whatever is not a block as it was written. */
export function decodeBlock(bytes: Buffer): Block | undefined {
  if (bytes.length < headerBytes || bytes.readUInt32LE(magicAt) !== magic) return undefined;
  if (bytes.readUInt32LE(checksumAt) !== checksumOf(bytes)) return undefined;
  const run = bytes.readUInt32LE(runAt);
  const blockAtMs = bytes.readDoubleLE(atMsAt);
  const wallMs = bytes.readDoubleLE(wallMsAt);
  const read = Array.from({ length: bytes.readUInt16LE(recordsAt) }, (_, index) =>
    readRecord(bytes, headerBytes + index * recordBytes),
  );
  const lastAfterMs = read.at(-1)?.afterMs ?? 0;
  const records = read.map(({ afterMs, ...rest }) => ({
    run,
    atMs: blockAtMs + afterMs,
    wallMs: wallMs - (lastAfterMs - afterMs),
    ...rest,
  }));
  return { sequence: bytes.readUInt32LE(sequenceAt), records };
}

/** Whether a record can stand in one block with those that wait. */
export function fitsBlock(waiting: readonly HistoryRecord[], { run, atMs }: HistoryRecord): boolean {
  const [first] = waiting;
  return first === undefined || (first.run === run && atMs >= first.atMs && atMs - first.atMs <= blockMsMost);
}

function checksumOf(bytes: Buffer): number {
  return crc32(bytes.subarray(sequenceAt), crc32(bytes.subarray(magicAt, checksumAt)));
}
