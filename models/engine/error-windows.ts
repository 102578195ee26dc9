import type { Recent } from '../baselines/recent.ts';
import { type Take, takeAlone } from './slab.ts';

/** Errors of each forecast at each step whose quantiles make its bands. */
export const errorsKept = 144;

/**
 * The last errors of several point forecasts at several steps ahead, in ascending order, so that quantiles cost nothing. Only the
 * order is kept, one byte per error: what the errors are, the values and the forecasts tell, which are remembered anyway.
 */
export class ErrorWindows {
  readonly #steps: readonly number[];
  readonly #values: Recent;
  readonly #points: readonly Recent[];
  /** Per forecast and step: places in a ring of errors, the least error first. */
  readonly #order: Uint8Array;
  #count = 0;

  /**
   * @param steps ahead, ascending
   * @param points per forecast, what was said after each value; all remember at least `errorsKept` and the farthest step
   */
  constructor(steps: readonly number[], values: Recent, points: readonly Recent[], take: Take = takeAlone) {
    this.#steps = steps;
    this.#values = values;
    this.#points = points;
    const bytes = points.length * steps.length * errorsKept;
    const { buffer, byteOffset } = take(bytes / Float32Array.BYTES_PER_ELEMENT);
    this.#order = new Uint8Array(buffer, byteOffset, bytes);
  }

  /** Takes in the errors that the newest value makes known, once it and the forecasts after it are remembered. */
  update(): void {
    const order = this.#order;
    const newest = this.#count % errorsKept;
    this.#count += 1;
    for (let point = 0; point < this.#points.length; point += 1) {
      for (let anchor = 0; anchor < this.#steps.length; anchor += 1) {
        const size = this.size(anchor);
        if (size === 0) break;
        const begin = this.#begin(point, anchor);
        const last = begin + size - 1;
        // The newest error has the place of the one that it pushes out.
        if (this.#count - this.#steps[anchor]! > errorsKept) {
          const gone = order.indexOf(newest, begin);
          order.copyWithin(gone, gone + 1, last + 1);
        }
        const error = this.#error(point, anchor, newest);
        let low = begin;
        let high = last;
        while (low < high) {
          const middle = (low + high) >> 1;
          if (this.#error(point, anchor, order[middle]!) < error) low = middle + 1;
          else high = middle;
        }
        order.copyWithin(low + 1, low, last);
        order[low] = newest;
      }
    }
  }

  /** How many errors are known at a step, at most `errorsKept`. */
  size(anchor: number): number {
    return Math.max(0, Math.min(errorsKept, this.#count - this.#steps[anchor]!));
  }

  /** As `SortedWindow.quantile`; NaN where no error is known. */
  quantile(point: number, anchor: number, level: number): number {
    const size = this.size(anchor);
    if (size === 0) return Number.NaN;
    const position = level * (size - 1);
    const below = Math.floor(position);
    const at = this.#begin(point, anchor) + below;
    const low = this.#error(point, anchor, this.#order[at]!);
    if (below + 1 === size) return low;
    return low + (position - below) * (this.#error(point, anchor, this.#order[at + 1]!) - low);
  }

  #begin(point: number, anchor: number): number {
    return (point * this.#steps.length + anchor) * errorsKept;
  }

  #error(point: number, anchor: number, place: number): number {
    const age = 1 + ((this.#count - 1 - place) % errorsKept);
    return this.#values.back(age) - this.#points[point]!.back(age + this.#steps[anchor]!);
  }
}
