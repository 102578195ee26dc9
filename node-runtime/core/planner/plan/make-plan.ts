import type { PlanNode, PlannedJob } from '@foremesh/partitioner';
import {
  type FinishTimes,
  limits,
  type PlanAlgorithm,
  type PlanAnswer,
  type PlanStage,
  type PlanTaskRow,
  type Problem,
} from '../../../contract/index.ts';
import type { StagePlan } from '../../job-plan.ts';
import { deadlineOf, type LedgerJob, wishedConfidence } from '../../ledger.ts';
import { weightsOf } from '../ahead.ts';
import { fitsNoNode, lackOf, lackText } from '../no-room.ts';
import type { NodeView, PlannerState } from '../state.ts';
import { secondsText } from '../why.ts';
import { graphOf, type JobGraph, type StageGraph, stageRowOf } from './graph.ts';
import { nodesToPlan, planNodesOf } from './nodes.ts';

export interface PlanOptions {
  readonly algorithm?: PlanAlgorithm;
  /** Plans that the search tries: few are enough for a promise. */
  readonly evaluations?: number;
}

/** A plan of what is left of a job, and what it was made of. */
export interface JobOutlook {
  readonly graph: JobGraph;
  readonly nodes: readonly PlanNode[];
  /** Why stages cannot be planned, by stage; when there is one, nothing is planned. */
  readonly problems: ReadonlyMap<string, Problem>;
  readonly planned?: PlannedJob;
}

/** Plans what is left of a job, by what is known of its code and of the nodes: pure, whoever asks. */
export function outlookOf(state: PlannerState, job: LedgerJob, options: PlanOptions = {}): JobOutlook {
  const views = nodesToPlan(state);
  const graph = graphOf(state, job, views, (node, plan, merges) => isAble(state, job, node, plan, merges));
  const { kinds, tasks, edges } = graph;
  const ownSeconds = tasks.reduce((sum, { workSeconds }) => sum + workSeconds.q50, 0);
  const nodes = planNodesOf(state, job, views, ownSeconds);
  const problems = new Map<string, Problem>();
  for (const stage of graph.stages) {
    const problem = stageProblem(state, job, views, stage);
    if (problem !== undefined) problems.set(stage.plan.stage, problem);
  }
  if (problems.size > 0) return { graph, nodes, problems };
  const planned = state.policy.plan({
    kinds,
    tasks,
    edges,
    nodes,
    weights: weightsOf(state, job),
    confidence: wishedConfidence(job) ?? 0.5,
    lossSeconds: state.config.nodeSilenceMs / 1_000,
    ...options,
  });
  return { graph, nodes, problems, planned };
}

export function confidenceOf(job: LedgerJob): number {
  return wishedConfidence(job) ?? limits.confidenceDefault;
}

/** The answer to `plan`. */
export function planAnswerOf(state: PlannerState, job: LedgerJob, options: PlanOptions = {}): PlanAnswer {
  const { graph, nodes, problems, planned } = outlookOf(state, job, options);
  const rows = planned === undefined ? [] : taskRowsOf(graph, nodes, planned);
  const stages = graph.stages.map((stage) => withTimes(stageRowOf(stage), rows, problems));
  const dueMs = deadlineOf(job);
  const deadline = dueMs === undefined ? undefined : Math.max(0, Math.round(dueMs - state.wallMs));
  const late = planned === undefined || deadline === undefined ? undefined : deadlineProblem(job, planned, deadline);
  return {
    stages,
    nodes: nodes.slice(0, limits.queryRows).map(({ node, freeSeconds }) => ({
      ...{ node, slots: freeSeconds.length },
      tasks: rows.reduce((sum, row) => sum + (row.node === node ? (row.stands ?? 1) : 0), 0),
    })),
    algorithm: planned?.algorithm ?? options.algorithm ?? 'default',
    ...(planned === undefined
      ? {}
      : { finish: finishTimesOf(planned), ...costOf(planned), ...promiseOf(job, planned) }),
    ...(planned === undefined || deadline === undefined
      ? {}
      : {
          deadline: {
            ...{ withinMs: deadline, confidence: confidenceOf(job) },
            probability: planned.probabilityBy(deadline / 1_000),
          },
        }),
    problems: [...problems.values(), ...(late === undefined ? [] : [late])],
    tasks: rows,
    truncated: 0,
  };
}

function promiseOf(job: LedgerJob, planned: PlannedJob): Pick<PlanAnswer, 'promise'> {
  const confidence = confidenceOf(job);
  const withinMs = millisecondsOf(planned.finishQuantile(confidence));
  return withinMs === undefined ? {} : { promise: { withinMs, confidence } };
}

