/**
 * The last `capacity` numbers of a stream in ascending order, so that quantiles cost nothing: one binary search and one
 * block move per change. Numbers are kept in single precision; whoever removes one gives the number as it was inserted.
 */
export class SortedWindow {
  readonly #sorted: Float32Array;
  #size = 0;

  constructor(capacity: number) {
    this.#sorted = new Float32Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  get full(): boolean {
    return this.#size === this.#sorted.length;
  }

  insert(value: number): void {
    const at = this.#firstNotBelow(Math.fround(value));
    this.#sorted.copyWithin(at + 1, at, this.#size);
    this.#sorted[at] = value;
    this.#size += 1;
  }

  remove(value: number): void {
    const at = this.#firstNotBelow(Math.fround(value));
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

  #firstNotBelow(value: number): number {
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
