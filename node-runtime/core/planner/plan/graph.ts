import type { GraphEdge, PlanKind, PlanTask } from '@foremesh/partitioner';
import { limits, type PlanStage } from '../../../contract/index.ts';
import { jobKeyOf, type StagePlan } from '../../job-plan.ts';
import { type LedgerJob, type LedgerStage, type LedgerTask, stageOutput, wishedConfidence } from '../../ledger.ts';
import { isWhole, mergeName, partName, partsNamed, partsOf } from '../../ledger-cuts.ts';
import { isCutAsItRuns } from '../chunks.ts';
import { sureShareOf } from '../pace.ts';
import type { NodeView, PlannerState, TaskView } from '../state.ts';
import { partsExpected, type Work, withExpectedChunks, workOfTask } from './work.ts';

/** Where more pairs of tasks than that would be joined, the later ones wait for the last of the earlier, and what they read is not counted. */
const pairsMost = 4_096;

/** A stage of the job, and what of it is still to be done. */
export interface StageGraph {
  readonly plan: StagePlan;
  /** Whether it is known how many. */
  readonly isExact: boolean;
  /** Parts that are still to be done. */
  readonly open: number;
  readonly merges: boolean;
  /** How sure its pieces are to be, where they are cut as it runs, and which share of what nodes do in the middle that leaves. */
  readonly sizedFor?: PlanStage['sizedFor'];
  /** Of one part, or, when they are done, of the merge; undefined: nobody knows. */
  readonly work: Work | undefined;
  /** Indexes into `tasks`; those of its parts, then that of its merge. */
  readonly tasks: readonly number[];
}

export interface JobGraph {
  readonly stages: readonly StageGraph[];
  readonly kinds: readonly PlanKind[];
  readonly tasks: readonly PlanTask[];
  readonly edges: readonly GraphEdge[];
  /** Of each task, how many it stands for. */
  readonly stands: readonly number[];
}

/** A task, and the bytes that it gives to those that read it. */
interface Given {
  readonly task: string;
  readonly bytes: number;
}

/** Whether a node may run a part, or the merge, of a stage. */
export type MayRun = (node: NodeView, plan: StagePlan, merges: boolean) => boolean;

/**
 * What of a job is still to be done, as tasks and what they read of each other: the parts of each stage, as it is cut or will probably be,
 * then its merge. Stages of which nobody knows what they take have no tasks, and neither has any that needs one of them.
 */
