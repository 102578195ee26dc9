/** Steps between two forecasts that are judged: the horizon has that many of them. */
const originsPerHorizon = 12;
/** Values that the running errors remember. */
const memoryValues = 256;
/** What a quantile of the errors moves per error, in mean absolute errors. */
const quantileRate = 0.1;
/** Errors before their quantiles are trusted. */
const errorsLeast = 8;
/** Standard normal quantile at 0.9, in mean absolute errors. */
const z90PerMeanError = 1.2816 * Math.sqrt(Math.PI / 2);

/** Steps ahead at which forecasts are judged. */
function anchorsOf(horizon: number): number[] {
  return [...[1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128].filter((step) => step < horizon), horizon];
}

interface Anchor {
  readonly steps: number;
  /** Its share of the horizon, by the trapezoidal rule. */
  readonly share: number;
  /** Forecasts of the models and of their mixture by origin: a ring. */
  readonly pending: Float64Array;
  readonly errors: Float64Array;
  count: number;
  low: number;
  high: number;
}

/**
 * Judges the forecasts of several models and their weighted mixture by what comes, up to `horizon` steps ahead: running mean
 * absolute errors of each, and the quantiles 0.1 and 0.9 of the mixture's errors, followed by the gradient of their pinball loss.
 */
export class HorizonScores {
  readonly #anchors: readonly Anchor[];
  readonly #models: number;
  readonly #stride: number;

  constructor(models: number, horizon: number) {
    this.#models = models;
    this.#stride = Math.max(1, Math.floor(horizon / originsPerHorizon));
    const anchors = anchorsOf(horizon);
    const row = models + 1;
    const origins = (steps: number) => Math.ceil(steps / this.#stride) + 1;
    // One buffer for all: each has an overhead of hundreds of bytes.
    let free = new Float64Array(row * anchors.reduce((sum, steps) => sum + origins(steps) + 1, 0));
    const take = (length: number) => {
      const part = free.subarray(0, length);
      free = free.subarray(length);
      return part;
    };
    this.#anchors = anchors.map((steps, index) => ({
      steps,
      share: ((anchors[index + 1] ?? steps) - (anchors[index - 1] ?? 0)) / 2 / horizon,
      pending: take(origins(steps) * row).fill(Number.NaN),
      errors: take(row),
      count: 0,
      low: 0,
      high: 0,
    }));
  }

  /** What the value with that index says of the forecasts that were made for it. NaN: missing. */
  settle(index: number, value: number): void {
    if (Number.isNaN(value)) return;
    for (const anchor of this.#anchors) {
      const slot = this.#slot(anchor, index - anchor.steps);
      if (slot === undefined || Number.isNaN(anchor.pending[slot]!)) continue;
      anchor.count += 1;
      const rate = Math.max(1 / anchor.count, this.#stride / memoryValues);
      for (let model = 0; model <= this.#models; model += 1) {
        const error = Math.abs(value - anchor.pending[slot + model]!);
        anchor.errors[model]! += rate * (error - anchor.errors[model]!);
      }
      this.#followQuantiles(anchor, value - anchor.pending[slot + this.#models]!);
    }
  }

  /** Whether what is expected after the value with that index will be judged. */
  isOrigin(index: number): boolean {
    return index % this.#stride === 0;
  }

  /** Notes what the models expect after the value with that index, an origin. The weights of the mixture sum to 1. */
  note(index: number, weights: readonly number[], expected: (model: number, steps: number) => number): void {
    for (const anchor of this.#anchors) {
      const slot = this.#slot(anchor, index)!;
      let mixture = 0;
      for (let model = 0; model < this.#models; model += 1) {
        const value = expected(model, anchor.steps);
        anchor.pending[slot + model] = value;
        mixture += weights[model]! * value;
      }
      anchor.pending[slot + this.#models] = mixture;
    }
  }

  /** Mean absolute error over the horizon, as far as it has been seen; NaN where nothing has. */
  errorOf(model: number): number {
    let sum = 0;
    let shares = 0;
    for (const { errors, count, share } of this.#anchors) {
      if (count === 0) continue;
      sum += share * errors[model]!;
      shares += share;
    }
    return sum / shares;
  }

  /** What lies 10 and 90 % of the mixture's errors 1 to `steps` steps ahead; undefined before any error is known. */
  bands(steps: number): { readonly low: number; readonly high: number }[] | undefined {
    const first = this.#anchors[0]!;
    if (first.count === 0) return undefined;
    const half = z90PerMeanError * first.errors[this.#models]!;
    const known = this.#anchors.filter(({ count }) => count >= errorsLeast);
    // Before any quantile is known, and farther than was ever judged: as the errors of a random walk grow.
    const nearest = known.at(-1) ?? { steps: 1, low: -half, high: half };
    let after = 0;
    return Array.from({ length: steps }, (_, index) => {
      const step = index + 1;
      while (after < known.length && known[after]!.steps < step) after += 1;
      const end = known[after];
      if (end === undefined) {
        const factor = Math.sqrt(step / nearest.steps);
        return { low: nearest.low * factor, high: nearest.high * factor };
      }
      const begin = known[after - 1] ?? end;
      const share = begin === end ? 1 : (step - begin.steps) / (end.steps - begin.steps);
      return { low: begin.low + share * (end.low - begin.low), high: begin.high + share * (end.high - begin.high) };
    });
  }

  #followQuantiles(anchor: Anchor, error: number): void {
    const size = anchor.errors[this.#models]!;
    if (anchor.count <= errorsLeast) {
      anchor.low = -z90PerMeanError * size;
      anchor.high = z90PerMeanError * size;
      return;
    }
    const step = quantileRate * size;
    anchor.low = Math.min(0, anchor.low + step * (0.1 - (error < anchor.low ? 1 : 0)));
    anchor.high = Math.max(0, anchor.high + step * (0.9 - (error < anchor.high ? 1 : 0)));
  }

  #slot({ steps }: Anchor, origin: number): number | undefined {
    if (origin < 0 || !this.isOrigin(origin)) return undefined;
    return ((origin / this.#stride) % (Math.ceil(steps / this.#stride) + 1)) * (this.#models + 1);
  }
}
