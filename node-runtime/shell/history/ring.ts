import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type Block, blockBytesOf, decodeBlock, encodeBlock, fitsBlock } from './block.ts';
import { type HistoryRecord, rounded } from './record.ts';

export interface RingSize {
  readonly blocks: number;
  readonly recordsPerBlock: number;
}

/** A record, and where it stands: positions grow, and stay when the runtime starts again. */
export interface PlacedRecord extends HistoryRecord {
  readonly position: number;
}

/**
 * A file of blocks of equal size, the newest in the place of the oldest. A write that was cut off damages one block only: the one
 * that it was, in the place of the one that was to go. Not fsynced: what the system has not written yet is lost with the power.
 */
export class Ring {
  readonly #handle: FileHandle;
  readonly #size: RingSize;
  #waiting: HistoryRecord[] = [];
  #last: HistoryRecord | undefined;
  #sequence = 0;

  private constructor(handle: FileHandle, size: RingSize) {
    this.#handle = handle;
    this.#size = size;
  }

  /** Throws what the file system throws. `damaged` counts blocks that could not be read; they are left out. */
  static async open(file: string, size: RingSize): Promise<{ ring: Ring; damaged: number }> {
    const handle = await open(file, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      const ring = new Ring(handle, size);
      const { blocks, damaged } = await ring.#readBlocks();
      ring.#sequence = blocks.at(-1)?.sequence ?? 0;
      ring.#last = blocks.at(-1)?.records.at(-1);
      return { ring, damaged };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get sizeBytesMost(): number {
    return this.#size.blocks * this.#blockBytes;
  }
  /** Since the file was made: every block is written once, and whole. */
  get writtenBytes(): number {
    return this.#sequence * this.#blockBytes;
  }
  /** The newest, be it written or not. */
  get last(): HistoryRecord | undefined {
    return this.#last;
  }
  get #blockBytes(): number {
    return blockBytesOf(this.#size.recordsPerBlock);
  }

  /** Written when a block is full. Throws what the file system throws: then the block is lost. */
  async add(record: HistoryRecord): Promise<void> {
    const kept = rounded(record);
    // What waits is taken at once: the new record is kept even if the others cannot be written.
    const flushed = fitsBlock(this.#waiting, kept) ? undefined : this.flush();
    this.#waiting.push(kept);
    this.#last = kept;
    await flushed;
    if (this.#waiting.length === this.#size.recordsPerBlock) await this.flush();
  }

  async flush(): Promise<void> {
    const records = this.#waiting;
    if (records.length === 0) return;
    this.#waiting = [];
    const sequence = this.#sequence + 1;
    const bytes = encodeBlock({ sequence, records }, this.#size.recordsPerBlock);
    const start = (sequence % this.#size.blocks) * bytes.length;
    for (let written = 0; written < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, written, bytes.length - written, start + written);
      written += bytesWritten;
    }
    this.#sequence = sequence;
  }

  /** Everything there is, the oldest first. */
  async read(): Promise<PlacedRecord[]> {
    const { blocks } = await this.#readBlocks();
    const { recordsPerBlock } = this.#size;
    return [...blocks, { sequence: this.#sequence + 1, records: this.#waiting }].flatMap(({ sequence, records }) =>
      records.map((record, index) => ({ ...record, position: sequence * recordsPerBlock + index })),
    );
  }

  async #readBlocks(): Promise<{ blocks: Block[]; damaged: number }> {
    const blockBytes = this.#blockBytes;
    const file = Buffer.alloc(this.sizeBytesMost);
    let end = 0;
    for (;;) {
      const { bytesRead } = await this.#handle.read(file, end, file.length - end, end);
      end += bytesRead;
      if (bytesRead === 0 || end === file.length) break;
    }
    const blocks: Block[] = [];
    let damaged = 0;
    for (let slot = 0; slot * blockBytes < end; slot += 1) {
      const bytes = file.subarray(slot * blockBytes, (slot + 1) * blockBytes);
      if (bytes.every((byte) => byte === 0)) continue; // never written
      const block = decodeBlock(bytes);
      if (block?.records.length && block.sequence % this.#size.blocks === slot) blocks.push(block);
      else damaged += 1;
    }
    blocks.sort((a, b) => a.sequence - b.sequence);
    // One that a newer should have taken the place of, and did not, because the power failed.
    const newest = blocks.at(-1)?.sequence ?? 0;
    return { blocks: blocks.filter(({ sequence }) => sequence > newest - this.#size.blocks), damaged };
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
