/** Values of one step of a level are that many of the level below. */
const ratio = 4;
const levelsMost = 6;
/** Places of a level that has just begun; they double as it grows. */
const placesFirst = 32;

/** Values of one level, oldest first, and where in the series they lie. */
export interface LevelValues {
  /** Means over blocks of `stride` values; none is missing. */
  readonly values: Float64Array;
  readonly stride: number;
  /** Index in the series of the first value of the first block. */
  readonly first: number;
}

/**
 * The past of a series, kept compactly: the last values as they were, and means over 4, 16, 64, 256 and 1,024, the same number of
 * each. With 512 of five seconds that is 43 minutes, 3 hours, 11 hours, two days, a week and a month, in 12 KiB once they have passed.
 */
export class LongHistory {
  readonly #size: number;
  readonly #levels: { ring: Float32Array; count: number; sum: number; known: number; pending: number }[] = [];
  #last = Number.NaN;
  #length = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** How many values there were. */
  get length(): number {
    return this.#length;
  }

  /** NaN: missing. */
  push(value: number): void {
    this.#length += 1;
    if (!Number.isNaN(value)) this.#last = value;
    this.#pushTo(0, value);
  }

  /** What is missing takes the value before it. The coarsest levels may be empty. */
  levels(): LevelValues[] {
    return this.#levels.map(({ ring, count }, level) => {
      const stride = ratio ** level;
      const held = Math.min(count, this.#size);
      let last = this.#last;
      const values = Float64Array.from({ length: held }, (_, index) => ring[(count - held + index) % this.#size]!);
      for (let index = held - 1; index >= 0; index -= 1) if (!Number.isNaN(values[index]!)) last = values[index]!;
      for (const [index, value] of values.entries()) {
        if (Number.isNaN(value)) values[index] = last;
        else last = value;
      }
      return { values, stride, first: (count - held) * stride };
    });
  }

  #pushTo(index: number, value: number): void {
    let level = this.#levels[index];
    if (level === undefined) {
      level = { ring: new Float32Array(Math.min(placesFirst, this.#size)), count: 0, sum: 0, known: 0, pending: 0 };
      this.#levels.push(level);
    }
    if (level.count === level.ring.length && level.count < this.#size) {
      const grown = new Float32Array(Math.min(2 * level.count, this.#size));
      grown.set(level.ring);
      level.ring = grown;
    }
    level.ring[level.count % this.#size] = value;
    level.count += 1;
    level.pending += 1;
    if (!Number.isNaN(value)) {
      level.sum += value;
      level.known += 1;
    }
    if (level.pending < ratio) return;
    if (index + 1 < levelsMost) this.#pushTo(index + 1, level.known === 0 ? Number.NaN : level.sum / level.known);
    level.sum = 0;
    level.known = 0;
    level.pending = 0;
  }
}
