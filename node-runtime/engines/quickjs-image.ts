import type { Machine } from './quickjs-machine.ts';

/**
 * The memory of a machine at rest, to be set back later or in another machine of the same module. All state of QuickJS is in
 * its linear memory: between two calls the only mutable global, the stack pointer, is where it was at first.
 */
export interface MemoryImage {
  readonly low: Uint8Array;
  /** Where `high` lies. Between the two there is nothing but the C stack, which is empty at rest. */
  readonly highAt: number;
  readonly high: Uint8Array;
}

/**
 * What a job's code changed of the image that its machine began with. It changes a few pages: to keep those takes a tenth of the
 * time and the memory that an image of its own would.
 */
export interface MemoryChanges {
  readonly pieces: readonly { readonly at: number; readonly bytes: Uint8Array }[];
  /** What the heap grew by. */
  readonly behind: Uint8Array;
  /** How large the heap was. */
  readonly heapBytes: number;
}

/** Where the pinned QuickJS module keeps what an image must know. Found by looking, once per process, and checked. */
export interface MemoryLayout {
  /** Address of the word that says where the heap ends; 0 when it was not found: then the memory's size is taken. */
  readonly heapEndAt: number;
  /** Address of the state of Math.random; 0 when it was not found. */
  readonly randomAt: number;
  /** The C stack: an image leaves it out. Equal when it was not found. */
  readonly stackFrom: number;
  readonly stackTo: number;
}

const probeBytes = 1024 ** 2;
/** `-s STACK_SIZE` of the build of @jitl/quickjs-wasmfile-release-sync. */
const stackBytes = 5 * 1024 ** 2;
/** QuickJS stops a guest that takes more than 64 KiB of it; what it needs itself beyond that is a few more. */
const stackUsedMost = 512 * 1024;
const pageBytes = 4_096;
/** Static data lies in the first pages; this much is looked at. */
const staticBytesMost = 128 * 1024;
const staticMarginBytes = 64 * 1024;

export function heapEnd(machine: Machine, layout: MemoryLayout): number {
  const size = machine.memory.buffer.byteLength;
  if (layout.heapEndAt === 0) return size;
  const end = new DataView(machine.memory.buffer).getUint32(layout.heapEndAt, true);
  return end > 0 && end <= size ? end : size;
}

export function takeImage(machine: Machine, layout: MemoryLayout): MemoryImage {
  const bytes = new Uint8Array(machine.memory.buffer);
  const end = heapEnd(machine, layout);
  return {
    low: bytes.slice(0, layout.stackFrom),
    highAt: layout.stackTo,
    high: bytes.slice(layout.stackTo, end),
  };
}

/** What makes of `image` the memory as it is now. */
export function takeChanges(machine: Machine, layout: MemoryLayout, image: MemoryImage): MemoryChanges {
  const bytes = Buffer.from(machine.memory.buffer);
  const heapBytes = heapEnd(machine, layout) - image.highAt;
  const pieces = [...changedPieces(bytes, 0, image.low), ...changedPieces(bytes, image.highAt, image.high)];
  // The heap only ever grows: `sbrk` of this build gives nothing back.
  const behind = new Uint8Array(bytes.subarray(image.highAt + image.high.length, image.highAt + heapBytes));
  return { pieces, behind, heapBytes };
}

/** Copies of the pages that differ from `before`, those that adjoin in one. */
function* changedPieces(bytes: Buffer, at: number, before: Uint8Array): Generator<{ at: number; bytes: Uint8Array }> {
  let from: number | undefined;
  for (let page = 0; page < before.length; page += pageBytes) {
    const end = Math.min(page + pageBytes, before.length);
    if (bytes.compare(before, page, end, at + page, at + end) !== 0) {
      from ??= page;
      continue;
    }
    if (from !== undefined) yield { at: at + from, bytes: new Uint8Array(bytes.subarray(at + from, at + page)) };
    from = undefined;
  }
  if (from !== undefined) {
    yield { at: at + from, bytes: new Uint8Array(bytes.subarray(at + from, at + before.length)) };
  }
}

