import { isWorthUsing } from '../global/retrain.ts';

/** Values of a series itself that a learned model must have been compared on before it is used there. */
const scoredLeast = 30;
/** Where it was, and is not used, it is asked after every so many-th value alone: it may cost more than all others. No divisor of a stride of the anchors. */
const askEvery = 4;
/** Share of the newest value in a loss: losses are about the last hundred values. */
const newestShare = 0.01;

/** A learned model against all other members, on forecasts that all of them made: mean pinball losses, older values fading. */
export class Duel {
  readonly #losses: Float64Array;
  readonly #sums: Float64Array;
  #added = 0;
  /** Values that the losses rest on. */
  scored = 0;
  /** Whether what it says has a part in the forecasts. */
  isUsed = false;
  readonly turn: number;

  /**
   * @param experts all members; the learned model is the last
   * @param turn of the series: not all of them ask after the same value
   */
  constructor(experts: number, turn: number) {
    this.turn = turn;
    // One buffer for both: each has an overhead of hundreds of bytes.
    const both = new Float64Array(2 * experts);
    this.#losses = both.subarray(0, experts);
    this.#sums = both.subarray(experts);
  }

  /** Of the learned model; 0 before it was scored. */
  get loss(): number {
    return this.#losses[this.#losses.length - 1]!;
  }

  /** Of the best of the other members. */
  get challengerLoss(): number {
    let least = Number.POSITIVE_INFINITY;
    for (let expert = 0; expert < this.#losses.length - 1; expert += 1) least = Math.min(least, this.#losses[expert]!);
    return least;
  }

  /** Of the other members, in their order. */
  get others(): Float64Array {
    return this.#losses.subarray(0, -1);
  }

  /** The values that count: what its losses weigh beside those of other series. */
  get evidence(): number {
    return Math.min(this.scored, 1 / newestShare);
  }

  /** Whether the model is to be asked after the next value, when there were `count` before. */
  asks(count: number): boolean {
    return this.isUsed || this.scored < scoredLeast || (count + this.turn) % askEvery === 0;
  }

  /** Decides whether the model is used, if it has something to say; `scored` is how often it was compared on all series of its kind. */
  judge(speaks: boolean, scored: number): void {
    const { loss, challengerLoss } = this;
    this.isUsed = speaks && this.scored >= scoredLeast && isWorthUsing({ scored, loss, challengerLoss });
  }

  add(expert: number, loss: number): void {
    this.#sums[expert]! += loss;
    if (expert === 0) this.#added += 1;
  }

  /** All losses that one value brought have been added; false where it brought none. */
  close(): boolean {
    if (this.#added === 0) return false;
    this.scored += 1;
    const share = Math.max(newestShare, 1 / this.scored);
    for (let expert = 0; expert < this.#losses.length; expert += 1)
      this.#losses[expert]! += share * (this.#sums[expert]! / this.#added - this.#losses[expert]!);
    this.#sums.fill(0);
    this.#added = 0;
    return true;
  }
}
