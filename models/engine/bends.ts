import { magnitudeMost } from '../baselines/empirical-bands.ts';
import type { QuantileCurves } from '../forecaster.ts';
import { levels } from './track.ts';

/**
 * How a mix runs between its anchors: off the line between two of them as far as the members with whole curves leave the lines
 * between their own values there. A season's edges stay sharp that way wherever the anchors lie. Of a member's weights at the two
 * anchors the greater one counts: where it agrees with others at one of them, as a season does with the last value one period ahead,
 * its weight there says nothing of the steps between.
 */
export class Bends {
  readonly #anchors: readonly number[];
  /** Per step, from 1 on, and level; 0 at anchors. */
  readonly #offLine: Float32Array;

  constructor(anchors: readonly number[]) {
    this.#anchors = anchors;
    this.#offLine = new Float32Array(anchors.at(-1)! * levels.length);
  }

  clear(): void {
    this.#offLine.fill(0);
  }

  /**
   * @param curves of a member; beyond their last step they are taken to go on level, and where they know nothing but an open range they bend nothing
   * @param weightOf the member's weight at an anchor and level, 0 to 1
   */
  add({ q10, q50, q90 }: QuantileCurves, weightOf: (anchor: number, level: number) => number): void {
    for (const [level, curve] of [q10, q50, q90].entries()) {
      const at = (step: number) => curve[Math.min(step, curve.length) - 1]!;
      for (let next = 1; next < this.#anchors.length; next += 1) {
        const [begin, end] = [this.#anchors[next - 1]!, this.#anchors[next]!];
        if (end - begin === 1) continue;
        const weight = Math.max(weightOf(next - 1, level), weightOf(next, level));
        for (let step = begin + 1; step < end; step += 1) {
          const share = (step - begin) / (end - begin);
          const off = at(step) - ((1 - share) * at(begin) + share * at(end));
          if (Math.abs(off) <= magnitudeMost) this.#offLine[(step - 1) * levels.length + level]! += weight * off;
        }
      }
    }
  }

  at(step: number, level: number): number {
    return this.#offLine[(step - 1) * levels.length + level]!;
  }
}
