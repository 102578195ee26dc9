import { limits } from '../../contract/index.ts';

const lineFeed = 0x0a;
const linesKept = 5;
/** Four bytes for each character of a line at the most; what is beyond is cut from the line. */
const lineBytesMost = limits.logLineCharacters * 4;
const progressLine = /^progress: (\d+(?:\.\d+)?)( ?%)?$/;

interface LineTaker {
  log(line: string): void;
  progress(fraction: number): void;
}

/**
 * What a task writes to standard error, by lines: `progress: 0.5` (or `progress: 50 %`) says how much is done, every other line goes
 * to the log. The last ones are kept, to be told if the task fails.
 */
export class ErrorLines {
  readonly last: string[] = [];
  readonly #taker: LineTaker;
  readonly #pending = new Uint8Array(lineBytesMost);
  #pendingBytes = 0;

  constructor(taker: LineTaker) {
    this.#taker = taker;
  }

  add(piece: Uint8Array): void {
    let from = 0;
    for (;;) {
      const end = piece.indexOf(lineFeed, from);
      this.#keep(piece.subarray(from, end < 0 ? piece.length : end));
      if (end < 0) return;
      this.#take();
      from = end + 1;
    }
  }

  /** The task has ended: a last line without an end counts. */
  end(): void {
    if (this.#pendingBytes > 0) this.#take();
  }

  #keep(piece: Uint8Array): void {
    const fits = piece.subarray(0, lineBytesMost - this.#pendingBytes);
    this.#pending.set(fits, this.#pendingBytes);
    this.#pendingBytes += fits.length;
  }

  #take(): void {
    const line = new TextDecoder().decode(this.#pending.subarray(0, this.#pendingBytes)).replace(/\r$/, '');
    this.#pendingBytes = 0;
    const [, number, percent] = progressLine.exec(line) ?? [];
    if (number !== undefined) {
      const fraction = Number(number) / (percent === undefined ? 1 : 100);
      if (fraction <= 1) this.#taker.progress(fraction);
      return;
    }
    this.#taker.log(line);
    this.last.push(line.slice(0, 500));
    if (this.last.length > linesKept) this.last.shift();
  }
}
