import { type LearnedKind, learnedKinds, type Row, resources } from './steps.ts';

const columns = learnedKinds.length;
const places = learnedKinds.map((kind) => resources.indexOf(kind));
const firstRows = 64;

/** The newest rows of the kinds that models are learned for, in single precision: what these are trained on. */
export class RowRing {
  #values = new Float32Array(0);
  #rows = 0;

  /** Of all rows at least the newest `most` are kept, and at most twice as many. */
  push(row: Row, most: number): void {
    if (most === 0) {
      if (this.#rows > 0) this.clear();
      return;
    }
    if (this.#rows * columns === this.#values.length) {
      if (this.#rows >= 2 * most) this.#keep(most);
      else {
        const larger = new Float32Array(columns * Math.min(2 * most, Math.max(firstRows, 2 * this.#rows)));
        larger.set(this.#values);
        this.#values = larger;
      }
    }
    for (let column = 0; column < columns; column += 1)
      this.#values[this.#rows * columns + column] = row[places[column]!]!;
    this.#rows += 1;
  }

  #keep(rows: number): void {
    this.#values.copyWithin(0, (this.#rows - rows) * columns, this.#rows * columns);
    this.#rows = rows;
  }

  clear(): void {
    this.#values = new Float32Array(0);
    this.#rows = 0;
  }

  column(kind: LearnedKind): Float64Array {
    const index = learnedKinds.indexOf(kind);
    return Float64Array.from({ length: this.#rows }, (_, row) => this.#values[row * columns + index]!);
  }
}
