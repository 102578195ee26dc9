/**
 * Sums of a linear least squares problem with `inputs` inputs and `outputs` outputs: however many rows are added, the memory stays the
 * same.
 */
export class NormalEquations {
  readonly inputs: number;
  readonly outputs: number;
  /** Sums of input times input, the lower half, row by row. */
  readonly #gram: Float64Array;
  /** Sums of input times output, row by row. */
  readonly #moments: Float64Array;

  constructor(inputs: number, outputs: number) {
    this.inputs = inputs;
    this.outputs = outputs;
    this.#gram = new Float64Array(inputs * inputs);
    this.#moments = new Float64Array(inputs * outputs);
  }

  add(input: Float64Array, output: Float64Array): void {
    const { inputs, outputs } = this;
    for (let row = 0; row < inputs; row += 1) {
      const value = input[row]!;
      if (value === 0) continue;
      const gramRow = row * inputs;
      for (let column = 0; column <= row; column += 1) this.#gram[gramRow + column]! += value * input[column]!;
      const momentsRow = row * outputs;
      for (let column = 0; column < outputs; column += 1)
        this.#moments[momentsRow + column]! += value * output[column]!;
    }
  }

  /**
   * The coefficients (inputs x outputs, row by row) of least squared error plus `penalty`, above 0, times their own squares (Hoerl and
   * Kennard 1970), by Cholesky's decomposition.
   */
  solve(penalty: number): Float64Array {
    if (!(penalty > 0)) throw new RangeError(`a ridge penalty is above 0, not ${penalty}`);
    const { inputs, outputs } = this;
    const factor = this.#gram.slice();
    for (let row = 0; row < inputs; row += 1) {
      factor[row * inputs + row]! += penalty;
      for (let column = 0; column <= row; column += 1) {
        let sum = factor[row * inputs + column]!;
        for (let k = 0; k < column; k += 1) sum -= factor[row * inputs + k]! * factor[column * inputs + k]!;
        factor[row * inputs + column] = row === column ? Math.sqrt(sum) : sum / factor[column * inputs + column]!;
      }
    }
    const solution = this.#moments.slice();
    for (let output = 0; output < outputs; output += 1) {
      for (let row = 0; row < inputs; row += 1) {
        let sum = solution[row * outputs + output]!;
        for (let k = 0; k < row; k += 1) sum -= factor[row * inputs + k]! * solution[k * outputs + output]!;
        solution[row * outputs + output] = sum / factor[row * inputs + row]!;
      }
      for (let row = inputs - 1; row >= 0; row -= 1) {
        let sum = solution[row * outputs + output]!;
        for (let k = row + 1; k < inputs; k += 1) sum -= factor[k * inputs + row]! * solution[k * outputs + output]!;
        solution[row * outputs + output] = sum / factor[row * inputs + row]!;
      }
    }
    return solution;
  }
}
