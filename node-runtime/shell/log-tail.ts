import { bytesOf, limits } from '../contract/index.ts';

/** The last lines that an attempt has logged, of at most `logTailBytes` in UTF-8: what is kept of them once it has ended. */
export class LogTail {
  #lines: { readonly text: string; readonly bytes: number }[] = [];
  #bytes = 0;
  #dropped = 0;

  add(lines: readonly string[]): void {
    for (const text of lines) {
      const bytes = bytesOf(text).length + 1;
      this.#lines.push({ text, bytes });
      this.#bytes += bytes;
    }
    let gone = 0;
    while (this.#bytes > limits.logTailBytes - headBytes) {
      this.#bytes -= this.#lines[gone]!.bytes;
      gone += 1;
    }
    this.#lines.splice(0, gone);
    this.#dropped += gone;
  }

  /** As text, a line each; undefined when nothing was logged. */
  content(): Uint8Array | undefined {
    if (this.#lines.length === 0) return undefined;
    const head = this.#dropped === 0 ? '' : `(${this.#dropped} lines before these are not kept)\n`;
    return bytesOf(head + this.#lines.map(({ text }) => `${text}\n`).join(''));
  }
}

/** Room for the line that says what is missing. */
const headBytes = 64;
