/** How far a process may be ahead of its share, and how long it may sleep without a look around. */
const aheadMs = 2;
const sleepMsMost = 100;

/**
 * Keeps a process to a share of one core, by sleeping whenever it has used more than its share of the time that has passed. A
 * leaky bucket: what it did not use it may not use later.
 */
export class Pace {
  #share = 1;
  #debtMs = 0;
  #seenMs: number;
  #seenCpuMs: number;
  readonly #cell = new Int32Array(new SharedArrayBuffer(4));
  /** In all, so that nobody takes it for time at work. */
  sleptMs = 0;

  constructor(nowMs: number, cpuMs: number) {
    this.#seenMs = nowMs;
    this.#seenCpuMs = cpuMs;
  }

  setShare(share: number): void {
    this.#share = share;
    if (share >= 1) this.#debtMs = 0;
  }

  /** How long to sleep now, milliseconds. */
  owedMs(nowMs: number, cpuMs: number): number {
    const passedMs = nowMs - this.#seenMs;
    const usedMs = cpuMs - this.#seenCpuMs;
    this.#seenMs = nowMs;
    this.#seenCpuMs = cpuMs;
    if (this.#share >= 1) return 0;
    this.#debtMs = Math.max(0, this.#debtMs + usedMs - passedMs * this.#share);
    return this.#debtMs <= aheadMs ? 0 : Math.min(sleepMsMost, this.#debtMs / this.#share);
  }

  /** Blocks: the guest is in the middle of something. */
  sleep(ms: number): void {
    if (ms <= 0) return;
    const beganMs = performance.now();
    Atomics.wait(this.#cell, 0, 0, ms);
    this.sleptMs += performance.now() - beganMs;
  }
}
