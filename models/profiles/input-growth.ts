import { middleOf } from './statistics.ts';

/** One quantity of the tasks of one code: the natural logarithm of what was measured, beside the input of each, bytes. */
export interface Points {
  readonly inputs: readonly number[];
  readonly logs: readonly number[];
}

/** Where nothing is known of how a quantity grows with the input: below so many bytes about constant, above in proportion. */
export const defaultCrossoverBytes = 16_384;
const crossoverMostBytes = 2 ** 42;
const coarseFactor = 8;
const refinements = 6;
/** How much likelier (natural logarithm of the ratio of likelihoods) another growth must be than the default one. */
const evidenceLeast = 3;
/** Inputs that differ less tell nothing of growth. */
export const spreadLeast = 0.3;
const tasksLeast = 6;
/** A fit that is closer is as good as exact: what is left is rounding. */
const scatterLeast = 1e-9;

/**
 * How a quantity grows with the input, apart from its size: `crossoverBytes + inputBytes` times a constant. With a crossover of 1 it
 * is in proportion to the input, with a huge one constant; as work, it is the input that takes as long as the start.
 */
export function growthOf(crossoverBytes: number, inputBytes: number): number {
  return Math.log(crossoverBytes + Math.max(0, inputBytes));
}

/** Rest further than that from the median, in median absolute deviations, tells of something else than growth. */
const wildFrom = 8;

/** What points tell of growth: whether their inputs differ enough to tell anything, and the crossover, where it is clearly another than the default. */
export interface SeenGrowth {
  readonly isSeen: boolean;
  readonly crossoverBytes?: number;
}
const unseen: SeenGrowth = { isSeen: false };

/**
 * The crossover by which the points lie closest around one constant, when that is clearly closer than by the default. Judged by the
 * likelihood of Laplace's distribution (least absolute deviations), which a few wild points hardly move.
 */
export function seeGrowth(points: Points): SeenGrowth {
  const { inputs, logs } = withoutWild(points);
  if (inputs.length < tasksLeast) return unseen;
  const growths = inputs.map((input) => growthOf(defaultCrossoverBytes, input));
  const sizes = inputs.map((input) => Math.log(1 + input));
  if (Math.max(rangeOf(growths), rangeOf(sizes)) < spreadLeast) return unseen;
  const loss = (crossover: number) => scatter(inputs, logs, crossover);
  let best = { crossover: defaultCrossoverBytes, loss: loss(defaultCrossoverBytes) };
  const before = best.loss;
  const consider = (crossover: number) => {
    const found = { crossover, loss: loss(crossover) };
    if (found.loss < best.loss) best = found;
  };
  for (let crossover = 1; crossover <= crossoverMostBytes; crossover *= coarseFactor) consider(crossover);
  for (let factor = Math.sqrt(coarseFactor), round = 0; round < refinements; factor = Math.sqrt(factor), round += 1) {
    const { crossover } = best;
    consider(crossover * factor);
    consider(Math.max(1, crossover / factor));
  }
  const isClear = inputs.length * Math.log(before / best.loss) > evidenceLeast;
  return isClear ? { isSeen: true, crossoverBytes: best.crossover } : { isSeen: true };
}

function withoutWild({ inputs, logs }: Points): Points {
  const rest = logs.map((log, index) => log - growthOf(defaultCrossoverBytes, inputs[index]!));
  const median = middleOf(rest);
  const deviations = rest.map((each) => Math.abs(each - median));
  const reach = Math.max(1, wildFrom * middleOf(deviations));
  const isKept = (_: number, index: number) => deviations[index]! <= reach;
  return { inputs: inputs.filter(isKept), logs: logs.filter(isKept) };
}

/** Mean absolute deviation of the points from their mean, once growth is taken out. */
function scatter(inputs: readonly number[], logs: readonly number[], crossover: number): number {
  const count = inputs.length;
  const rest = new Float64Array(count);
  let sum = 0;
  for (let index = 0; index < count; index += 1) {
    rest[index] = logs[index]! - growthOf(crossover, inputs[index]!);
    sum += rest[index]!;
  }
  let deviations = 0;
  for (let index = 0; index < count; index += 1) deviations += Math.abs(rest[index]! - sum / count);
  return Math.max(scatterLeast, deviations / count);
}

function rangeOf(values: readonly number[]): number {
  return Math.max(...values) - Math.min(...values);
}