/** That it will probably not be met, and what is the best there is; undefined: it will, as sure as was asked for. */
export function deadlineProblem(job: LedgerJob, planned: PlannedJob, withinMs: number): Problem | undefined {
  const confidence = confidenceOf(job);
  const probability = planned.probabilityBy(withinMs / 1_000);
  const [even, sure] = [0.5, confidence].map((share) => millisecondsOf(planned.finishQuantile(share)));
  if (probability >= confidence || (sure !== undefined && sure <= withinMs)) return undefined;
  const percent = (share: number) => `${Math.floor(100 * share)} %`;
  const when = (ms: number | undefined) =>
    ms === undefined ? 'later than is foreseen' : `in ${secondsText(ms / 1_000)}`;
  return {
    code: 'MESH_DEADLINE_UNLIKELY',
    message: `the deadline in ${secondsText(withinMs / 1_000)} is met with ${percent(probability)}, asked for were ${percent(confidence)}; as things are it is done ${when(even)} (50 %), ${when(sure)} (${percent(confidence)})`,
    mend: 'allow more time, give it a higher `priority`, or start more nodes; it runs all the same',
  };
}

export function finishTimesOf(planned: PlannedJob): FinishTimes {
  const [q10Ms, q50Ms, q90Ms] = [0.1, 0.5, 0.9].map((share) => millisecondsOf(planned.finishQuantile(share)));
  return {
    ...(q10Ms === undefined ? {} : { q10Ms }),
    ...(q50Ms === undefined ? {} : { q50Ms }),
    ...(q90Ms === undefined ? {} : { q90Ms }),
  };
}

function costOf({ cost: { total: _, ...terms } }: PlannedJob): Pick<PlanAnswer, 'cost'> {
  return Object.values(terms).every(Number.isFinite) ? { cost: terms } : {};
}

/** Undefined for what lies beyond all that is foreseen. */
export function millisecondsOf(seconds: number): number | undefined {
  return Number.isFinite(seconds) ? Math.min(Number.MAX_SAFE_INTEGER, Math.round(seconds * 1_000)) : undefined;
}

function taskRowsOf({ stages, stands }: JobGraph, nodes: readonly PlanNode[], { tasks }: PlannedJob): PlanTaskRow[] {
  const rows: PlanTaskRow[] = [];
  for (const { plan, tasks: own } of stages) {
    for (const index of own) {
      const { task, node, slot, startSeconds, finishSeconds } = tasks[index]!;
      const [startMs, finishMs] = [millisecondsOf(startSeconds), millisecondsOf(finishSeconds)];
      if (startMs === undefined || finishMs === undefined) continue;
      rows.push({
        ...{ task, stage: plan.stage, node: nodes[node]!.node, startMs, finishMs },
        ...(slot < 0 ? {} : { slot }),
        ...(stands[index] === 1 ? {} : { stands: stands[index]! }),
      });
    }
  }
  return rows;
}

function withTimes(stage: PlanStage, rows: readonly PlanTaskRow[], problems: ReadonlyMap<string, Problem>): PlanStage {
  const problem = problems.get(stage.stage);
  let startMs = Number.POSITIVE_INFINITY;
  let finishMs = 0;
  for (const row of rows) {
    if (row.stage !== stage.stage) continue;
    startMs = Math.min(startMs, row.startMs);
    finishMs = Math.max(finishMs, row.finishMs);
  }
  return {
    ...stage,
    ...(startMs === Number.POSITIVE_INFINITY ? {} : { startMs, finishMs }),
    ...(problem === undefined ? {} : { problem }),
  };
}

function isAble(state: PlannerState, job: LedgerJob, node: NodeView, plan: StagePlan, merges: boolean): boolean {
  return lackOf(state, node, stageOf(state, job, plan), merges ? plan.merge! : plan.code) === undefined;
}

/** What is known of the stage beside its plan: only of a job that is there already. */
function stageOf(state: PlannerState, job: LedgerJob, plan: StagePlan): Parameters<typeof lackOf>[2] {
  return state.jobs.get(`${job.account}/${job.job}`)?.stages.get(plan.stage) ?? { plan };
}

/** Why a stage cannot be planned: no node takes it, or nobody knows what it takes. */
function stageProblem(
  state: PlannerState,
  job: LedgerJob,
  views: readonly NodeView[],
  { plan, open, merges, work }: StageGraph,
): Problem | undefined {
  for (const isMerge of [...(open > 0 ? [false] : []), ...(merges ? [true] : [])])
    if (!views.some((node) => isAble(state, job, node, plan, isMerge))) return noRoom(state, job, plan, isMerge);
  if (work !== undefined) return undefined;
  return {
    code: 'MESH_WORK_UNKNOWN',
    message: `nobody knows what tasks of stage ${plan.stage} take: no code of its engine has finished a task here yet`,
    mend: 'say it: `estimate: 20s` (CPU time of the whole stage on a Raspberry Pi 4); or run it once, and ask again',
  };
}

function noRoom(state: PlannerState, job: LedgerJob, plan: StagePlan, merges: boolean): Problem {
  const code = merges ? plan.merge! : plan.code;
  let mend: string | undefined;
  const said = [...state.nodes.values()].map((node) => {
    const { status } = node;
    const stage = stageOf(state, job, plan);
    const lack = lackOf(state, node, stage, code);
    const never = lack && lackText(lack, node, stage, code);
    mend ??= never?.mend;
    const now = !node.online
      ? 'is away'
      : status.slots === 0
        ? (status.withheld?.text ?? 'offers no slots')
        : 'has not said yet what it has in hand';
    return `${status.node}: ${never?.text ?? now}`;
  });
  return fitsNoNode(plan.stage, said, 'there is no node', mend);
}
