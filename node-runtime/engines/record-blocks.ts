import { tarFiles } from '@foremesh/partitioner';
import type { SplitBy } from '../contract/index.ts';

/**
 * Pieces of an input that end where a record ends, so that the guest reads a large input in small strings. An offset is all
 * that a reader has to remember.
 */
const blockBytes = 65_536;

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Where the block that begins at `offset` ends: behind a record (by items: at the comma or the end), never at `offset`. */
export function blockEnd(bytes: Uint8Array, by: SplitBy, offset: number, least = blockBytes): number {
  if (bytes.length - offset <= least) return bytes.length;
  if (by === 'lines') return lineBlockEnd(bytes, offset, least);
  return by === 'items' ? itemBlockEnd(bytes, offset, offset + least) : bytes.length;
}

/** The first byte of the block that follows one that ended at `end`. */
export function nextBlock(bytes: Uint8Array, by: SplitBy, end: number): number {
  return by === 'items' && end < bytes.length ? end + 1 : end;
}

function lineBlockEnd(bytes: Uint8Array, offset: number, least: number): number {
  const within = bytes.subarray(offset, offset + least);
  const last = Math.max(within.lastIndexOf(lineFeed), within.lastIndexOf(carriageReturn));
  if (last >= 0) return behindLineEnd(bytes, offset + last);
  const feed = bytes.indexOf(lineFeed, offset + least);
  const rest = feed < 0 ? bytes : bytes.subarray(0, feed);
  const carriage = rest.indexOf(carriageReturn, offset + least);
  const first = carriage < 0 ? feed : carriage;
  return first < 0 ? bytes.length : behindLineEnd(bytes, first);
}

function behindLineEnd(bytes: Uint8Array, at: number): number {
  return bytes[at] === carriageReturn && bytes[at + 1] === lineFeed ? at + 2 : at + 1;
}

/** The first comma between elements at or behind `least`. Only the first pass over the bytes: validity is for JSON.parse. */
function itemBlockEnd(bytes: Uint8Array, offset: number, least: number): number {
  let depth = 0;
  for (let at = offset; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === 0x22) at = stringEnd(bytes, at + 1);
    else if (byte === 0x5b || byte === 0x7b) depth++;
    else if (byte === 0x5d || byte === 0x7d) depth--;
    else if (byte === 0x2c && depth === 0 && at >= least) return at;
  }
  return bytes.length;
}

/** The closing quote of the string whose text begins at `at`. */
function stringEnd(bytes: Uint8Array, at: number): number {
  let i = at;
  while (i < bytes.length && bytes[i] !== 0x22) i += bytes[i] === 0x5c ? 2 : 1;
  return i;
}

export function countRecords(bytes: Uint8Array, by: SplitBy): number {
  if (by === 'lines') return countLines(bytes);
  if (by === 'items') return countItems(bytes);
  return by === 'bytes' ? Math.min(1, bytes.length) : countFiles(bytes);
}

function countFiles(bytes: Uint8Array): number {
  let count = 0;
  for (const _ of tarFiles(bytes)) count++;
  return count;
}

function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === lineFeed || (byte === carriageReturn && bytes[at + 1] !== lineFeed)) count++;
  }
  const last = bytes.at(-1);
  return last === undefined || last === lineFeed || last === carriageReturn ? count : count + 1;
}

function countItems(bytes: Uint8Array): number {
  let depth = 0;
  let commas = 0;
  let empty = true;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) continue;
    empty = false;
    if (byte === 0x22) at = stringEnd(bytes, at + 1);
    else if (byte === 0x5b || byte === 0x7b) depth++;
    else if (byte === 0x5d || byte === 0x7d) depth--;
    else if (byte === 0x2c && depth === 0) commas++;
  }
  return empty ? 0 : commas + 1;
}
