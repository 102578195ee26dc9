interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time: what is to happen, earliest first, and at one moment in the order it was planned. */
export class Timeline {
  nowMs = 0;
  /** Things that have happened. */
  steps = 0;
  #planned = 0;
  readonly #heap: Planned[] = [];

  at(atMs: number, run: () => void): void {
    this.#planned += 1;
    const item = { atMs: Math.max(atMs, this.nowMs), order: this.#planned, run };
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(item, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = item;
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run);
  }

  /** Lets everything happen up to `untilMs`, or until `done` says so. */
  advance(untilMs: number, done: () => boolean = () => false): void {
    while (!done()) {
      const first = this.#heap[0];
      if (first === undefined || first.atMs > untilMs) {
        this.nowMs = untilMs;
        return;
      }
      const last = this.#heap.pop()!;
      if (last !== first) this.#sink(last);
      this.nowMs = first.atMs;
      this.steps += 1;
      first.run();
    }
  }

  #sink(item: Planned): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, item)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = item;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
