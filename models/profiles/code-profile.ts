/**
 * What one finished task took. `workSeconds`: CPU time on a core of the reference machine, which is the CPU time that was measured
 * times the speed of the node for the engine. Null: nobody measured it.
 */
export type ObservedTask = readonly [
  inputBytes: number,
  workSeconds: number | null,
  peakMemoryBytes: number | null,
  outputBytes: number,
];

/** What is kept of the tasks of one code on one engine. */
export interface CodeProfile {
  readonly engine: string;
  /** Names the code: equal for equal bytes. */
  readonly code: string;
  /** What kind of work its author says it is. */
  readonly category?: string;
  /** Tasks seen, of which `sample` keeps some. It grows with each: whoever reads a profile twice sees by it whether it has changed. */
  readonly tasks: number;
  readonly sample: readonly ObservedTask[];
}

/** Not exceeded with probability 0.1, 0.5 and 0.9; never crossing. */
export interface Quantiles {
  readonly q10: number;
  readonly q50: number;
  readonly q90: number;
}

/** What most of an estimate rests on: tasks of this very code, code of its category, all code of its engine. */
export type ProfileBasis = 'own' | 'category' | 'all' | 'none';

/** One quantity of a task, and how it grows with the input: about `fixed + perByte * inputBytes`. */
export interface QuantityEstimate extends Quantiles {
  readonly fixed: number;
  readonly perByte: number;
  readonly growth: Growth;
}

/**
 * What is known of how it grows: `seen`, tasks with inputs of different size have told; `near`, none has, but the input is about as large as those
 * that were seen; `guessed`, it is of another size, and `perByte` is what is taken for granted of any code.
 */
export type Growth = 'seen' | 'near' | 'guessed';

/** What a task will take. A quantity that nobody has measured on this engine is absent. */
export interface TaskPrediction {
  readonly workSeconds?: QuantityEstimate;
  readonly peakMemoryBytes?: QuantityEstimate;
  readonly outputBytes?: QuantityEstimate;
  readonly basis: ProfileBasis;
  /** Tasks of this code that were seen, other codes of its category that are known, and other codes of its engine. */
  readonly evidence: { readonly tasks: number; readonly categoryCodes: number; readonly codes: number };
}

export interface TaskQuestion {
  readonly engine: string;
  readonly code: string;
  readonly category?: string;
  readonly inputBytes: number;
}
