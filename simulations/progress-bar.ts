interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const cells = 24;
const atMostEveryMs = 100;

/** One line that moves, on a terminal only. */
export class ProgressBar {
  readonly #screen: Screen;
  #shownMs = Number.NEGATIVE_INFINITY;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  show(fraction: number, text: string): void {
    const nowMs = performance.now();
    if (this.#screen.isTTY !== true || nowMs - this.#shownMs < atMostEveryMs) return;
    this.#shownMs = nowMs;
    const full = Math.round(Math.min(1, fraction) * cells);
    this.#screen.write(`\r\x1b[2K[${'='.repeat(full)}${' '.repeat(cells - full)}] ${text}`);
  }

  clear(): void {
    if (this.#screen.isTTY === true) this.#screen.write('\r\x1b[2K');
    this.#shownMs = Number.NEGATIVE_INFINITY;
  }
}
