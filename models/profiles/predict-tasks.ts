import type { CodeProfile, Growth, ProfileBasis, TaskPrediction, TaskQuestion } from './code-profile.ts';
import { defaultCrossoverBytes, growthOf, type Points, type SeenGrowth, seeGrowth } from './input-growth.ts';
import {
  areInputsAlike,
  type CodeQuantity,
  codeQuantity,
  estimate,
  type Prior,
  pointsOf,
  priorFreedom,
  type QuantityName,
  quantities,
} from './quantity.ts';
import { type Estimate, poolMeans } from './statistics.ts';

/** Answers from profiles as they were when it was made. */
export type TaskPredictor = (question: TaskQuestion) => TaskPrediction;

/** What one code's tasks say of one quantity. */
interface Read {
  readonly points: Points;
  readonly growth: SeenGrowth;
  /** By the crossover of all codes as it was when this was last asked. */
  latest?: { readonly groupCrossover: number; readonly quantity: CodeQuantity | undefined };
}

/** A code counts into the variance of tasks around their code's mean at most like so many tasks. */
const freedomMost = 16;

const names = Object.keys(quantities) as QuantityName[];
/** Reading a profile costs more than all else: kept until the profile has seen more tasks. */
const known = new WeakMap<CodeProfile, { readonly tasks: number; readonly reads: Record<QuantityName, Read> }>();

/**
 * Predicts tasks from what finished ones took. A code is drawn towards the codes of its category as far as its own tasks are few,
 * and the categories of an engine towards each other: the variances between codes and between categories are estimated from all of
 * them (method of moments), each moderated by what is taken for granted. Engines have nothing in common.
 */
export function predictTasks(profiles: Iterable<CodeProfile>): TaskPredictor {
  const byEngine = new Map<string, CodeProfile[]>();
  for (const profile of profiles) {
    const those = byEngine.get(profile.engine);
    if (those === undefined) byEngine.set(profile.engine, [profile]);
    else those.push(profile);
  }
  const engines = new Map<string, Engine>();
  return (question) => {
    let engine = engines.get(question.engine);
    if (engine === undefined) {
      engine = new Engine(byEngine.get(question.engine) ?? []);
      engines.set(question.engine, engine);
    }
    return engine.predict(question);
  };
}

class Engine {
  readonly #profiles: ReadonlyMap<string, CodeProfile>;
  readonly #codesOfCategory = new Map<string, number>();
  readonly #groups: Record<QuantityName, Group>;

  constructor(profiles: readonly CodeProfile[]) {
    this.#profiles = new Map(profiles.map((profile) => [profile.code, profile]));
    for (const { category } of profiles)
      if (category !== undefined) this.#codesOfCategory.set(category, (this.#codesOfCategory.get(category) ?? 0) + 1);
    this.#groups = Object.fromEntries(names.map((name) => [name, new Group(name, profiles)])) as never;
  }

  predict({ code, category, inputBytes }: TaskQuestion): TaskPrediction {
    const own = this.#profiles.get(code);
    const kind = category ?? own?.category;
    const isCounted = own !== undefined && own.category === kind;
    const evidence = {
      tasks: own?.tasks ?? 0,
      categoryCodes: kind === undefined ? 0 : (this.#codesOfCategory.get(kind) ?? 0) - (isCounted ? 1 : 0),
      codes: this.#profiles.size - (own === undefined ? 0 : 1),
    };
    const answers: Partial<Record<QuantityName, ReturnType<Group['estimate']>>> = {};
    for (const name of names) answers[name] = this.#groups[name].estimate(code, kind, Math.max(0, inputBytes));
    const { workSeconds, peakMemoryBytes, outputBytes } = answers;
    return {
      ...(workSeconds === undefined ? {} : { workSeconds: workSeconds.estimate }),
      ...(peakMemoryBytes === undefined ? {} : { peakMemoryBytes: peakMemoryBytes.estimate }),
      ...(outputBytes === undefined ? {} : { outputBytes: outputBytes.estimate }),
      basis: basisBy((workSeconds ?? peakMemoryBytes ?? outputBytes)?.basis ?? 'none', evidence),
      evidence,
    };
  }
}

/** Where there are no others, the code is known by its own tasks, however far it is asked beyond them. */
function basisBy(basis: ProfileBasis, { tasks, categoryCodes, codes }: TaskPrediction['evidence']): ProfileBasis {
  const others = basis === 'category' ? categoryCodes : codes;
  return basis !== 'none' && tasks > 0 && others === 0 ? 'own' : basis;
}

/** One quantity over all codes of an engine. */
class Group {
  readonly #least: number;
  readonly #codes = new Map<string, CodeQuantity>();
  readonly #crossoverBytes: number;
  readonly #isGrowthSeen: boolean;
  readonly #within: number;
  readonly #freedom: number;
  readonly #ofCategory = new Map<string, Estimate>();
  readonly #ofAll: Estimate;

