import {
  base64Of,
  bytesOf,
  isShallow,
  type JobResult,
  type JobState,
  limits,
  type MoveCounts,
  type NodeRow,
  type Output,
  type Problem,
  type QueryAnswer,
  type QueryAsk,
  type ResultOutput,
  type StageState,
  type TaskRow,
  textOf,
} from '../../contract/index.ts';
import { type JobPlan, jobKeyOf } from '../job-plan.ts';
import { deadlineOf, type LedgerJob, type LedgerTask, ledgerJobOf, stageOutput } from '../ledger.ts';
import { partsOf } from '../ledger-cuts.ts';
import { quotaFault } from '../ledger-quotas.ts';
import { isForeseen, unforeseenIn } from './foresight/index.ts';
import { leftByProgressMs, projectedMs } from './left.ts';
import { logRowsOf } from './logs.ts';
import { lateProblem, planAnswerOf, probabilityOf, promiseStateOf } from './plan/index.ts';
import { profileRowsOf } from './profiles.ts';
import { quotaRows } from './quotas.ts';
import { scheduleProblem } from './schedules.ts';
import type { JobView, PlannerState, StageView, TaskView } from './state.ts';
import { explain } from './why.ts';

/** The state of a job as clients see it; `moved`, of one that is planned no more. */
export function jobStateOf(state: PlannerState, job: LedgerJob, moved?: MoveCounts): JobState {
  const view = state.jobs.get(jobKeyOf(job.account, job.job));
  const stages = job.plan.stages.map((plan) => stageStateOf(job, plan.stage, view));
  const moves = view?.moves ?? moved;
  const started = stages.some((stage) => stage.done > 0 || stage.running > 0);
  const problem = job.problem ?? scheduleProblem(state, view) ?? firstUnplaceable(view) ?? lateProblem(view);
  const remainingMs = view === undefined ? undefined : remainingOf(state, job, view);
  const elapsedMs = (job.endedAtMs ?? state.wallMs) - job.acceptedAtMs;
  return {
    v: 1,
    account: job.account,
    job: job.job,
    specHash: job.specHash,
    phase:
      job.phase !== 'running' ? job.phase : job.schedule !== undefined ? 'scheduled' : started ? 'running' : 'accepted',
    ...(job.plan.name === undefined ? {} : { name: job.plan.name }),
    priority: Math.max(...job.plan.stages.map((stage) => stage.priority)),
    stages,
    ...(remainingMs === undefined ? {} : { remainingMs }),
    elapsedMs: Math.max(0, Math.round(elapsedMs)),
    term: state.term,
    // An ended job never changes again: its last word is above every earlier one.
    revision: view?.revision ?? Number.MAX_SAFE_INTEGER,
    ...(problem === undefined ? {} : { problem }),
    ...scheduleStateOf(job, view),
    ...(job.occurrence === undefined ? {} : { occurrence: job.occurrence }),
    ...(moves === undefined ? {} : { moves }),
    ...deadlineStateOf(job, probabilityOf(state, job, view)),
    ...promiseStateOf(state, job, view),
  };
}

function scheduleStateOf({ plan, schedule }: LedgerJob, view: JobView | undefined): Pick<JobState, 'schedule'> {
  if (plan.schedule === undefined || schedule === undefined) return {};
  const { nextMs } = view?.schedule ?? {};
  return { schedule: { ...plan.schedule, ...schedule, ...(nextMs === undefined ? {} : { nextMs }) } };
}

function deadlineStateOf(job: LedgerJob, probability?: number): Pick<JobState, 'deadline'> {
  const atMs = deadlineOf(job);
  if (atMs === undefined || job.schedule !== undefined) return {};
  const { confidence } = job.plan.deadline!;
  const missed = job.missedDeadline === true;
  return {
    deadline: {
      ...{ atMs: Math.max(0, Math.round(atMs)), missed },
      ...(confidence === undefined ? {} : { confidence }),
      ...(probability === undefined ? {} : { probability }),
    },
  };
}

