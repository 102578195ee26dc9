import type { Output } from './io.ts';

const redrawMs = 100;
const plainMs = 1_000;

/** What is to be shown now: lines for a terminal, one line for a log. */
export interface LiveView {
  lines(columns: number): readonly string[];
  plain(): string;
}

/**
 * A region of a terminal that is drawn over again; where there is no terminal, a line when something has changed, at
 * most one per second.
 */
export class Live {
  readonly #output: Output;
  #view: LiveView | undefined;
  #drawn = 0;
  #lastPlain = '';
  #lastFrame = '';
  #lastMs = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  show(view: LiveView): void {
    this.#view = view;
    if (this.#timer !== undefined) return;
    const everyMs = this.#output.isTTY ? redrawMs : plainMs;
    const dueMs = this.#lastMs + everyMs - performance.now();
    if (dueMs <= 0) this.#draw();
    else this.#timer = setTimeout(() => this.#draw(), dueMs);
  }

  /** Draws the last view once more and leaves it there; the next one begins below. */
  keep(): void {
    if (this.#view !== undefined) this.#draw();
    this.#drawn = 0;
    this.#view = undefined;
  }

  /** Takes the region away. */
  drop(): void {
    this.#stop();
    this.#clear();
    this.#view = undefined;
  }

  #draw(): void {
    this.#stop();
    this.#lastMs = performance.now();
    if (this.#view === undefined) return;
    if (!this.#output.isTTY) {
      const line = this.#view.plain();
      if (line !== this.#lastPlain) this.#output.write(`${line}\n`);
      this.#lastPlain = line;
      return;
    }
    const lines = this.#view.lines(this.#output.columns);
    const frame = lines.map((line) => `${line}\n`).join('');
    if (this.#drawn > 0 && frame === this.#lastFrame) return;
    // One write per frame: no flicker, and no half a frame in a slow terminal.
    this.#output.write(this.#erase() + frame);
    this.#drawn = lines.length;
    this.#lastFrame = frame;
  }

  #clear(): void {
    if (this.#drawn > 0) this.#output.write(this.#erase());
    this.#drawn = 0;
  }

  #erase(): string {
    return this.#drawn === 0 ? '' : `\u001b[${this.#drawn}F\u001b[0J`;
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
