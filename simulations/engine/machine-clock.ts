import type { Timeline } from './timeline.ts';

/**
 * What one machine takes for the time: its monotonic clock runs a little too fast or too slow, its wall clock besides
 * jumps. Its timers go by the monotonic one. A machine that is paused (SIGSTOP, a closed lid, a starved core) does nothing
 * until it goes on, and then everything that came due meanwhile, in order.
 */
export class MachineClock {
  readonly #time: Timeline;
  readonly #rate: number;
  readonly #startMs: number;
  #wallOffsetMs: number;
  #pausedUntilMs = 0;
  #late: (() => void)[] = [];

  constructor(time: Timeline, options: { readonly rate: number; readonly startMs: number; readonly wallMs: number }) {
    this.#time = time;
    this.#rate = options.rate;
    this.#startMs = options.startMs;
    this.#wallOffsetMs = options.wallMs;
  }

  /** Monotonic. */
  get nowMs(): number {
    return this.#startMs + this.#time.nowMs * this.#rate;
  }

  /** Whole milliseconds since 1970, as the machine believes. */
  get wallMs(): number {
    return Math.max(0, Math.round(this.#wallOffsetMs + this.nowMs));
  }

  jump(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  pause(forMs: number): void {
    const untilMs = this.#time.nowMs + forMs;
    if (untilMs <= this.#pausedUntilMs) return;
    this.#pausedUntilMs = untilMs;
    this.#time.at(untilMs, () => this.#goOn());
  }

  /** After a time by this machine's clock. */
  after(delayMs: number, run: () => void): void {
    this.#time.after(delayMs / this.#rate, () => this.now(run));
  }

  /** Now, or when the machine goes on. */
  now(run: () => void): void {
    if (this.#time.nowMs < this.#pausedUntilMs || this.#late.length > 0) this.#late.push(run);
    else run();
  }

  #goOn(): void {
    if (this.#time.nowMs < this.#pausedUntilMs) return; // paused again meanwhile
    for (let run = this.#late.shift(); run !== undefined; run = this.#late.shift()) run();
  }
}
