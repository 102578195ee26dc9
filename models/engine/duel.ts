/** Share of the newest value in a loss: losses are about the last hundred values. */
const newestShare = 0.01;

/** A learned model against all other members, on forecasts that all of them made: mean pinball losses, older values fading. */
export class Duel {
  readonly #losses: Float64Array;
  readonly #sums: Float64Array;
  #added = 0;
  /** Values that the losses rest on. */
  scored = 0;

  /** @param experts all members; the learned model is the last */
  constructor(experts: number) {
    // One buffer for both: each has an overhead of hundreds of bytes.
    const both = new Float64Array(2 * experts);
    this.#losses = both.subarray(0, experts);
    this.#sums = both.subarray(experts);
  }

  /** Of the learned model; 0 before it was scored. */
  get loss(): number {
    return this.#losses.at(-1)!;
  }

  /** Of the other members, in their order. */
  get others(): Float64Array {
    return this.#losses.subarray(0, -1);
  }

  /** The values that count: what its losses weigh beside those of other series. */
  get evidence(): number {
    return Math.min(this.scored, 1 / newestShare);
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
    for (const [expert, sum] of this.#sums.entries())
      this.#losses[expert]! += share * (sum / this.#added - this.#losses[expert]!);
    this.#sums.fill(0);
    this.#added = 0;
    return true;
  }
}