/** The state of a spec that is not taken: published, not retained. */
export function refusedStateOf(
  { term }: PlannerState,
  { account, job, specHash }: { readonly account: string; readonly job: string; readonly specHash: string },
  problem: Problem,
): JobState {
  const nothing = { priority: 0, stages: [], elapsedMs: 0, revision: 0 };
  return { v: 1, account, job, specHash, phase: 'refused', ...nothing, term, problem };
}

function stageStateOf(job: LedgerJob, stage: string, view: JobView | undefined): StageState {
  const ledger = job.stages.get(stage)!;
  const counts = { waiting: 0, running: 0, done: 0, failed: 0 };
  let weightDone = 0;
  let weight = ledger.rest === undefined ? 0 : ledger.rest.totalRecords - ledger.rest.firstRecord;
  const tasks = ledger.tasks.filter(({ replacedBy }) => replacedBy === undefined);
  for (const task of tasks) {
    const taskView = view?.tasks.get(task.task);
    const taskWeight = task.merges ? 0 : (task.range?.records ?? 1);
    weight += taskWeight;
    if (task.committed !== undefined) {
      counts.done += 1;
      weightDone += taskWeight;
    } else if (taskView !== undefined && (taskView.state === 'running' || taskView.state === 'moving')) {
      counts.running += 1;
      weightDone += taskWeight * progressOf(taskView);
    } else if (job.phase === 'failed' && task.failures.length > 0) {
      counts.failed += 1;
    } else {
      counts.waiting += 1;
    }
  }
  const reason =
    job.phase === 'running' && !ledger.done ? reasonOf(view?.stages.get(stage), counts.running) : undefined;
  return {
    stage,
    tasks: tasks.length,
    ...counts,
    progress: ledger.done ? 1 : weight === 0 ? 0 : Math.min(1, weightDone / weight),
    ...(reason === undefined ? {} : { reason }),
  };
}

function reasonOf(stage: StageView | undefined, running: number): StageState['reason'] {
  if (stage === undefined || running > 0) return undefined;
  if (stage.phase === 'needs') return 'needs';
  if (stage.phase === 'index' || stage.phase === 'cut') return 'index';
  return stage.unplaceable === undefined ? 'queued' : 'unplaceable';
}

function firstUnplaceable(view: JobView | undefined): Problem | undefined {
  for (const stage of view?.stages.values() ?? []) if (stage.unplaceable !== undefined) return stage.unplaceable;
  return undefined;
}

function progressOf(task: TaskView): number {
  let most = 0;
  for (const attempt of task.attempts) most = Math.max(most, attempt.progress);
  return most;
}

/**
 * Work left, over the slots of the mesh, and no less than the longest of its tasks still takes: by what the finished parts of a stage took for each
 * record, else by what its running parts seem to take, else by the author's estimate. Merges are not counted. Undefined while a stage with open
 * tasks tells nothing.
 */
function remainingOf(state: PlannerState, job: LedgerJob, view: JobView): number | undefined {
  let slots = 0;
  for (const node of state.nodes.values()) if (node.online) slots += node.status.slots;
  if (slots === 0) return undefined;
  let workMs = 0;
  let longestMs = 0;
  let isOpen = false;
  for (const stage of view.stages.values()) {
    const ledger = job.stages.get(stage.plan.stage)!;
    const parts = partsOf(ledger);
    const open = parts.flatMap(({ task }) => view.tasks.get(task) ?? []).filter((task) => task.state !== 'done');
    const uncut = ledger.rest === undefined ? 0 : ledger.rest.totalRecords - ledger.rest.firstRecord;
    if (open.length === 0 && uncut === 0) continue;
    isOpen = true;
    const takenMs = takenOf(parts);
    const eachMs = takenMs ?? projectedOf(state, open) ?? estimateOf(stage, parts, uncut);
    if (eachMs === undefined) return undefined;
    workMs += eachMs * uncut;
    for (const task of open) {
      const leftMs = taskLeftMs(state, task, takenMs) ?? eachMs * sizeOf(task.ledger) * (1 - progressOf(task));
      workMs += leftMs;
      longestMs = Math.max(longestMs, leftMs);
    }
  }
  return isOpen ? Math.min(Number.MAX_SAFE_INTEGER, Math.round(Math.max(workMs / slots, longestMs))) : undefined;
}

