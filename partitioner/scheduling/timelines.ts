import { type CapacityCurve, finishUnder } from './capacity.ts';

/** What each device does when: busy stretches in order of time. Gaps are used before the end. */
export class Timelines {
  private readonly starts: Float64Array[];
  private readonly finishes: Float64Array[];
  private readonly counts: Int32Array;

  constructor(devices: number) {
    this.starts = Array.from({ length: devices }, () => new Float64Array(16));
    this.finishes = Array.from({ length: devices }, () => new Float64Array(16));
    this.counts = new Int32Array(devices);
  }

  clear(): void {
    this.counts.fill(0);
  }

  /** When the last stretch of a device ends. */
  end(device: number): number {
    const count = this.counts[device]!;
    return count === 0 ? 0 : this.finishes[device]![count - 1]!;
  }

  /** The first time not before `ready` from which the device is free for a task of that cost, at the rates of `curve` if there is one. */
  earliestStart(device: number, ready: number, cost: number, curve?: CapacityCurve): number {
    const count = this.counts[device]!;
    const finishes = this.finishes[device]!;
    if (count === 0 || ready >= finishes[count - 1]!) return ready;
    const starts = this.starts[device]!;
    let at = this.firstEndingAfter(device, ready);
    let candidate = ready;
    for (; at < count; at += 1) {
      const gapEnd = starts[at]!;
      if (curve === undefined ? gapEnd - candidate >= cost : finishUnder(curve, candidate, cost) <= gapEnd)
        return candidate;
      candidate = Math.max(candidate, finishes[at]!);
    }
    return candidate;
  }

  occupy(device: number, start: number, finish: number): void {
    const count = this.counts[device]!;
    if (count === this.starts[device]!.length) this.grow(device);
    const starts = this.starts[device]!;
    const finishes = this.finishes[device]!;
    let at = count;
    if (count > 0 && start < finishes[count - 1]!) {
      at = this.firstEndingAfter(device, start);
      starts.copyWithin(at + 1, at, count);
      finishes.copyWithin(at + 1, at, count);
    }
    starts[at] = start;
    finishes[at] = finish;
    this.counts[device] = count + 1;
  }

  private firstEndingAfter(device: number, time: number): number {
    const finishes = this.finishes[device]!;
    let low = 0;
    let high = this.counts[device]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (finishes[middle]! > time) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private grow(device: number): void {
    for (const lists of [this.starts, this.finishes]) {
      const larger = new Float64Array(2 * lists[device]!.length);
      larger.set(lists[device]!);
      lists[device] = larger;
    }
  }
}
