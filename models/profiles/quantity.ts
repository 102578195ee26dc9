import type { ObservedTask, QuantityEstimate } from './code-profile.ts';
import { growthOf, type Points, type SeenGrowth, spreadLeast } from './input-growth.ts';
import { type Estimate, orderStatistic, type RobustMoments, robustMoments, studentQuantile90 } from './statistics.ts';

/** One of the quantities that are estimated, and what is taken for granted of it before anything was measured. */
export interface Quantity {
  readonly of: (task: ObservedTask) => number | null;
  /** Nothing is smaller: below it differences mean nothing. */
  readonly least: number;
  /** Standard deviations of natural logarithms: between tasks of one code, and between codes. */
  readonly within: number;
  readonly between: number;
}

export const quantities = {
  workSeconds: { of: ([, work]) => work, least: 1e-4, within: 0.4, between: 1.5 },
  peakMemoryBytes: { of: ([, , memory]) => memory, least: 1, within: 0.2, between: 0.8 },
  outputBytes: { of: ([, , , output]) => output, least: 1, within: 0.4, between: 2 },
} as const satisfies Record<string, Quantity>;
export type QuantityName = keyof typeof quantities;

/** What is taken for granted counts like so many values. */
export const priorFreedom = 4;
/** From so many tasks on the shape of their distribution begins to count, beside their mean and variance. */
const shapeTasks = 20;
/** Where a code's growth with its input is not known: standard deviation of the error, per unit of the logarithm of the input. */
const growthDoubt = 0.3;
/** Inputs below it are all about nothing. */
const inputLeastBytes = 1_024;

/** What the tasks of one code say of one quantity. */
export interface CodeQuantity {
  readonly category: string | undefined;
  readonly tasks: number;
  /** Undefined: the tasks do not tell. */
  readonly crossoverBytes: number | undefined;
  readonly isGrowthSeen: boolean;
  /** The geometric mean of the inputs. */
  readonly typicalBytes: number;
  /** Of the logarithm at the typical input. */
  readonly moments: RobustMoments;
}

export function pointsOf(sample: readonly ObservedTask[], { of, least }: Quantity): Points {
  const inputs: number[] = [];
  const logs: number[] = [];
  for (const task of sample) {
    const value = of(task);
    if (value === null || !Number.isFinite(value) || !Number.isFinite(task[0])) continue;
    inputs.push(Math.max(0, task[0]));
    logs.push(Math.log(Math.max(least, value)));
  }
  return { inputs, logs };
}

/** `groupCrossover` where the points do not tell their own. Undefined of no points. */
export function codeQuantity(
  { inputs, logs }: Points,
  category: string | undefined,
  { crossoverBytes, isSeen: isGrowthSeen }: SeenGrowth,
  groupCrossover: number,
): CodeQuantity | undefined {
  const tasks = inputs.length;
  if (tasks === 0) return undefined;
  const crossover = crossoverBytes ?? groupCrossover;
  const typicalBytes = Math.expm1(inputs.reduce((sum, input) => sum + Math.log1p(input), 0) / tasks);
  const typical = growthOf(crossover, typicalBytes);
  const moments = robustMoments(logs.map((log, index) => log - growthOf(crossover, inputs[index]!) + typical));
  return { category, tasks, crossoverBytes, isGrowthSeen, typicalBytes, moments };
}

/** What is known of a code before its own tasks are looked at: normal, as a logarithm. */
export interface Prior extends Estimate {
  readonly crossoverBytes: number;
  /** Of the tasks of one code around their mean. */
  readonly within: number;
  /** How much evidence the variances rest on: degrees of freedom. */
  readonly freedom: number;
}

export interface Estimated {
  readonly estimate: Omit<QuantityEstimate, 'growth'>;
  /** Of the mean: the part that the code's own tasks have, 0 to 1. */
  readonly ownShare: number;
}

/** How far an input is from another: the difference of their logarithms, small ones counted as equal. */
function inputsApart(typicalBytes: number, inputBytes: number): number {
  return growthOf(inputLeastBytes, inputBytes) - growthOf(inputLeastBytes, typicalBytes);
}

/** So near each other that growth makes no difference. */
export function areInputsAlike(typicalBytes: number, inputBytes: number): boolean {
  return Math.abs(inputsApart(typicalBytes, inputBytes)) < spreadLeast;
}

/**
 * The distribution of the next value at this input. The code's mean is drawn towards the prior's by what each is worth (empirical
 * Bayes: Efron and Morris 1975), its variance likewise (Smyth 2004), and the quantiles are those of Student's t, so that few tasks
 * give wide bands; of many tasks their own order statistics take over.
 */
export function estimate(prior: Prior, own: CodeQuantity | undefined, inputBytes: number, least: number): Estimated {
  const crossover = own?.crossoverBytes ?? prior.crossoverBytes;
  const growth = growthOf(crossover, inputBytes);
  const general = prior.mean + growthOf(prior.crossoverBytes, inputBytes);
  if (own === undefined) {
    const reach = studentQuantile90(prior.freedom) * Math.sqrt(prior.variance + prior.within);
    return { estimate: curve(general, general - reach, general + reach, crossover, inputBytes, least), ownShare: 0 };
  }
  const { moments, typicalBytes, tasks } = own;
  const grown = growth - growthOf(crossover, typicalBytes);
  const freedom = priorFreedom + tasks - 1;
  const within = (priorFreedom * prior.within + (tasks - 1) * moments.variance) / freedom;
  const apart = inputsApart(typicalBytes, inputBytes);
  const doubt = own.crossoverBytes === undefined ? (growthDoubt * apart) ** 2 : 0;
  const variance = within / tasks + doubt;
  const ownShare = prior.variance / (prior.variance + variance);
  const own50 = moments.mean + grown;
  const mean = ownShare * own50 + (1 - ownShare) * general;
  const reach = studentQuantile90(freedom) * Math.sqrt(within + ownShare * variance);
  const shape = Math.max(0, 1 - shapeTasks / tasks);
  const at = (normal: number, level: number) =>
    (1 - shape) * normal + shape * (mean + orderStatistic(moments.sorted, level) - moments.mean);
  const levels = [at(mean - reach, 0.1), at(mean, 0.5), at(mean + reach, 0.9)] as const;
  const [low, middle, high] = [...levels].sort((a, b) => a - b) as [number, number, number];
  return { estimate: curve(middle, low, high, crossover, inputBytes, least), ownShare };
}

function curve(
  middle: number,
  low: number,
  high: number,
  crossover: number,
  inputBytes: number,
  least: number,
): Estimated['estimate'] {
  const finite = (amount: number) => Math.min(Number.MAX_VALUE, amount);
  const value = (log: number) => Math.max(least, finite(Math.exp(log)));
  const perByte = Math.exp(middle - growthOf(crossover, inputBytes));
  return {
    q10: value(low),
    q50: value(middle),
    q90: value(high),
    fixed: finite(perByte * crossover),
    perByte: finite(perByte),
  };
}