export function graphOf(state: PlannerState, job: LedgerJob, views: readonly NodeView[], mayRun: MayRun): JobGraph {
  const expected = withExpectedChunks(state, job);
  const view = state.jobs.get(jobKeyOf(job.account, job.job));
  const confidence = wishedConfidence(job);
  const stages: StageGraph[] = [];
  const kinds: PlanKind[] = [];
  const tasks: PlanTask[] = [];
  const edges: GraphEdge[] = [];
  const stands: number[] = [];
  /** What the stages that follow read: the last tasks of each stage, with the bytes that each gives. */
  const ends = new Map<string, readonly Given[]>();
  const perStage = Math.max(
    16,
    Math.min(limits.planTasksPerStage, Math.floor(limits.planTasks / expected.plan.stages.length)),
  );

  const kindOf = (plan: StagePlan, merges: boolean, work: Work): number => {
    const { engine } = merges ? plan.merge! : plan.code;
    const speeds = views.map((node) => (mayRun(node, plan, merges) ? (node.status.speed[engine] ?? 1) : 0));
    kinds.push({ speeds, sharedVariance: work.sharedVariance });
    return kinds.length - 1;
  };
  const join = (before: readonly Given[], after: readonly string[], share: number) => {
    const isCounted = before.length * after.length <= pairsMost;
    const from = isCounted ? before : before.slice(-Math.max(1, Math.floor(pairsMost / after.length)));
    for (const { task, bytes } of from)
      for (const to of after) edges.push({ from: task, to, sizeBytes: isCounted ? bytes * share : 0 });
  };

  for (const plan of expected.plan.stages) {
    const ledger = job.stages.get(plan.stage)!;
    if (ledger.done) continue;
    const merges = plan.merge !== undefined;
    const parts = partsOf(ledger);
    if (!isWhole(ledger)) {
      const more = Math.max(1, partsExpected(state, job, plan.stage) - parts.length);
      const first = partsNamed(ledger);
      for (let part = 0; part < more; part += 1)
        parts.push({ ...pseudoTask(plan, partName(plan.stage, first + part)), ...shareOfRest(ledger, more) });
    }
    const open = parts.filter(({ committed }) => committed === undefined);
    const merge = merges
      ? (ledger.tasks.find((task) => task.merges) ?? pseudoTask(plan, mergeName(plan.stage), true))
      : undefined;
    const isReady = plan.needs.every((need) => job.stages.get(need)!.done || ends.has(need));
    const workOf = worksOf(state, expected);
    const work = open[0] === undefined ? undefined : workOf(open[0]);
    const mergeWork = merge === undefined ? undefined : workOfTask(state, expected, merge);
    const own: number[] = [];
    const said = job.plan.stages.find(({ stage }) => stage === plan.stage)!;
    const isExact =
      isWhole(ledger) || said.split === undefined || said.split.chunks !== undefined || said.split.by === 'bytes';
    const isSized = confidence !== undefined && !isWhole(ledger) && isCutAsItRuns(said);
    stages.push({
      ...{ plan, isExact, open: open.length, merges, work: open.length > 0 ? work : mergeWork, tasks: own },
      ...(isSized ? { sizedFor: { confidence, share: sureShareOf(state, confidence) } } : {}),
    });
    if (!isReady || (open.length > 0 && work === undefined) || (merge !== undefined && mergeWork === undefined))
      continue;

    const add = (task: PlanTask, many: number) => {
      own.push(tasks.length);
      tasks.push(task);
      stands.push(many);
    };
    const read = plan.needs.filter((need) => ends.has(need)).flatMap((need) => ends.get(need)!);
    const doneBytes = plan.needs.length > 0 ? bytesOfDone(job, plan) : (plan.input?.sizeBytes ?? 0);
    const share = plan.split === undefined ? 1 : 1 / Math.max(1, parts.length);
    let last: Given[] = [];
    if (open.length > 0) {
      const kind = kindOf(plan, false, work!);
      const each = Math.ceil(open.length / perStage);
      for (let at = 0; at < open.length; at += each) {
        const members = open.slice(at, at + each);
        const { task } = members[0]!;
        // Pieces of a stage may differ in size: the first and the last are small.
        const theirs = workOf(members[0]!) ?? work!;
        const runs = each === 1 ? runningOn(state, view?.tasks.get(task), views, kinds[kind]!) : undefined;
        add(
          {
            task,
            kind,
            workSeconds: scaled(theirs, runs?.share ?? members.length),
            inputBytes: runs === undefined ? doneBytes * share * members.length : 0,
            ...(runs === undefined ? {} : { runsOn: runs.node }),
          },
          members.length,
        );
        last.push({ task, bytes: theirs.outputBytes * members.length });
      }
      join(
        read,
        last.map(({ task }) => task),
        share,
      );
    }
    if (merge !== undefined) {
      const kind = kindOf(plan, true, mergeWork!);
      const runs = runningOn(state, view?.tasks.get(merge.task), views, kinds[kind]!);
      const workSeconds = scaled(mergeWork!, runs?.share ?? 1);
      const inputBytes = (parts.length - open.length) * (work?.outputBytes ?? 0);
      add({ task: merge.task, kind, workSeconds, inputBytes, ...(runs === undefined ? {} : { runsOn: runs.node }) }, 1);
      if (last.length > 0) join(last, [merge.task], 1);
      else join(read, [merge.task], 0); // a stage that turned out to have no part
      last = [{ task: merge.task, bytes: mergeWork!.outputBytes }];
    }
    ends.set(plan.stage, last);
  }
  return { stages, kinds, tasks, edges, stands };
}

