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

  /** `detail` is for readers only, and made only for them. */
  say(atMs: number, line: string, detail?: () => string): void {
    const text = `${atMs.toFixed(3).padStart(12)} ${line}`;
    this.#hash.update(text);
    this.#hash.update('\n');
    if (this.#keep) this.#lines.push(detail === undefined ? text : `${text} ${detail()}`);
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