/** By what its attempts say, until the first of them is done. */
function taskLeftMs(state: PlannerState, { attempts, ledger }: TaskView, takenMs?: number): number | undefined {
  const othersMs = takenMs && takenMs * sizeOf(ledger);
  const left = [...attempts].flatMap((attempt) => leftByProgressMs(state, attempt, othersMs) ?? []);
  return left.length === 0 ? undefined : Math.min(...left);
}

/** Records; a task that has none is as large as another. */
function sizeOf({ range }: LedgerTask): number {
  return range?.records ?? 1;
}

/** What finished parts took for each record, milliseconds. */
function takenOf(parts: readonly LedgerTask[]): number | undefined {
  const done = parts.filter(({ committed }) => committed !== undefined);
  return meanOf(done.map((task) => [task.committed!.usage.wallMs, sizeOf(task)]));
}

/** The same of running tasks, when they go on as they do. */
function projectedOf(state: PlannerState, tasks: readonly TaskView[]): number | undefined {
  const projected: [number, number][] = [];
  for (const { attempts, ledger } of tasks) {
    for (const attempt of attempts) {
      const ms = projectedMs(state, attempt);
      if (ms !== undefined) projected.push([ms, sizeOf(ledger)]);
    }
  }
  return meanOf(projected);
}

function estimateOf({ plan }: StageView, parts: readonly LedgerTask[], uncut: number): number | undefined {
  if (plan.estimateSeconds === undefined) return undefined;
  return meanOf([[plan.estimateSeconds * 1_000, parts.reduce((sum, part) => sum + sizeOf(part), uncut)]]);
}

function meanOf(taken: readonly (readonly [ms: number, size: number])[]): number | undefined {
  const size = taken.reduce((sum, [, each]) => sum + each, 0);
  // Whatever nodes and authors claim: finite.
  return size === 0 ? undefined : Math.min(Number.MAX_SAFE_INTEGER, taken.reduce((sum, [ms]) => sum + ms, 0) / size);
}

/** The result of a job that has ended; it always fits one payload. */
export function jobResultOf(job: LedgerJob): JobResult {
  const plain = resultOf(job, false);
  // JSON escapes and long forms of numbers can make several times what was counted; base64 cannot.
  return bytesOf(JSON.stringify(plain)).length <= limits.payloadBytes ? plain : resultOf(job, true);
}

function resultOf(job: LedgerJob, asBase64: boolean): JobResult {
  const outputs: Record<string, ResultOutput> = {};
  if (job.phase === 'done') {
    for (const { stage, sink } of job.plan.stages) {
      if (sink) outputs[stage] = resultOutputOf(stageOutput(job, stage) as Output, asBase64);
    }
  }
  return {
    v: 1,
    account: job.account,
    job: job.job,
    specHash: job.specHash,
    phase: job.phase as JobResult['phase'],
    ...(job.phase === 'done' ? { outputs } : {}),
    ...(job.problem === undefined ? {} : { problem: job.problem }),
    elapsedMs: Math.max(0, Math.round((job.endedAtMs ?? 0) - job.acceptedAtMs)),
    tasksByNode: Object.fromEntries(tasksByNode(job)),
    ...deadlineStateOf(job),
    ...(job.promise === undefined ? {} : { promise: job.promise }),
  };
}

/** The nodes that finished most tasks, as many as a result may name. */
function tasksByNode(job: LedgerJob): [string, number][] {
  const counts = new Map<string, number>();
  for (const stage of job.stages.values()) {
    for (const { committed } of stage.tasks) {
      if (committed !== undefined) counts.set(committed.node, (counts.get(committed.node) ?? 0) + 1);
    }
  }
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, limits.nodesPerResult);
}