  constructor(name: QuantityName, profiles: readonly CodeProfile[]) {
    const { least, within, between } = quantities[name];
    this.#least = least;
    const reads = profiles.map((profile) => ({ profile, read: readOf(profile)[name] }));
    const crossovers = reads.flatMap(({ read }) => read.growth.crossoverBytes ?? []).sort((a, b) => a - b);
    this.#crossoverBytes = crossovers[Math.floor(crossovers.length / 2)] ?? defaultCrossoverBytes;
    this.#isGrowthSeen = reads.some(({ read }) => read.growth.isSeen);
    for (const { profile, read } of reads) {
      const quantity = quantityOf(profile, read, this.#crossoverBytes);
      if (quantity !== undefined) this.#codes.set(profile.code, quantity);
    }
    const codes = [...this.#codes.values()];
    const spread = moderated(
      within ** 2,
      codes.map(({ moments, tasks }) => ({ variance: moments.variance, freedom: Math.min(freedomMost, tasks - 1) })),
    );
    this.#within = spread.variance;
    const levels = codes.map((code) => this.#levelOf(code));
    const byCategory = groupBy(codes, levels);
    const codesApart = moderated(
      between ** 2,
      [...byCategory.values()].map((those) => varianceBetween(those)),
    );
    for (const [category, those] of byCategory) this.#ofCategory.set(category, poolMeans(those, codesApart.variance));
    const means = [...this.#ofCategory.values()];
    const categoriesApart = moderated((between / 2) ** 2, [varianceBetween(means)]);
    this.#ofAll =
      means.length === 0 ? { mean: 0, variance: Number.POSITIVE_INFINITY } : poolMeans(means, categoriesApart.variance);
    // A category is drawn towards all others; then what a code may be away from its category comes on top.
    for (const [category, { mean, variance }] of this.#ofCategory) {
      const share = categoriesApart.variance / (categoriesApart.variance + variance);
      this.#ofCategory.set(category, {
        mean: share * mean + (1 - share) * this.#ofAll.mean,
        variance: share * variance + codesApart.variance,
      });
    }
    this.#ofAll = {
      mean: this.#ofAll.mean,
      variance: this.#ofAll.variance + categoriesApart.variance + codesApart.variance,
    };
    this.#freedom = codesApart.freedom;
  }

  #levelOf({ moments, typicalBytes, tasks }: CodeQuantity): Estimate {
    return { mean: moments.mean - growthOf(this.#crossoverBytes, typicalBytes), variance: this.#within / tasks };
  }

  estimate(code: string, category: string | undefined, inputBytes: number) {
    if (this.#codes.size === 0) return undefined;
    const ofCategory = category === undefined ? undefined : this.#ofCategory.get(category);
    const prior: Prior = {
      ...(ofCategory ?? this.#ofAll),
      crossoverBytes: this.#crossoverBytes,
      within: this.#within,
      freedom: this.#freedom,
    };
    const own = this.#codes.get(code);
    const { estimate: found, ownShare } = estimate(prior, own, inputBytes, this.#least);
    const basis: ProfileBasis = ownShare >= 0.5 ? 'own' : ofCategory === undefined ? 'all' : 'category';
    const growth = this.#growthAt(inputBytes, own, ofCategory === undefined ? undefined : category);
    return { estimate: { ...found, growth }, basis };
  }

  /** By the code's own tasks, or, of one without any, by those of its category, or of all. */
  #growthAt(inputBytes: number, own: CodeQuantity | undefined, category: string | undefined): Growth {
    if (own?.isGrowthSeen ?? this.#isGrowthSeen) return 'seen';
    const isAlike = (code: CodeQuantity) => category === undefined || code.category === category;
    const asked = own === undefined ? [...this.#codes.values()].filter(isAlike) : [own];
    return asked.some(({ typicalBytes }) => areInputsAlike(typicalBytes, inputBytes)) ? 'near' : 'guessed';
  }
}

function readOf(profile: CodeProfile): Record<QuantityName, Read> {
  const before = known.get(profile);
  if (before?.tasks === profile.tasks) return before.reads;
  const reads = Object.fromEntries(
    names.map((name) => {
      const points = pointsOf(profile.sample, quantities[name]);
      return [name, { points, growth: seeGrowth(points) }];
    }),
  ) as Record<QuantityName, Read>;
  known.set(profile, { tasks: profile.tasks, reads });
  return reads;
}

function quantityOf({ category }: CodeProfile, read: Read, groupCrossover: number): CodeQuantity | undefined {
  if (read.latest?.groupCrossover !== groupCrossover) {
    const quantity = codeQuantity(read.points, category, read.growth, groupCrossover);
    read.latest = { groupCrossover, quantity };
  }
  return read.latest.quantity;
}

function groupBy(codes: readonly CodeQuantity[], levels: readonly Estimate[]): Map<string, Estimate[]> {
  const groups = new Map<string, Estimate[]>();
  for (const [index, { category = '' }] of codes.entries()) {
    const those = groups.get(category);
    if (those === undefined) groups.set(category, [levels[index]!]);
    else those.push(levels[index]!);
  }
  return groups;
}

interface Variance {
  readonly variance: number;
  readonly freedom: number;
}

/** How far true values lie apart, of which there are noisy ones: what they vary less what their noise explains. */
function varianceBetween(estimates: readonly Estimate[]): Variance {
  const count = estimates.length;
  if (count < 2) return { variance: 0, freedom: 0 };
  const mean = estimates.reduce((sum, each) => sum + each.mean, 0) / count;
  const spread = estimates.reduce((sum, each) => sum + (each.mean - mean) ** 2, 0) / (count - 1);
  const noise = estimates.reduce((sum, each) => sum + each.variance, 0) / count;
  return { variance: Math.max(0, spread - noise), freedom: count - 1 };
}

/** The mean of variances by their degrees of freedom, with what is taken for granted. */
function moderated(before: number, variances: readonly Variance[]): Variance {
  let sum = priorFreedom * before;
  let freedom = priorFreedom;
  for (const each of variances) {
    sum += each.freedom * each.variance;
    freedom += each.freedom;
  }
  return { variance: sum / freedom, freedom };
}
