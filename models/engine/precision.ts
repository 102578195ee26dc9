import type { SeriesRange } from '../forecaster.ts';
import { fromBrainFloat, toBrainFloat } from './brain-float.ts';

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

const brainFloats: Precision = {
  create: (length) => new Uint16Array(length),
  encode: toBrainFloat,
  decode: fromBrainFloat,
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

/** 16 bits each: steps of equal length, a 65,534th of the range; where that is open, one part in 256 of the number itself. */
export function halvesOf(range: SeriesRange): Precision {
  return Number.isFinite(range.high - range.low) ? new EvenSteps(range) : brainFloats;
}
