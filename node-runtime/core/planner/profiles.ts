import type { TaskPrediction, TaskPredictor, TaskQuestion } from '@foremesh/models';
import type { Quantiles } from '@foremesh/partitioner';
import {
  combinationsOf,
  limits,
  nearest,
  type Output,
  type PlanStage,
  type ProfileRow,
  type UnknownCategory,
} from '../../contract/index.ts';
import type { StagePlan } from '../job-plan.ts';
import type { LedgerJob, LedgerTask } from '../ledger.ts';
import { partsOf, stagePlanOf } from '../ledger-cuts.ts';
import { type LedgerProfile, profileKeyOf } from '../ledger-profiles.ts';
import type { PlannerState, TaskView } from './state.ts';

/** What of its engine's tasks a merge is, whatever its author says. */
const mergeCategory = 'merge';

/** A prediction, and that its author's word for the code is not known. */
export interface Prediction extends TaskPrediction {
  readonly unknownCategory?: UnknownCategory;
}

/**
 * Predict by the tasks that the log has, merges and others apart: what puts together says little of what computes. Made anew when it has more. No
 * profile is read by two predictors: each would work it out anew.
 */
function predictorsOf(state: PlannerState): NonNullable<PlannerState['predictor']> {
  const { ledger, policy } = state;
  const { learnedTasks: learned } = ledger;
  if (state.predictor?.ledger !== ledger || state.predictor.learned !== learned) {
    const profiles = [...ledger.profiles.values()];
    const predictParts = policy.predictTasks(profiles.filter(({ category }) => category !== mergeCategory));
    const byMerges = policy.predictTasks(profiles.filter(({ category }) => category === mergeCategory));
    const predictMerges: TaskPredictor = (question) => {
      const prediction = byMerges(question);
      // Before any has been seen.
      return prediction.basis === 'none' ? predictParts(question) : prediction;
    };
    state.predictor = { ledger, learned, predictParts, predictMerges };
  }
  return state.predictor;
}

/** What stages will put out, as far as it has been worked out for one question: many may need one. */
type Foreseen = Map<string, number>;

/**
 * What one task of a stage takes, its merge aside: seconds on a core of speed 1, bytes. Before its stage is cut, of a task that reads
 * all of the input, or the part that the author asks for.
 */
export function profileOf(
  state: PlannerState,
  job: LedgerJob,
  plan: StagePlan,
  foreseen: Foreseen = new Map(),
): Prediction {
  const readers = plan.split === undefined ? 1 : Math.max(1, partCountOf(job, plan));
  return profileOfInput(state, plan, inputBytesOf(state, job, plan, foreseen) / readers);
}

/** The same of one task that the log has: a part, or the merge. */
export function profileOfTask(
  state: PlannerState,
  job: LedgerJob,
  { stage, merges, range }: LedgerTask,
  foreseen: Foreseen = new Map(),
): Prediction {
  const plan = stagePlanOf(job, stage);
  if (!merges && range === undefined) return profileOf(state, job, plan, foreseen);
  if (range !== undefined) return profileOfInput(state, plan, range.end - range.start);
  const { engine, blob: code } = plan.merge!;
  const inputBytes = partsOutputBytes(state, job, plan, foreseen);
  return predictorsOf(state).predictMerges({ engine, code, category: mergeCategory, inputBytes });
}

/** Seconds on a core of speed 1. */
export type WorkSeconds = Quantiles;

/** An author's estimate is off by this factor, up or down, once in ten times each. */
const estimateOffBy = 2;
/** What a stage's tasks take is worked out anew after this time, not with every task that has finished meanwhile. */
const workKnownForMs = 1_000;
/** Inputs within a fifth of each other count as equal: steps of the logarithm by base 2. */
const inputSteps = 4;

/** What one task takes, and whom that is believed of. */
export interface BelievedWork {
  readonly workSeconds: WorkSeconds;
  readonly basis: PlanStage['basis'];
}

/**
 * The one order in which it is believed what a task takes: tasks of its code that have finished, those of its own job among them; then its author,
 * who knows the code better than any mean over the code of others; then tasks of its category; then any. Undefined: nobody knows.
 */
