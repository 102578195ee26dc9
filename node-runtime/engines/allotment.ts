import { closeSync, existsSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the pool gives a sandbox process while guest code runs in it and nothing is read from its pipe. */
export interface Allotment {
  /** Of one core, above 0, at most 1. */
  readonly cpuShare: number;
  /** Only of this run: another memory limit than it began with. */
  readonly runId: number;
  readonly memoryBytes: number;
}

const blockBytes = 24;
let count = 0;

/**
 * A block of memory that the pool writes and a sandbox process reads, without a word between them: a file that is in no
 * folder any more. Unlike signals it needs no rights over the process, and a process whose parent dies is not left stopped.
 */
export class AllotmentFile {
  readonly #descriptor: number;
  readonly #forChild: number;
  readonly #block = Buffer.alloc(blockBytes);

  /** Throws when no file can be made. */
  constructor() {
    const folder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    count += 1;
    const file = join(folder, `foremesh-${process.pid}-${count}-${performance.now().toFixed(3)}`);
    this.#descriptor = openSync(file, 'wx', 0o600);
    this.#forChild = openSync(file, 'r');
    unlinkSync(file);
    this.write({ cpuShare: 1, runId: 0, memoryBytes: 0 });
  }

  /** For the process, which can only read it. */
  get forChild(): number {
    return this.#forChild;
  }

  write({ cpuShare, runId, memoryBytes }: Allotment): void {
    this.#block.writeDoubleLE(cpuShare, 0);
    this.#block.writeDoubleLE(runId, 8);
    this.#block.writeDoubleLE(memoryBytes, 16);
    writeSync(this.#descriptor, this.#block, 0, blockBytes, 0);
  }

  /** Once the process has its own descriptor. */
  closeForChild(): void {
    closeSync(this.#forChild);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** In the process: what the pool has written last. A microsecond or two. */
export function readAllotment(descriptor: number): Allotment | undefined {
  const block = Buffer.alloc(blockBytes);
  try {
    if (readSync(descriptor, block, 0, blockBytes, 0) < blockBytes) return undefined;
  } catch {
    return undefined; // it was started without one
  }
  const cpuShare = block.readDoubleLE(0);
  if (!(cpuShare > 0 && cpuShare <= 1)) return undefined;
  return { cpuShare, runId: block.readDoubleLE(8), memoryBytes: block.readDoubleLE(16) };
}