function resultOutputOf(output: Output, asBase64: boolean): ResultOutput {
  if ('blob' in output) return output;
  const { encoding, inline } = output;
  const base64 = (): ResultOutput => ({ encoding, base64: base64Of(inline) });
  if (encoding === 'bytes' || asBase64) return base64();
  const text = textOf(inline);
  if (encoding === 'text') return { encoding, value: text };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { encoding: 'text', value: text }; // a node said JSON and sent something else: shown as it came
  }
  // Deeper than any message may nest: it arrives as bytes, and whoever can may parse it.
  return isShallow({ outputs: { stage: { value } } }) ? { encoding, value: value as never } : base64();
}

function taskRowsOf(state: PlannerState, job: LedgerJob): TaskRow[] {
  const view = state.jobs.get(jobKeyOf(job.account, job.job));
  const rows: TaskRow[] = [];
  for (const stage of job.stages.values()) {
    for (const task of stage.tasks) {
      if (task.replacedBy !== undefined) continue;
      const taskView = view?.tasks.get(task.task);
      const node = task.committed?.node ?? [...(taskView?.attempts ?? [])].at(-1)?.node;
      const problem = task.committed === undefined ? task.failures.at(-1)?.problem : undefined;
      rows.push({
        task: task.task,
        stage: task.stage,
        state:
          taskView?.state ??
          (task.committed !== undefined ? 'done' : task.failures.length > 0 ? 'failed' : 'cancelled'),
        ...(node === undefined ? {} : { node }),
        attempts: Math.max(taskView?.attemptsMade ?? 0, task.failures.length + (task.committed === undefined ? 0 : 1)),
        progress: task.committed !== undefined ? 1 : taskView === undefined ? 0 : progressOf(taskView),
        ...timeOf(state, task, taskView),
        ...(taskView === undefined ? {} : whyWaiting(taskView)),
        ...(problem === undefined ? {} : { problem }),
      });
    }
  }
  return rows;
}

function timeOf(state: PlannerState, task: LedgerTask, view: TaskView | undefined): Pick<TaskRow, 'wallMs'> {
  if (task.committed !== undefined) return { wallMs: Math.round(task.committed.usage.wallMs) };
  const started = [...(view?.attempts ?? [])].flatMap(({ startedMs }) => startedMs ?? []);
  return started.length === 0 ? {} : { wallMs: Math.max(0, Math.round(state.nowMs - Math.min(...started))) };
}

function whyWaiting({ state, stage }: TaskView): Pick<TaskRow, 'reason'> {
  if (state === 'waiting') return { reason: 'needs' };
  if (state !== 'ready') return {};
  return { reason: stage.unplaceable === undefined ? 'queued' : 'unplaceable' };
}

function nodeRowsOf(state: PlannerState): NodeRow[] {
  const unforeseenOf = unforeseenIn(state);
  return [...state.nodes.values()].map((node) => ({
    status: { ...node.status, online: node.online },
    running: node.attempts.size,
    tasksDone: node.tasksDone,
    silentMs: Math.max(0, Math.round(state.nowMs - node.seenMs)),
    ...(node.latest === undefined ? {} : { latest: node.latest }),
    ...(isForeseen(node.series) ? {} : { unforeseen: unforeseenOf(node) }),
    leads: state.leading && node.status.node === state.id,
  }));
}

/**
 * Answers a client's question; an account sees its own jobs only. What changes the mesh is not done here.
 *
 * @param dryRun what the spec of a question for a plan means
 */
