import { z90 } from '../constants.ts';

/** Steps between two forecasts that are judged: the horizon has that many of them. */
const originsPerHorizon = 12;
/** Values that the running errors remember. */
const memoryValues = 256;
/** What a quantile of the errors moves per error, in mean absolute errors. */
const quantileRate = 0.1;
/** Errors before their quantiles are trusted. */
const errorsLeast = 8;
/** Standard normal quantile at 0.9, in mean absolute errors. */
const z90PerMeanError = z90 * Math.sqrt(Math.PI / 2);

/** Steps ahead at which forecasts are judged. */
function anchorsOf(horizon: number): number[] {
  return [...[1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128].filter((step) => step < horizon), horizon];
}

interface Anchor {
  readonly steps: number;
  /** Its share of the horizon, by the trapezoidal rule. */
  readonly share: number;
  /** Where its numbers begin among those of all: the errors of the models and of their mixture; how many forecasts were judged, and the quantiles of the mixture's errors. */
  readonly errors: number;
  readonly count: number;
  readonly low: number;
  readonly high: number;
  /** Forecasts of the models and of their mixture by origin: a ring. */
  readonly pending: number;
}

/** Where the scores of so many models up to so many steps ahead keep their numbers: one for all series. */
export class HorizonLayout {
  readonly models: number;
  readonly stride: number;
  readonly anchors: readonly Anchor[];
  /** How many numbers there are. */
  readonly length: number;

  constructor(models: number, horizon: number) {
    this.models = models;
    this.stride = Math.max(1, Math.floor(horizon / originsPerHorizon));
    const anchors = anchorsOf(horizon);
    const row = models + 1;
    let taken = 0;
    const take = (length: number) => {
      taken += length;
      return taken - length;
    };
    this.anchors = anchors.map((steps, index) => ({
      steps,
      share: ((anchors[index + 1] ?? steps) - (anchors[index - 1] ?? 0)) / 2 / horizon,
      errors: take(row),
      count: take(1),
      low: take(1),
      high: take(1),
      pending: take(this.origins(steps) * row),
    }));
    this.length = taken;
  }

  /** Origins that wait for what is that far ahead. */
  origins(steps: number): number {
    return Math.ceil(steps / this.stride) + 1;
  }
}

/**
 * Judges the forecasts of several models and their weighted mixture by what comes, up to the horizon: running mean
 * absolute errors of each, and the quantiles 0.1 and 0.9 of the mixture's errors, followed by the gradient of their pinball loss.
 */
export class HorizonScores {
  readonly #layout: HorizonLayout;
  readonly #numbers: Float32Array;

  constructor(layout: HorizonLayout) {
    this.#layout = layout;
    this.#numbers = new Float32Array(layout.length);
    for (const { pending, steps } of layout.anchors)
      this.#numbers.fill(Number.NaN, pending, pending + layout.origins(steps) * (layout.models + 1));
  }

  get #models(): number {
    return this.#layout.models;
  }

  /** What the value with that index says of the forecasts that were made for it. NaN: missing. */
  settle(index: number, value: number): void {
    if (Number.isNaN(value)) return;
    const numbers = this.#numbers;
    for (const anchor of this.#layout.anchors) {
      const slot = this.#slot(anchor, index - anchor.steps);
      if (slot === undefined || Number.isNaN(numbers[slot]!)) continue;
      numbers[anchor.count]! += 1;
      const rate = Math.max(1 / numbers[anchor.count]!, this.#layout.stride / memoryValues);
      for (let model = 0; model <= this.#models; model += 1) {
        const error = Math.abs(value - numbers[slot + model]!);
        numbers[anchor.errors + model]! += rate * (error - numbers[anchor.errors + model]!);
      }
      this.#followQuantiles(anchor, value - numbers[slot + this.#models]!);
    }
  }

  /** Whether what is expected after the value with that index will be judged. */
  isOrigin(index: number): boolean {
    return index % this.#layout.stride === 0;
  }

  /** Notes what the models expect after the value with that index, an origin. The weights of the mixture sum to 1. */
  note(index: number, weights: readonly number[], expected: (model: number, steps: number) => number): void {
    for (const anchor of this.#layout.anchors) {
      const slot = this.#slot(anchor, index)!;
      let mixture = 0;
      for (let model = 0; model < this.#models; model += 1) {
        const value = expected(model, anchor.steps);
        this.#numbers[slot + model] = value;
        mixture += weights[model]! * value;
      }
      this.#numbers[slot + this.#models] = mixture;
    }
  }

  /** Mean absolute error over the horizon, as far as it has been seen; NaN where nothing has. */
  errorOf(model: number): number {
    let sum = 0;
    let shares = 0;
    for (const { errors, count, share } of this.#layout.anchors) {
      if (this.#numbers[count] === 0) continue;
      sum += share * this.#numbers[errors + model]!;
      shares += share;
    }
    return sum / shares;
  }

  /** What lies 10 and 90 % of the mixture's errors 1 to `steps` steps ahead; undefined before any error is known. */
  bands(steps: number): { readonly low: number; readonly high: number }[] | undefined {
    const numbers = this.#numbers;
    const first = this.#layout.anchors[0]!;
    if (numbers[first.count] === 0) return undefined;
    const half = z90PerMeanError * numbers[first.errors + this.#models]!;
    const known = this.#layout.anchors
      .filter(({ count }) => numbers[count]! >= errorsLeast)
      .map(({ steps: ahead, low, high }) => ({ steps: ahead, low: numbers[low]!, high: numbers[high]! }));
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

  #followQuantiles({ errors, count, low, high }: Anchor, error: number): void {
    const numbers = this.#numbers;
    const size = numbers[errors + this.#models]!;
    if (numbers[count]! <= errorsLeast) {
      numbers[low] = -z90PerMeanError * size;
      numbers[high] = z90PerMeanError * size;
      return;
    }
    const step = quantileRate * size;
    numbers[low] = Math.min(0, numbers[low]! + step * (0.1 - (error < numbers[low]! ? 1 : 0)));
    numbers[high] = Math.max(0, numbers[high]! + step * (0.9 - (error < numbers[high]! ? 1 : 0)));
  }

  #slot({ steps, pending }: Anchor, origin: number): number | undefined {
    if (origin < 0 || !this.isOrigin(origin)) return undefined;
    return pending + ((origin / this.#layout.stride) % this.#layout.origins(steps)) * (this.#models + 1);
  }
}
