/**
 * The last `capacity` numbers of a stream in ascending order, so that quantiles cost nothing: one binary search and one
 * block move per change. Where windows are many, they can share a buffer, and be of single precision.
 */
export class SortedWindow {
  /** The last place is free: a number is rounded there to what the array can hold. */
  readonly #sorted: Float32Array | Float64Array;
  #size = 0;

  /** @param sorted `capacity + 1` places */
  constructor(capacity: number, sorted: Float32Array | Float64Array = new Float64Array(capacity + 1)) {
    this.#sorted = sorted;
  }

  get size(): number {
    return this.#size;
  }

  get full(): boolean {
    return this.#size === this.#sorted.length - 1;
  }

  insert(value: number): void {
    const at = this.#firstNotBelow(value);
    this.#sorted.copyWithin(at + 1, at, this.#size);
    this.#sorted[at] = value;
    this.#size += 1;
  }

  /** Takes out a number that was inserted. */
  remove(value: number): void {
    const at = this.#firstNotBelow(value);
    this.#sorted.copyWithin(at, at + 1, this.#size);
    this.#size -= 1;
  }

  /** Takes `value` in and, once the window is full, `oldest` out. */
  replace(value: number, oldest: number): void {
    if (this.full) this.remove(oldest);
    this.insert(value);
  }

  /** With linear interpolation between order statistics (type 7 of Hyndman and Fan 1996); NaN where there is none. */
  quantile(level: number): number {
    if (this.#size === 0) return Number.NaN;
    const position = level * (this.#size - 1);
    const below = Math.floor(position);
    const low = this.#sorted[below]!;
    return below + 1 < this.#size ? low + (position - below) * (this.#sorted[below + 1]! - low) : low;
  }

  #firstNotBelow(number: number): number {
    const free = this.#sorted.length - 1;
    this.#sorted[free] = number;
    const value = this.#sorted[free]!;
    let low = 0;
    let high = this.#size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