export function believedWork(
  { workSeconds, basis }: Pick<TaskPrediction, 'workSeconds' | 'basis'>,
  byAuthor: WorkSeconds | undefined,
): BelievedWork | undefined {
  if (workSeconds !== undefined && (basis === 'own' || byAuthor === undefined)) return { workSeconds, basis };
  return byAuthor && { workSeconds: byAuthor, basis: 'author' };
}

/** What a task takes, by whom that is believed. What any other code took is not worth to be planned with. Equal tasks get the very same answer, for a while. */
export function workSecondsOf(state: PlannerState, { job: { key }, stage, ledger }: TaskView): WorkSeconds | undefined {
  if (stage.work === undefined || state.nowMs - stage.work.atMs >= workKnownForMs)
    stage.work = { atMs: state.nowMs, byInput: new Map() };
  const { byInput } = stage.work;
  const { range, merges } = ledger;
  const bucket = range === undefined ? 0 : Math.round(Math.log2(1 + range.end - range.start) * inputSteps);
  const input = merges ? -1 : bucket;
  if (byInput.has(input)) return byInput.get(input);
  const job = state.ledger.jobs.get(key)!;
  const believed = believedWork(profileOfTask(state, job, ledger), workByEstimate(job, ledger));
  const work = believed?.basis === 'all' ? undefined : believed?.workSeconds;
  byInput.set(input, work);
  return work;
}

/** By its author's estimate, what a task takes: as much of that as it reads of the input of its stage. Nobody has estimated merges. */
export function workByEstimate(
  job: LedgerJob,
  { stage, merges, range }: Pick<LedgerTask, 'stage' | 'merges' | 'range'>,
): WorkSeconds | undefined {
  const plan = stagePlanOf(job, stage);
  if (plan.estimateSeconds === undefined || merges) return undefined;
  const { source } = job.stages.get(stage)!;
  const share =
    range === undefined || source === undefined
      ? 1 / Math.max(1, partCountOf(job, plan))
      : (range.end - range.start) / Math.max(1, source.sizeBytes);
  return bySaid(plan.estimateSeconds * share);
}

/** As an author means it who has said so many seconds. */
export function bySaid(seconds: number): WorkSeconds {
  return { q10: seconds / estimateOffBy, q50: seconds, q90: seconds * estimateOffBy };
}

/** What one task of a stage takes that reads so much of its input. */
export function profileOfInput(state: PlannerState, { code, profile }: StagePlan, inputBytes: number): Prediction {
  const unknownCategory = profile === undefined ? undefined : unknownCategoryOf(state, code, profile);
  const category = unknownCategory?.startsFrom ?? profile;
  const { predictParts, predictMerges } = predictorsOf(state);
  // Code that has only merged so far is known by that.
  const isMerge = state.ledger.profiles.get(profileKeyOf(code))?.category === mergeCategory;
  const prediction = (isMerge ? predictMerges : predictParts)({
    ...{ engine: code.engine, code: code.blob, inputBytes },
    ...(category === undefined ? {} : { category }),
  });
  // Code that is known by its own tasks may well be the only one of its category.
  return unknownCategory === undefined || prediction.basis === 'own' ? prediction : { ...prediction, unknownCategory };
}

/** Undefined where other code of the engine has that category, or none has any: then the word tells as much as another. */
function unknownCategoryOf(state: PlannerState, code: StagePlan['code'], name: string): UnknownCategory | undefined {
  const known = new Set<string>();
  for (const profile of state.ledger.profiles.values()) {
    const { category, engine } = profile;
    if (category === undefined || engine !== code.engine || profile.code === code.blob) continue;
    if (category === name) return undefined;
    if (category !== mergeCategory) known.add(category);
  }
  if (known.size === 0) return undefined;
  const startsFrom = nearest(name, known);
  return {
    name,
    ...(startsFrom === undefined ? {} : { startsFrom }),
    known: [...known].sort().slice(0, limits.whyNames),
  };
}

