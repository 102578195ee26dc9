import { createHash } from 'node:crypto';

/** What happened, line by line: hashed always, so that two runs can be compared, and kept when somebody wants to read it. */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: string[] = [];
  readonly #keep: boolean;
  #tail: string[] = [];

  constructor(keep: boolean) {
    this.#keep = keep;
  }

  say(atMs: number, line: string): void {
    const text = `${atMs.toFixed(3).padStart(12)} ${line}`;
    this.#hash.update(text);
    this.#hash.update('\n');
    if (this.#keep) this.#lines.push(text);
    this.#tail.push(text);
    if (this.#tail.length > 200) this.#tail = this.#tail.slice(-100);
  }

  get lines(): readonly string[] {
    return this.#keep ? this.#lines : this.#tail;
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}
