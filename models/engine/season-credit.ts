import { gainLeast, seasonGain } from '../season/gain.ts';
import type { SeasonWatch } from '../season/season-watch.ts';

/** Followers of a season get no more weight than that. */
const shareMost = 0.95;
/** Periods after which they must have won their weight by themselves. */
const periodsOfCredit = 6;

/**
 * The least weight of those who follow the season of a series. Between two busy times all members say the same, so nobody can win weight there: where the season that was found would
 * have saved most of the error one period ago, who follows it begins with the weight to match, which runs out over the next periods.
 */
export class SeasonCredit {
  readonly #watch: SeasonWatch;
  readonly #anchors: readonly number[];
  #periods = 0;
  #shares: readonly number[] = [];
  #from = 0;
  #values = 0;

  constructor(watch: SeasonWatch, anchors: readonly number[]) {
    this.#watch = watch;
    this.#anchors = anchors;
  }

  /** The watch has seen the value of that number. */
  follow(count: number): void {
    const { periods, history } = this.#watch;
    if (periods.length > this.#periods) {
      const past = history.levels();
      const gains = this.#anchors.map((steps) => Math.max(...periods.map((period) => seasonGain(past, period, steps))));
      this.#shares = gains.map((gain) => (gain < gainLeast ? 0 : Math.min(shareMost, gain)));
      this.#from = count;
      this.#values = periodsOfCredit * periods.at(-1)!;
    }
    this.#periods = periods.length;
  }

  /** 0 where there is no credit. */
  share(anchor: number, count: number): number {
    const left = 1 - (count - this.#from) / this.#values;
    return this.#values === 0 || left <= 0 ? 0 : left * this.#shares[anchor]!;
  }
}
