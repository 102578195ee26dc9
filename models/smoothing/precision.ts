import type { SeriesRange } from '../forecaster.ts';

/** How numbers of a range, or NaN, are kept: as which codes, in which arrays. */
export interface Precision {
  /** An array for codes, all 0; it holds whole numbers to 256 as well. */
  create(length: number): Float32Array | Uint16Array;
  encode(value: number): number;
  decode(code: number): number;
}

export const singles: Precision = {
  create: (length) => new Float32Array(length),
  encode: (value) => value,
  decode: (code) => code,
};

/** NaN, and the greatest code of a number. */
const missing = 2 ** 16 - 1;
const highest = missing - 1;

class EvenSteps implements Precision {
  readonly #low: number;
  readonly #step: number;

  constructor({ low, high }: SeriesRange) {
    this.#low = low;
    this.#step = (high - low) / highest;
  }

  create(length: number): Uint16Array {
    return new Uint16Array(length);
  }

  encode(value: number): number {
    if (Number.isNaN(value)) return missing;
    return this.#step === 0 ? 0 : Math.min(highest, Math.max(0, Math.round((value - this.#low) / this.#step)));
  }

  decode(code: number): number {
    return code === missing ? Number.NaN : this.#low + code * this.#step;
  }
}

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);
/** Bits of 2 ** -10 in single precision, and how many of the last bits are left out: the codes reach up to 2 ** 54 then. */
const leastBits = (127 - 10) << 23;
const bitsLeft = 13;

/** The middle of what codes reach, as a power of two: on either side of it there are 32 octaves. */
const middle = 22;

/** Numbers from 0 on: 6 bits of exponent and 10 of mantissa, around a size. What is below a four thousand millionth of it is 0. */
class Positives implements Precision {
  /** A power of two: it costs no digit. */
  readonly #unit: number;

  constructor(size: number) {
    this.#unit = 2 ** (Math.ceil(Math.log2(size > 0 ? size : 1)) - middle);
  }

  create(length: number): Uint16Array {
    return new Uint16Array(length);
  }

  encode(value: number): number {
    if (Number.isNaN(value)) return missing;
    single[0] = value / this.#unit;
    return Math.min(highest, Math.max(0, (bits[0]! + (1 << (bitsLeft - 1)) - leastBits) >> bitsLeft));
  }

  decode(code: number): number {
    if (code === missing) return Number.NaN;
    bits[0] = code === 0 ? 0 : leastBits + (code << bitsLeft);
    return single[0]! * this.#unit;
  }
}

/**
 * Numbers of a range in 16 bits each: in steps of equal length, a 65,534th of the range; where it is open above 0, to one part in 2,048, around the
 * `size` of those that are known. Where it is open at both ends they are single.
 */
export function halvesOf(range: SeriesRange, size = 1): Precision {
  if (Number.isFinite(range.high - range.low)) return new EvenSteps(range);
  return range.low === 0 ? new Positives(size) : singles;
}