export function answerQuery(
  state: PlannerState,
  account: string,
  ask: Extract<
    QueryAsk,
    { query: 'jobs' | 'job' | 'logs' | 'nodes' | 'why' | 'plan' | 'profiles' | 'quota' | 'quotas' | 'set-quota' }
  >,
  dryRun?: JobPlan,
): QueryAnswer {
  const head = { v: 1 as const, id: ask.id };
  switch (ask.query) {
    case 'jobs': {
      const jobs: JobState[] = [];
      for (const job of state.ledger.jobs.values()) {
        if (job.account !== account) continue;
        const jobState = jobStateOf(state, job);
        if (ask.phase === undefined || jobState.phase === ask.phase) jobs.push(jobState);
      }
      return { ...head, query: 'jobs', ...fit('jobs', jobs.reverse()) };
    }
    case 'plan': {
      const known = ask.job === undefined ? undefined : state.ledger.jobs.get(jobKeyOf(account, ask.job));
      const unsaid = { account, job: dryRunName, specHash: '', atMs: state.wallMs };
      const job = dryRun === undefined ? known : ledgerJobOf({ ...unsaid, plan: dryRun });
      if (job === undefined) return { ...head, query: 'error', problem: unknownJob(account, ask.job ?? '') };
      const plan = planAnswerOf(state, job, ask.algorithm === undefined ? {} : { algorithm: ask.algorithm });
      return { ...head, query: 'plan', plan: { ...plan, ...fit('tasks', plan.tasks) } };
    }
    case 'job':
    case 'logs': {
      const job = state.ledger.jobs.get(jobKeyOf(account, ask.job));
      if (job === undefined) return { ...head, query: 'error', problem: unknownJob(account, ask.job) };
      if (ask.query === 'logs') {
        const rows = logRowsOf(job, ask.task);
        if (!Array.isArray(rows)) return { ...head, query: 'error', problem: rows };
        const { logs, truncated } = fit('logs', rows.slice(ask.from));
        return { ...head, query: 'logs', logs, ...(truncated === 0 ? {} : { next: ask.from + logs.length }) };
      }
      return { ...head, query: 'job', state: jobStateOf(state, job), ...fit('tasks', taskRowsOf(state, job)) };
    }
    case 'why': {
      const why = explain(state, account, ask.name, ask.job);
      if (!('reason' in why)) return { ...head, query: 'error', problem: why };
      return { ...head, query: 'why', why: { ...why, ...fit('nodes', why.nodes) } };
    }
    case 'profiles':
      return { ...head, query: 'profiles', ...fit('profiles', profileRowsOf(state, account, ask.name)) };
    case 'quota':
      return { ...head, query: 'quota', quota: quotaRows(state, [account])[0]! };
    case 'quotas':
      return { ...head, query: 'quotas', ...fit('quotas', quotaRows(state)) };
    case 'set-quota': {
      const fault = Object.keys(ask.change).length === 0 ? undefined : quotaFault(state.ledger, ask.account);
      if (fault === undefined) return { ...head, query: 'set-quota', quota: quotaRows(state, [ask.account])[0]! };
      const mend =
        'take those away that are not needed: `foremesh quota ACCOUNT --jobs default --bytes default --tasks default`';
      return { ...head, query: 'error', problem: { code: 'MESH_LIMIT_EXCEEDED', message: fault, mend } };
    }
    case 'nodes':
      return { ...head, query: 'nodes', ...fit('nodes', nodeRowsOf(state)) };
  }
}

/** No job has this id: it could not be published. */
const dryRunName = '*';

function unknownJob(account: string, job: string): Problem {
  const message = `no job "${job}" of account ${account}`;
  return { code: 'MESH_JOB_UNKNOWN', message, mend: '`foremesh jobs` lists them' };
}

/** As many rows as one payload takes, by their JSON size; `truncated` says how many were left out. */
function fit<Key extends string, Row>(key: Key, rows: readonly Row[]): Record<Key, Row[]> & { truncated: number } {
  const kept: Row[] = [];
  let room = limits.payloadBytes * 0.75;
  for (const row of rows) {
    room -= bytesOf(JSON.stringify(row)).length;
    if (room < 0 || kept.length >= limits.queryRows) break;
    kept.push(row);
  }
  return { [key]: kept, truncated: rows.length - kept.length } as Record<Key, Row[]> & { truncated: number };
}
