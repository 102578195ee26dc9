/** Errors beyond are counted at the edge; in units of a window's spread. */
const most = 32;
const binsPerUnit = 512;

/** Counts errors in narrow bins, so that quantiles of any number of them take the same memory. */
export class ErrorCounts {
  readonly #bins = new Uint32Array(2 * most * binsPerUnit);
  #count = 0;

  add(error: number): void {
    const bin = Math.floor((error + most) * binsPerUnit);
    this.#bins[Math.min(this.#bins.length - 1, Math.max(0, bin))]! += 1;
    this.#count += 1;
  }

  /** The quantile at `level`, in (0, 1), between neighbouring errors (type 7 of Hyndman and Fan 1996), to 1/512; NaN without any. */
  quantile(level: number): number {
    if (this.#count === 0) return Number.NaN;
    const rank = level * (this.#count - 1) + 0.5;
    let below = 0;
    let bin = 0;
    while (below + this.#bins[bin]! < rank) {
      below += this.#bins[bin]!;
      bin += 1;
    }
    return (bin + (rank - below) / this.#bins[bin]!) / binsPerUnit - most;
  }
}
