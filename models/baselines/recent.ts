/** The last numbers of a stream, as many as `ring` has places and as precise; `back(1)` is the newest. */
export class Recent {
  readonly #ring: Float32Array | Float64Array;
  #count = 0;

  constructor(ring: Float32Array | Float64Array) {
    this.#ring = ring;
  }

  /** How many there are, at most the capacity. */
  get size(): number {
    return Math.min(this.#count, this.#ring.length);
  }

  push(value: number): void {
    this.#ring[this.#count % this.#ring.length] = value;
    this.#count += 1;
  }

  /** The number `age` pushes ago, 1 to `size`. */
  back(age: number): number {
    return this.#ring[(this.#count - age) % this.#ring.length]!;
  }

  /** Oldest first. */
  toArray(): Float64Array {
    const values = new Float64Array(this.size);
    for (let index = 0; index < values.length; index += 1) values[index] = this.back(values.length - index);
    return values;
  }
}
