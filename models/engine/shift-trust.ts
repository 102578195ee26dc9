/** Values at a new level up to which it is young, and after which it is old. */
const ages = [5, 20] as const;
/** Losses, in units of a series, that the first belief is worth: what is new stays. */
const priorLosses = 100;
/** Losses over which old ones fade. */
const lossesKept = 20_000;

/**
 * How far those who follow a new level at once are believed rather than all members together: per cell and age of the level, by how it went on whenever a series of
 * the kind came to one. Some machines change for good, others have bursts that end.
 */
export class ShiftTrust {
  readonly #cells: number;
  /** Per age and cell: by how much the quick ones lost less, and how much was at stake. */
  readonly #gains: Float64Array;
  readonly #stakes: Float64Array;
  readonly #shares: Float64Array;

  constructor(cells: number) {
    this.#cells = cells;
    this.#gains = new Float64Array((ages.length + 1) * cells);
    this.#stakes = new Float64Array(this.#gains.length);
    this.#shares = new Float64Array(this.#gains.length).fill(1);
  }

  /** The age, 0 to 2, of a level that has lasted for so many values. */
  static ageOf(values: number): number {
    return ages.filter((most) => values > most).length;
  }

  share(age: number, cell: number): number {
    return this.#shares[age * this.#cells + cell]!;
  }

  /** Losses in units of the series. */
  learn(age: number, cell: number, lossOfAll: number, lossOfQuick: number): void {
    const at = age * this.#cells + cell;
    const gain = lossOfAll - lossOfQuick;
    this.#gains[at]! += gain;
    this.#stakes[at]! += Math.abs(gain);
    if (this.#stakes[at]! <= lossesKept) return;
    this.#gains[at]! /= 2;
    this.#stakes[at]! /= 2;
  }

  /** What was learned takes effect. */
  settle(): void {
    for (let at = 0; at < this.#shares.length; at += 1)
      this.#shares[at] = (1 + (priorLosses + this.#gains[at]!) / (priorLosses + this.#stakes[at]!)) / 2;
  }
}