/** What tasks of a stage take; those that read about as much take the same. */
function worksOf(state: PlannerState, job: LedgerJob): (task: LedgerTask) => Work | undefined {
  const known = new Map<number, Work | undefined>();
  return (task) => {
    const size =
      task.range === undefined ? -1 : Math.round(Math.log2(1 + task.range.end - task.range.start) * sizesPerDoubling);
    if (!known.has(size)) known.set(size, workOfTask(state, job, task));
    return known.get(size);
  };
}
const sizesPerDoubling = 8;

/** What the log does not have yet. */
function pseudoTask({ stage }: StagePlan, task: string, merges = false): LedgerTask {
  return { task, stage, merges, failures: [] };
}

/** The records that are in no task yet, shared out evenly among so many; before anything is cut nobody knows how many there are. */
function shareOfRest({ rest, source }: LedgerStage, parts: number): Pick<LedgerTask, 'range'> {
  if (rest === undefined || source === undefined) return {};
  const { start, firstRecord, totalRecords } = rest;
  const bytes = Math.max(0, source.sizeBytes - start) / parts;
  const records = Math.ceil((totalRecords - firstRecord) / parts);
  return { range: { start, end: start + Math.ceil(bytes), firstRecord, records } };
}

function scaled({ workSeconds: { q10, q50, q90 } }: Work, factor: number) {
  return { q10: q10 * factor, q50: q50 * factor, q90: q90 * factor };
}

/** What stages that are done have given to this one. */
function bytesOfDone(job: LedgerJob, { needs }: StagePlan): number {
  let bytes = 0;
  for (const need of needs) {
    if (!job.stages.get(need)!.done) continue;
    for (const output of [stageOutput(job, need)].flat())
      bytes += 'blob' in output ? output.sizeBytes : output.inline.length;
  }
  return bytes;
}

/** Where a task runs, and the share of it that is left. */
function runningOn(
  state: PlannerState,
  task: TaskView | undefined,
  views: readonly NodeView[],
  { speeds }: PlanKind,
): { readonly node: number; readonly share: number } | undefined {
  const attempt = [...(task?.attempts ?? [])].find(({ startedMs }) => startedMs !== undefined);
  if (task === undefined || attempt === undefined) return undefined;
  const node = views.findIndex(({ status }) => status.node === attempt.node);
  if (node < 0 || speeds[node] === 0) return undefined;
  if (attempt.progress > 0) return { node, share: 1 - attempt.progress };
  const { expected } = attempt;
  const wholeMs =
    expected === undefined ? task.stage.meanWallMs : (expected.finish.q50 - expected.startSeconds) * 1_000;
  // One that takes longer than was expected is as far from its end as it is late: nobody knows better.
  const left = wholeMs === undefined ? 1 : Math.abs(1 - (state.nowMs - attempt.startedMs!) / wholeMs);
  return { node, share: Math.max(leftLeast, left) };
}

/** What is left of a task that runs, at least, as a share of the whole. */
const leftLeast = 0.1;

/** As a client sees it. */
export function stageRowOf({ plan, isExact, open, merges, sizedFor, work }: StageGraph): PlanStage {
  const { stage, needs } = plan;
  return {
    stage,
    needs: [...needs],
    tasks: open,
    isExact,
    merges,
    basis: work?.basis ?? 'none',
    ...(work === undefined || work.basis === 'author' ? {} : { evidence: work.evidence }),
    ...(work?.growth === undefined || work.basis === 'author' ? {} : { growth: work.growth }),
    ...(work?.unknownCategory === undefined ? {} : { unknownCategory: work.unknownCategory }),
    ...(sizedFor === undefined ? {} : { sizedFor }),
    ...(work === undefined ? {} : { workSeconds: pick(work.workSeconds) }),
  };
}

/** An estimate has more in it than is asked for. */
function pick({ q10, q50, q90 }: Work['workSeconds']) {
  return { q10, q50, q90 };
}
