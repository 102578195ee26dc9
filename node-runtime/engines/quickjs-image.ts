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
const pageBytes = 4_096;

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

/** Sets the memory back. What the heap had grown to beyond the image becomes zero again. */
export function setImage(machine: Machine, layout: MemoryLayout, image: MemoryImage): void {
  const grownTo = heapEnd(machine, layout);
  const bytes = new Uint8Array(machine.memory.buffer);
  bytes.set(image.low, 0);
  bytes.set(image.high, image.highAt);
  const end = image.highAt + image.high.length;
  if (grownTo > end) bytes.fill(0, end, grownTo);
}

/** Gives Math.random a new seed: an image alone would repeat the same numbers in every task. */
export function seedRandom(machine: Machine, layout: MemoryLayout, seed: Uint8Array): void {
  if (layout.randomAt === 0) return;
  machine.bytes.set(seed.subarray(0, 8), layout.randomAt);
  machine.bytes[layout.randomAt] = machine.bytes[layout.randomAt]! | 1;
}

/** Looks for the layout on a booted machine that is thrown away afterwards. `drawRandom` calls Math.random once. */
export function findLayout(machine: Machine, drawRandom: () => void): MemoryLayout {
  const heapEndAt = findHeapEnd(machine);
  const randomAt = findRandom(machine, drawRandom);
  const { stackFrom, stackTo } = findStack(machine);
  return { heapEndAt, randomAt, stackFrom, stackTo };
}

/** The one word in static data that grows by what is allocated and is never below it. */
function findHeapEnd(machine: Machine): number {
  const words = (): Uint32Array => new Uint32Array(machine.memory.buffer, 0, probeBytes / 4).slice();
  const before = words();
  machine.malloc(probeBytes);
  const between = words();
  const pointer = machine.malloc(probeBytes);
  const after = words();
  const size = machine.memory.buffer.byteLength;
  let best = 0;
  let bestValue = pointer + probeBytes;
  for (let i = 0; i < before.length; i++) {
    const [first, second, third] = [before[i]!, between[i]!, after[i]!];
    const grows = second - first >= probeBytes / 2 && third - second >= probeBytes / 2;
    if (grows && third >= bestValue && third <= size) {
      best = i * 4;
      bestValue = third;
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

/** The only run of zeros as long as the stack less what has been used of it; the heap begins where the stack ends. */
function findStack(machine: Machine): { stackFrom: number; stackTo: number } {
  const bytes = Buffer.from(machine.memory.buffer, 0, 2 * stackBytes);
  const zero = Buffer.alloc(pageBytes);
  const isZero = (page: number): boolean =>
    bytes.compare(zero, 0, pageBytes, page * pageBytes, (page + 1) * pageBytes) === 0;
  let from = 0;
  while (from < bytes.length / pageBytes && !isZero(from)) from++;
  let to = from;
  while (to < bytes.length / pageBytes && isZero(to)) to++;
  const run = (to - from) * pageBytes;
  // Static data that is still zero may lie right before the stack: what is left out begins well inside it.
  if (run < stackBytes - 512 * 1024 || run > stackBytes) return { stackFrom: 0, stackTo: 0 };
  return { stackFrom: from * pageBytes + 64 * 1024, stackTo: to * pageBytes };
}
