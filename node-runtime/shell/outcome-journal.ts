import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod';
import { type Outcome, outcome } from '../contract/index.ts';
import { encodeFrame, readFrames } from './frames.ts';

const line = z.union([z.object({ keep: outcome }), z.object({ forget: z.array(z.string()) })]);

/** The file is rewritten when nothing is held and it has grown to this. */
const rewriteBytes = 1024 ** 2;

/**
 * Outcomes that the log may not have yet, so that a runtime that dies reports them when it is back. Written without
 * fsync: a kill loses nothing, and after a power cut the task runs again.
 */
export class OutcomeJournal {
  readonly #descriptor: number;
  readonly #held = new Map<string, Outcome>();
  #bytes = 0;

  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    this.#descriptor = openSync(file, 'a+', 0o600);
    const { values, goodBytes } = readFrames(readFileSync(file));
    for (const value of values) {
      const parsed = line.safeParse(value);
      if (!parsed.success) continue; // of another release: the task runs again
      if ('keep' in parsed.data) this.#held.set(parsed.data.keep.attempt, parsed.data.keep);
      else for (const attempt of parsed.data.forget) this.#held.delete(attempt);
    }
    ftruncateSync(this.#descriptor, goodBytes);
    this.#bytes = goodBytes;
  }

  /** Outcomes that were kept and not forgotten. */
  held(): Outcome[] {
    return [...this.#held.values()];
  }

  keep(kept: Outcome): void {
    this.#held.set(kept.attempt, kept);
    this.#append({ keep: kept });
  }

  forget(attempts: readonly string[]): void {
    for (const attempt of attempts) this.#held.delete(attempt);
    if (this.#held.size === 0 && this.#bytes > rewriteBytes) {
      ftruncateSync(this.#descriptor, 0);
      this.#bytes = 0;
    } else {
      this.#append({ forget: attempts });
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #append(value: unknown): void {
    const frame = encodeFrame(value);
    writeSync(this.#descriptor, frame);
    this.#bytes += frame.length;
  }
}