/** Sets the memory back. What the heap had grown to beyond that becomes zero again. */
export function setImage(machine: Machine, layout: MemoryLayout, image: MemoryImage, changes?: MemoryChanges): void {
  const grownTo = heapEnd(machine, layout);
  const bytes = new Uint8Array(machine.memory.buffer);
  bytes.set(image.low, 0);
  bytes.set(image.high, image.highAt);
  let end = image.highAt + image.high.length;
  if (changes !== undefined) {
    for (const piece of changes.pieces) bytes.set(piece.bytes, piece.at);
    bytes.set(changes.behind, end);
    end += changes.behind.length;
  }
  if (grownTo > end) bytes.fill(0, end, grownTo);
}

/**
 * Takes from a machine whatever else a job may have left in it. With `setImage` before its next task it is, byte for byte, one in which
 * nothing has run.
 */
export function clearStack(machine: Machine, layout: MemoryLayout): void {
  const from = Math.max(layout.stackFrom, layout.stackTo - stackUsedMost);
  new Uint8Array(machine.memory.buffer).fill(0, from, layout.stackTo);
}

/** Gives Math.random a new seed: an image alone would repeat the same numbers in every task. */
export function seedRandom(machine: Machine, layout: MemoryLayout, seed: Uint8Array): void {
  if (layout.randomAt === 0) return;
  machine.bytes.set(seed.subarray(0, 8), layout.randomAt);
  machine.bytes[layout.randomAt] = machine.bytes[layout.randomAt]! | 1;
}

/** Looks for the layout on a booted machine that is thrown away afterwards. `drawRandom` calls Math.random once. */
export function findLayout(machine: Machine, drawRandom: () => void): MemoryLayout {
  const randomAt = findRandom(machine, drawRandom);
  return { heapEndAt: findHeapEnd(machine), randomAt, ...findStack(machine) };
}

/** The one word in static data that grows by what is allocated and is never below it. */
function findHeapEnd(machine: Machine): number {
  const words = (): Uint32Array => new Uint32Array(machine.memory.buffer, 0, staticBytesMost / 4).slice();
  const before = words();
  machine.malloc(probeBytes);
  const between = words();
  const pointer = machine.malloc(probeBytes);
  const after = words();
  const size = machine.memory.buffer.byteLength;
  let best = 0;
  let bestValue = pointer + probeBytes;
  for (let i = 0; i < after.length; i++) {
    const end = after[i]!;
    if (end < bestValue || end > size) continue;
    if (end - between[i]! >= probeBytes / 2 && between[i]! - before[i]! >= probeBytes / 2) {
      best = i * 4;
      bestValue = end;
    }
  }
  return best;
}

/** Math.random of QuickJS is xorshift64*: the one place in the context that makes exactly this step. */
function findRandom(machine: Machine, drawRandom: () => void): number {
  const at = machine.roots.context as number;
  const states = (): BigUint64Array => new BigUint64Array(machine.memory.buffer.slice(at, at + 2_048));
  const before = states();
  drawRandom();
  const after = states();
  for (let i = 0; i < before.length; i++) {
    if (before[i] !== after[i] && xorshift(before[i]!) === after[i]) return at + i * 8;
  }
  return 0;
}

function xorshift(state: bigint): bigint {
  let x = state;
  x ^= x >> 12n;
  x ^= BigInt.asUintN(64, x << 25n);
  x ^= x >> 27n;
  return x;
}

/** The stack lies between static data and the heap, of which the runtime is the first block. At rest nothing on it lives. */
function findStack(machine: Machine): { stackFrom: number; stackTo: number } {
  const stackTo = Math.floor((machine.roots.runtime as number) / pageBytes) * pageBytes - pageBytes;
  // What is left out begins well above its lower end: nothing gets that deep, and static data may end a little higher.
  const stackFrom = stackTo - stackBytes + staticMarginBytes;
  if (stackFrom <= 0) return { stackFrom: 0, stackTo: 0 };
  const lowest = new Uint8Array(machine.memory.buffer, stackFrom, staticMarginBytes);
  return lowest.every((byte) => byte === 0) ? { stackFrom, stackTo } : { stackFrom: 0, stackTo: 0 };
}
