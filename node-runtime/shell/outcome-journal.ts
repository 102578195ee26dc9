import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod';
import { MeshError, type Outcome, outcome } from '../contract/index.ts';
import { encodeFrame, readFrames } from './frames.ts';

const line = z.union([z.object({ keep: outcome }), z.object({ forget: z.array(z.string()) })]);

/** The file is rewritten when it has grown to this, and to several times what it would be then. */
const rewriteBytes = 1024 ** 2;
const rewriteFactor = 4;

/**
 * Outcomes that the log may not have yet, so that a runtime that dies reports them when it is back. Written without
 * fsync: a kill loses nothing, and after a power cut the task runs again.
 */
export class OutcomeJournal {
  readonly #file: string;
  #descriptor: number;
  readonly #held = new Map<string, Outcome>();
  #bytes = 0;
  #rewriteAtBytes = rewriteBytes;

  /** Throws `MESH_STORAGE_FAILED`. */
  constructor(file: string) {
    this.#file = file;
    this.#descriptor = this.#onDisk(() => {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      const descriptor = openSync(file, 'a+', 0o600);
      const { values, goodBytes } = readFrames(readFileSync(file));
      for (const value of values) this.#take(value);
      ftruncateSync(descriptor, goodBytes);
      this.#bytes = goodBytes;
      return descriptor;
    });
  }

  #take(value: unknown): void {
    const parsed = line.safeParse(value);
    if (!parsed.success) return; // of another release: the task runs again
    if ('keep' in parsed.data) this.#held.set(parsed.data.keep.attempt, parsed.data.keep);
    else for (const attempt of parsed.data.forget) this.#held.delete(attempt);
  }

  /** Outcomes that were kept and not forgotten. */
  held(): Outcome[] {
    return [...this.#held.values()];
  }

  /** Throws `MESH_STORAGE_FAILED`: then it is held in memory alone, and a kill makes the task run again. */
  keep(kept: Outcome): void {
    this.#held.set(kept.attempt, kept);
    this.#append({ keep: kept });
  }

  /** Throws `MESH_STORAGE_FAILED`: then they may be reported again after a restart, which does no harm. */
  forget(attempts: readonly string[]): void {
    for (const attempt of attempts) this.#held.delete(attempt);
    if (this.#held.size === 0 && this.#bytes > rewriteBytes) {
      this.#onDisk(() => ftruncateSync(this.#descriptor, 0));
      this.#bytes = 0;
    } else {
      this.#append({ forget: attempts });
    }
  }

  close(): void {
    if (this.#descriptor < 0) return; // by now the number may be another file's
    closeSync(this.#descriptor);
    this.#descriptor = -1;
  }

  #append(value: unknown): void {
    const frame = encodeFrame(value);
    this.#onDisk(() => {
      try {
        writeAll(this.#descriptor, frame);
      } catch (error) {
        ftruncateSync(this.#descriptor, this.#bytes); // half a frame would hide what comes after it
        throw error;
      }
      this.#bytes += frame.length;
      if (this.#bytes > this.#rewriteAtBytes) this.#rewrite();
    });
  }

  /** On a busy node something is always held: without this the file would grow for ever. */
  #rewrite(): void {
    const bytes = Buffer.concat(this.held().map((kept) => encodeFrame({ keep: kept })));
    const temporary = `${this.#file}.new`;
    const descriptor = openSync(temporary, 'w', 0o600);
    try {
      writeAll(descriptor, bytes);
      renameSync(temporary, this.#file);
    } finally {
      closeSync(descriptor);
    }
    closeSync(this.#descriptor);
    this.#descriptor = openSync(this.#file, 'a+', 0o600);
    this.#bytes = bytes.length;
    this.#rewriteAtBytes = Math.max(rewriteBytes, rewriteFactor * bytes.length);
  }

  #onDisk<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new MeshError('MESH_STORAGE_FAILED', `the journal of outcomes: ${(error as Error).message}`, {
        where: this.#file,
        mend: 'free space or replace the disk',
        cause: error,
      });
    }
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(descriptor, bytes, written);
}
