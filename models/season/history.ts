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

/** A ring of values, and the block that is being gathered for the next level. */
interface Level {
  /** Where its places begin among the values of all levels. */
  begin: number;
  places: number;
  count: number;
  sum: number;
  known: number;
  pending: number;
}

/**
 * The past of a series, kept compactly: the last values as they were, and means over 4, 16, 64, 256 and 1,024, the same number of
 * each. With 512 of five seconds that is 43 minutes, 3 hours, 11 hours, two days, a week and a month, in 12 KiB once they have passed.
 */
export class LongHistory {
  readonly #size: number;
  /** The rings of all levels, one after the other: each buffer has an overhead of hundreds of bytes. */
  #values = new Float32Array(0);
  readonly #levels: Level[] = [];
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
    return this.#levels.map(({ begin, count }, level) => {
      const stride = ratio ** level;
      const held = Math.min(count, this.#size);
      let last = this.#last;
      const at = (index: number) => this.#values[begin + ((count - held + index) % this.#size)]!;
      const values = Float64Array.from({ length: held }, (_, index) => at(index));
      for (let index = held - 1; index >= 0; index -= 1) if (!Number.isNaN(values[index]!)) last = values[index]!;
      for (const [index, value] of values.entries()) {
        if (Number.isNaN(value)) values[index] = last;
        else last = value;
      }
      return { values, stride, first: (count - held) * stride };
    });
  }

  /**
   * How much the newer half of all that was resembles the older one: their correlation (-1 to 1), the line that each follows left aside, on the finest level
   * that holds it all. NaN unless the halves have just become longer, and where nothing changes.
   */
  get repetition(): number {
    const index = this.#levels.findIndex(({ count }) => count <= this.#size);
    if (index === -1 || this.#length % (2 * ratio ** index) !== 0) return Number.NaN;
    const { begin, count } = this.#levels[index]!;
    const half = count / 2;
    return correlation(this.#values.subarray(begin, begin + half), this.#values.subarray(begin + half, begin + count));
  }

  #pushTo(index: number, value: number): void {
    let level = this.#levels[index];
    if (level === undefined) {
      level = { begin: this.#values.length, places: 0, count: 0, sum: 0, known: 0, pending: 0 };
      this.#levels.push(level);
    }
    if (level.count === level.places && level.count < this.#size)
      this.#widen(index, Math.min(Math.max(placesFirst, 2 * level.places), this.#size));
    this.#values[level.begin + (level.count % this.#size)] = value;
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

  #widen(index: number, places: number): void {
    const level = this.#levels[index]!;
    const more = places - level.places;
    const end = level.begin + level.places;
    const wider = new Float32Array(this.#values.length + more);
    wider.set(this.#values.subarray(0, end));
    wider.set(this.#values.subarray(end), end + more);
    this.#values = wider;
    level.places = places;
    for (const coarser of this.#levels.slice(index + 1)) coarser.begin += more;
  }
}

/** Of values at the same places, each less its least-squares line (Yule 1907: partial correlation, given the place). Places where one is missing count for nothing. */
function correlation(left: Float32Array, right: Float32Array): number {
  let [places, ofLeft, ofRight, known] = [0, 0, 0, 0];
  for (let at = 0; at < left.length; at += 1) {
    if (Number.isNaN(left[at]! + right[at]!)) continue;
    places += at;
    ofLeft += left[at]!;
    ofRight += right[at]!;
    known += 1;
  }
  let [tt, ll, rr, tl, tr, lr] = [0, 0, 0, 0, 0, 0];
  for (let at = 0; at < left.length; at += 1) {
    if (Number.isNaN(left[at]! + right[at]!)) continue;
    const [place, one, other] = [at - places / known, left[at]! - ofLeft / known, right[at]! - ofRight / known];
    tt += place * place;
    ll += one * one;
    rr += other * other;
    tl += place * one;
    tr += place * other;
    lr += one * other;
  }
  return (lr - (tl * tr) / tt) / Math.sqrt((ll - (tl * tl) / tt) * (rr - (tr * tr) / tt));
}
