/** Gives so many numbers, all 0. */
export type Take = (length: number) => Float32Array;

export const takeAlone: Take = (length) => new Float32Array(length);

/** One buffer that many small arrays share, since each of its own has an overhead of hundreds of bytes. */
export class Slab {
  readonly #buffer: Float32Array;
  #taken = 0;

  constructor(length: number) {
    this.#buffer = new Float32Array(length);
  }

  /** How much was asked for. */
  get taken(): number {
    return this.#taken;
  }

  /** What is beyond the slab stands alone. */
  readonly take: Take = (length) => {
    const begin = this.#taken;
    this.#taken += length;
    return this.#taken <= this.#buffer.length ? this.#buffer.subarray(begin, this.#taken) : takeAlone(length);
  };
}