/** What all tasks of a stage read together; of stages that are not done, what their outputs will probably be. */
function inputBytesOf(state: PlannerState, job: LedgerJob, plan: StagePlan, foreseen: Foreseen): number {
  const source = job.stages.get(plan.stage)!.source ?? plan.input;
  if (source !== undefined) return source.sizeBytes;
  return plan.needs.reduce((sum, need) => sum + outputBytesOf(state, job, stagePlanOf(job, need), foreseen), 0);
}

function outputBytesOf(state: PlannerState, job: LedgerJob, plan: StagePlan, foreseen: Foreseen): number {
  const known = foreseen.get(plan.stage);
  if (known !== undefined) return known;
  const merge = job.stages.get(plan.stage)!.tasks.find(({ merges }) => merges);
  const bytes =
    merge === undefined
      ? partsOutputBytes(state, job, plan, foreseen)
      : merge.output === undefined
        ? (profileOfTask(state, job, merge, foreseen).outputBytes?.q50 ?? 0)
        : sizeOf(merge.output);
  foreseen.set(plan.stage, bytes);
  return bytes;
}

function partsOutputBytes(state: PlannerState, job: LedgerJob, plan: StagePlan, foreseen: Foreseen): number {
  const outputs = partsOf(job.stages.get(plan.stage)!).flatMap(({ output }) => output ?? []);
  const bytes = outputs.reduce((sum, output) => sum + sizeOf(output), 0);
  const open = partCountOf(job, plan) - outputs.length;
  return open === 0 ? bytes : bytes + open * (profileOf(state, job, plan, foreseen).outputBytes?.q50 ?? 0);
}

/** Tasks that it is, or will be, cut into: as many for what is in none yet as for as much of what is. */
function partCountOf(job: LedgerJob, { stage: name, split, matrix }: StagePlan): number {
  const stage = job.stages.get(name)!;
  if (stage.cut) {
    const cut = partsOf(stage).length;
    return stage.rest === undefined ? cut : Math.ceil((cut * stage.rest.totalRecords) / stage.rest.firstRecord);
  }
  return split?.chunks ?? (matrix === undefined ? 1 : combinationsOf(matrix));
}

function sizeOf(output: Output): number {
  return 'blob' in output ? output.sizeBytes : output.inline.length;
}

/** An input of which everybody can imagine the size: for rows that are of no code. */
const exampleBytes = 1024 ** 2;

/**
 * What tasks take: of the account's code, the one that was seen last first; then of other code of each category that is known, and of
 * any other. `name` is the beginning of a code's name, a stage or a category.
 */
export function profileRowsOf(state: PlannerState, account: string, name?: string): ProfileRow[] {
  const { predictParts, predictMerges } = predictorsOf(state);
  const ask = (question: TaskQuestion) =>
    (question.category === mergeCategory ? predictMerges : predictParts)(question);
  const profiles = [...state.ledger.profiles.values()].reverse();
  const rows: ProfileRow[] = [];
  const kinds = new Map<string, Pick<ProfileRow, 'engine'> & { readonly category?: string }>();
  for (const profile of profiles) {
    const { engine, code, stage, sample } = profile;
    const category = profile.category === undefined ? {} : { category: profile.category };
    // In the order of the rows: `~` comes after every category.
    kinds.set(`${engine} ${profile.category ?? '~'}`, { engine, ...category }).set(`${engine} ~`, { engine });
    if (profile.account !== account || !isNamed(profile, name)) continue;
    const inputBytes = Math.expm1(sample.reduce((sum, [input]) => sum + Math.log1p(input), 0) / sample.length);
    const estimate = ask({ engine, code, ...category, inputBytes });
    rows.push({ engine, code, ...category, stage, inputBytes, estimate });
  }
  for (const key of [...kinds.keys()].sort()) {
    const kind = kinds.get(key)!;
    if (name !== undefined && kind.category !== name) continue;
    rows.push({ ...kind, inputBytes: exampleBytes, estimate: ask({ ...kind, code: '', inputBytes: exampleBytes }) });
  }
  return rows;
}

function isNamed({ code, stage, category }: LedgerProfile, name: string | undefined): boolean {
  if (name === undefined || stage === name || category === name) return true;
  return code.startsWith(name) || code.startsWith(`sha256-${name}`);
}
