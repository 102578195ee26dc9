import {
  type FirstRoom,
  limits,
  type Problem,
  type WhyAnswer,
  type WhyNode,
  type WhyReason,
  type WhyStage,
} from '../../contract/index.ts';
import { jobKeyOf } from '../job-plan.ts';
import { type LedgerJob, type LedgerTask, wishedConfidence } from '../ledger.ts';
import { partsOf } from '../ledger-cuts.ts';
import { isOverdue, weightsOf } from './ahead.ts';
import { costOn, decidedBy, toldCost } from './costs.ts';
import { codeOf as codeOfTask, deviceOf } from './dispatch.ts';
import { firstRoomOf } from './foresight/index.ts';
import { whyMoveOf } from './moves.ts';
import { lackOf, lackText, mebibytes } from './no-room.ts';
import { profileOfTask } from './profiles.ts';
import { tasksProblem } from './quotas.ts';
import { scheduleProblem } from './schedules.ts';
import type { AttemptView, Choice, JobView, NodeView, PlannerState, StageView, TaskView } from './state.ts';

type Known = Omit<WhyAnswer, 'nodes' | 'truncated'> & { readonly nodes: readonly WhyNode[] };
/** What is known of one task, without its job. */
type OfTask = Omit<Known, 'job' | 'task' | 'stages' | 'waitsFor'> & { readonly waitsFor?: readonly string[] };

/**
 * Why a task is where it is, from what this leader knows now. `name` is a job of the account, or a task: of `job`, or of the
 * account's newest job that has one of that name. A job is explained by the task of it that waits, or else runs.
 */
export function explain(state: PlannerState, account: string, name: string, jobId?: string): Known | Problem {
  const found = find(state, account, name, jobId);
  if ('code' in found) return found;
  const { job, task } = found;
  const view = state.jobs.get(jobKeyOf(job.account, job.job));
  const stages = view === undefined || job.phase !== 'running' ? [] : stagesOf(job, view);
  const explained = task ?? (view === undefined ? undefined : taskToExplain(view));
  const estimate =
    explained === undefined || explained.committed !== undefined || job.phase !== 'running'
      ? {}
      : { estimate: profileOfTask(state, job, explained) };
  const head = { job: job.job, ...(explained === undefined ? {} : { task: explained.task }), stages, ...estimate };
  const known =
    explained === undefined || (job.phase !== 'running' && explained.committed === undefined)
      ? job.schedule !== undefined && job.phase === 'running'
        ? ofSchedule(state, view)
        : ofJob(job, stages)
      : ofTask(state, job, view?.tasks.get(explained.task), explained);
  return { ...head, ...known, waitsFor: (known.waitsFor ?? []).slice(0, limits.whyNames) };
}

function find(
  state: PlannerState,
  account: string,
  name: string,
  jobId: string | undefined,
): { job: LedgerJob; task?: LedgerTask } | Problem {
  const { jobs } = state.ledger;
  const own = jobId === undefined ? jobs.get(jobKeyOf(account, name)) : undefined;
  if (own !== undefined) return { job: own };
  const among = jobId === undefined ? [...jobs.values()].reverse() : [jobs.get(jobKeyOf(account, jobId))];
  for (const job of among) {
    if (job?.account !== account) continue;
    for (const { tasks } of job.stages.values()) {
      const task = tasks.find((each) => each.task === name);
      if (task !== undefined) return { job, task };
    }
  }
  const message = `no job and no task "${name}" of account ${account}${jobId === undefined ? '' : ` in job ${jobId}`}`;
  return { code: 'MESH_TASK_UNKNOWN', message, mend: '`foremesh jobs` lists jobs, `foremesh job ID` their tasks' };
}

/** The one that somebody asks about when he asks about a job: what waits, in the order of the stages; else what runs. */
function taskToExplain(view: JobView): LedgerTask | undefined {
  const tasks = [...view.tasks.values()].filter(({ state }) => state !== 'done');
  const order = ['ready', 'assigned', 'running', 'moving', 'waiting'];
  return tasks.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state))[0]?.ledger;
}

function ofSchedule(state: PlannerState, view: JobView | undefined): OfTask {
  const problem = scheduleProblem(state, view);
  const { nextMs } = view?.schedule ?? {};
  const text = problem?.message ?? (nextMs === undefined ? 'it has not begun' : 'waits for its next occurrence');
  return { reason: 'scheduled', text, ...codeOf(problem), nodes: [] };
}

function ofJob({ phase, problem }: LedgerJob, stages: readonly WhyStage[]): OfTask {
  if (phase !== 'running') {
    const text = phase === 'done' ? 'the job is done' : `the job ${phase === 'failed' ? 'failed' : 'was cancelled'}`;
    return {
      reason: phase,
      text: problem === undefined ? text : `${text}: ${problem.message}`,
      ...codeOf(problem),
      nodes: [],
    };
  }
  const [first] = stages;
  if (first === undefined)
    return { reason: 'running', text: 'all is done, and its end is on the way into the log', nodes: [] };
  return { reason: first.reason, text: `${first.stage}: ${first.text}`, nodes: [] };
}

function codeOf(problem: Problem | undefined): { code?: string; mend?: string } {
  if (problem === undefined) return {};
  return { code: problem.code, ...(problem.mend === undefined ? {} : { mend: problem.mend }) };
}

function stagesOf(job: LedgerJob, view: JobView): WhyStage[] {
  const open: WhyStage[] = [];
  for (const stage of view.stages.values()) {
    if (stage.phase === 'done') continue;
    open.push({ stage: stage.plan.stage, ...stageReason(job, view, stage) });
  }
  return open;
}

function stageReason(
  job: LedgerJob,
  view: JobView,
  { plan, phase, unplaceable }: StageView,
): { reason: WhyReason; text: string } {
  if (phase === 'needs') {
    const missing = plan.needs.filter((need) => !job.stages.get(need)!.done);
    return { reason: 'needs', text: `waits for ${missing.join(', ')}` };
  }
  if (phase === 'index' || phase === 'cut') return { reason: 'index', text: 'its records are being counted and cut' };
  const of = [...view.tasks.values()].filter((task) => task.stage.plan === plan);
  const running = of.filter((task) => task.attempts.size > 0).length;
  if (running > 0) return { reason: 'running', text: `${running} of ${of.length} tasks are on nodes` };
  if (unplaceable !== undefined) return { reason: 'unplaceable', text: 'fits no node' };
  return { reason: 'queued', text: 'its tasks wait for room' };
}

function ofTask(state: PlannerState, job: LedgerJob, task: TaskView | undefined, ledger: LedgerTask): OfTask {
  if (ledger.committed !== undefined) {
    const { node, usage } = ledger.committed;
    const move = task === undefined ? {} : moveOf(state, task);
    return { reason: 'done', text: `done by ${node} in ${Math.round(usage.wallMs)} ms`, ...move, nodes: [] };
  }
  if (ledger.replacedBy !== undefined) {
    const text = `its records were split anew: they are in ${ledger.replacedBy.join(', ')}`;
    return { reason: 'cancelled', text, nodes: [] };
  }
  if (task === undefined) return ofJob(job, []);
  const [attempt] = task.attempts;
  if (attempt !== undefined) return ofAttempt(state, job, task, attempt);
  if (task.committing) return { reason: 'running', text: 'its result is on the way into the log', nodes: [] };
  if (task.state === 'waiting') {
    const missing = partsOf(job.stages.get(ledger.stage)!)
      .filter((part) => part.committed === undefined)
      .map((part) => part.task);
    return { reason: 'parts', text: `waits for ${missing.length} parts of its stage`, waitsFor: missing, nodes: [] };
  }
  return ofReady(state, job, task);
}

function ofAttempt(state: PlannerState, job: LedgerJob, task: TaskView, attempt: AttemptView): OfTask {
  const { node, startedMs, choice, key } = attempt;
  const ago = (atMs: number) => Math.max(0, Math.round(state.nowMs - atMs));
  const runs = startedMs !== undefined;
  const copy = [...task.attempts].find((each) => each !== attempt);
  const text = runs ? `runs on ${node}` : `is on its way to ${node}, or waits there behind others`;
  const nodes = (choice ?? []).map((each) => thenOf(each, each.device.device === node, task));
  return {
    reason: runs ? 'running' : 'assigned',
    text:
      copy === undefined
        ? text
        : `${text}; ${copy.node} runs it too, and the first result counts${inTimeText(job, copy)}`,
    placed: { node, attempt: key, assignedMs: ago(attempt.assignedMs), ...(runs ? { startedMs: ago(startedMs) } : {}) },
    ...decision(state, job, nodes, node),
    ...moveOf(state, task),
    nodes,
  };
}

/** Of a copy that is there for the job's deadline. */
function inTimeText(job: LedgerJob, { inTime }: AttemptView): string {
  if (inTime === undefined) return '';
  const { alone, together } = inTime;
  return `: in time with ${percentText(alone)} alone, ${percentText(together)} together (asked for: ${percentText(wishedConfidence(job)!)})`;
}

/** Whole per cent. */
function percentText(share: number): string {
  return `${Math.floor(100 * share + 1e-9)} %`;
}

function moveOf(state: PlannerState, task: TaskView): Pick<OfTask, 'move'> {
  const move = whyMoveOf(state, task);
  return move === undefined ? {} : { move };
}

/** How a node was when the task was placed. */
function thenOf({ device, expected }: Choice, isChosen: boolean, task: TaskView): WhyNode {
  const { engine } = task.stage.plan.code;
  const rate = ((device.speed[engine] ?? 1) * device.coreShare).toFixed(2);
  const isFree = device.freeSlots > 0 && device.freeMemoryBytes >= task.stage.plan.limits.memoryBytes;
  const room = isFree ? `${device.freeSlots} free` : 'no room';
  return {
    node: device.device,
    verdict: isChosen ? 'chosen' : isFree ? 'could' : 'later',
    reason: isFree ? 'room' : 'busy',
    text: `${rate} of a Raspberry Pi 4's core for each slot, ${room}`,
    ...(expected === undefined ? {} : { cost: toldCost(expected) }),
  };
}

/** What counts how much, and by which term the place of a task is better than the next best. */
function decision(
  state: PlannerState,
  job: LedgerJob,
  nodes: readonly WhyNode[],
  place: string | undefined,
): Pick<OfTask, 'weights' | 'decidedBy'> {
  const costs = nodes.flatMap(({ node, cost }) => (cost === undefined ? [] : [{ node, cost }]));
  if (costs.length === 0) return {};
  const weights = weightsOf(state, job);
  const better = costs.find(({ node }) => node === place);
  const others = costs.filter((each) => each !== better);
  if (better === undefined || others.length === 0) return { weights };
  const next = others.reduce((best, each) => (each.cost.totalSeconds < best.cost.totalSeconds ? each : best));
  const term = decidedBy(better.cost, next.cost, weights);
  return term === undefined ? { weights } : { weights, decidedBy: term };
}

/** Why it waits although there is room, if it does. */
function ofHeld(
  state: PlannerState,
  task: TaskView,
  nodes: readonly WhyNode[],
): Pick<OfTask, 'reason' | 'text'> | undefined {
  const { held } = task;
  if (held === undefined) return undefined;
  const free = nodes.find(({ verdict }) => verdict === 'could');
  if (free === undefined) return undefined;
  if (held.waitsFor === undefined) {
    if (isOverdue(state, task)) return undefined;
    const most = `at most ${secondsText((held.untilMs - state.nowMs) / 1_000)} more`;
    return {
      reason: 'held',
      text: `waits, ${most}: nobody with room now is expected to keep it until the task has ended`,
    };
  }
  const { device, expected } = held.waitsFor;
  const late = isOverdue(state, task) ? ', longer than was expected' : '';
  return {
    reason: 'held',
    text: `waits for ${device}${late}: there it would end in ${secondsText(expected.terms.finishSeconds)}`,
  };
}

/** `0.1 s`, `98 s`, `12 min`. */
export function secondsText(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return seconds < 600 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

function ofReady(state: PlannerState, job: LedgerJob, task: TaskView): OfTask {
  const nodes = [...state.nodes.values()].map((node) => withCost(state, job, node, task, nowOf(state, node, task)));
  const able = nodes.filter(({ verdict }) => verdict !== 'never');
  const online = able.filter(({ reason }) => reason !== 'away');
  if (state.nowMs < state.graceUntilMs)
    return { reason: 'grace', text: 'waits: the leader is new, and asks the nodes what still runs', nodes };
  if (online.length === 0) {
    const text = state.nodes.size === 0 ? 'waits: there is no node' : 'waits: no node that is here can take it';
    const mend = task.stage.unplaceable?.mend ?? 'start a node that can take it (`foremesh node`); the task waits';
    return { reason: 'unplaceable', text, code: 'MESH_NO_ROOM', mend, nodes };
  }
  if (task.notBeforeMs > state.nowMs) {
    const waitMs = Math.round(task.notBeforeMs - state.nowMs);
    return { reason: 'backoff', text: `waits: nodes could not run it; tried again in ${waitMs} ms`, nodes };
  }
  const quota = tasksProblem(state, task.job);
  if (quota !== undefined) {
    const { message, ...rest } = quota;
    return { reason: 'quota', text: `waits: ${message}`, ...rest, nodes };
  }
  const ahead = aheadOf(state, task);
  const held = ofHeld(state, task, online);
  if (held !== undefined) return { ...held, ahead, ...decision(state, job, nodes, task.held?.waitsFor?.device), nodes };
  const room = { ...firstRoomAmong(online), ...(ahead.tasks === 0 ? {} : plannedOf(state, task)) };
  if (online.every(({ reason }) => reason === 'memory-now')) {
    const text = `waits: needs ${mebibytes(task.stage.plan.limits.memoryBytes)}, and no node has as much free now`;
    const mend = 'wait, or lower limits.memory of the stage, or start a node with more memory';
    return { reason: 'queued', text, code: 'MESH_NO_ROOM', mend, ahead, ...room, nodes };
  }
  if (online.every(({ reason }) => reason === 'no-slots')) {
    const mend = 'wait, or start a node that takes work now (`foremesh node`)';
    return {
      reason: 'queued',
      text: 'waits: no node takes work now',
      code: 'MESH_NO_ROOM',
      mend,
      ahead,
      ...room,
      nodes,
    };
  }
  const text =
    ahead.tasks === 0
      ? 'waits: the nodes that could take it are busy, and it is the next'
      : `waits behind ${ahead.tasks} tasks, ${ahead.higher} of them of a higher priority than ${task.stage.plan.priority}`;
  return { reason: 'queued', text, ahead, ...room, nodes };
}

/** Where there is room first: by the middle of what is expected; where that is beyond the horizon, at best. */
function firstRoomAmong(nodes: readonly WhyNode[]): Pick<OfTask, 'room'> {
  const whenMs = ({ afterMs, earliestMs, horizonMs }: FirstRoom) => afterMs ?? horizonMs + (earliestMs ?? horizonMs);
  let first: WhyAnswer['room'];
  for (const { node, room } of nodes)
    if (room !== undefined && (first === undefined || whenMs(room) < whenMs(first))) first = { node, ...room };
  return first === undefined ? {} : { room: first };
}

/** Where and when it begins by the last plan of what is left of its job; nothing where that is over, or tells of several tasks at once. */
function plannedOf({ nowMs }: PlannerState, { job, ledger }: TaskView): Pick<OfTask, 'planned'> {
  const { planned, atMs = nowMs } = job.outlook ?? {};
  const index = planned?.placed.findIndex(({ task, slot }) => task === ledger.task && slot >= 0) ?? -1;
  if (index < 0) return {};
  const startMs = Math.round(atMs + planned!.tasks[index]!.startSeconds * 1_000 - nowMs);
  return startMs > 0 && Number.isSafeInteger(startMs) ? { planned: { node: planned!.placed[index]!.on, startMs } } : {};
}

function aheadOf(state: PlannerState, task: TaskView): { tasks: number; higher: number } {
  const { priority } = task.stage.plan;
  const readyOf = (tasks: readonly TaskView[]) => tasks.filter((each) => each.state === 'ready').length;
  let higher = 0;
  for (const queue of state.ready.slice(priority + 1)) for (const tasks of queue.values()) higher += readyOf(tasks);
  const ofStage = state.ready[priority]!.get(task.stage) ?? [];
  let ofJob = readyOf(ofStage.slice(0, Math.max(0, ofStage.indexOf(task))));
  const others = new Map<JobView, { tasks: number; readonly isEarlier: boolean }>();
  let isEarlier = true;
  for (const [stage, tasks] of state.ready[priority]!) {
    const { job } = tasks[0]!;
    if (stage === task.stage) isEarlier = false;
    else if (job !== task.job) {
      const other = others.get(job) ?? { tasks: 0, isEarlier };
      other.tasks += readyOf(tasks);
      others.set(job, other);
    } else if (isEarlier) ofJob += readyOf(tasks);
  }
  // Of each other job as many as it takes until it has what this one has by then: see `Turns`.
  let before = ofJob;
  for (const [job, other] of others) {
    const turns = task.job.attempts + ofJob - job.attempts + (other.isEarlier ? 1 : 0);
    before += Math.min(other.tasks, Math.max(0, turns));
  }
  return { higher, tasks: higher + before };
}

/** With what it would cost there; of the node that it waits for, as it was when it was last decided to wait. */
function withCost(state: PlannerState, job: LedgerJob, node: NodeView, task: TaskView, why: WhyNode): WhyNode {
  if (why.verdict === 'never' || !node.online) return why;
  const waitsFor = task.held?.waitsFor;
  const expected = waitsFor?.device === why.node ? waitsFor.expected : costOn(state, job, task, node);
  return expected === undefined ? why : { ...why, cost: toldCost(expected) };
}

/** How a node is now for a task that waits. */
function nowOf(state: PlannerState, node: NodeView, task: TaskView): WhyNode {
  const { status } = node;
  const { limits: taskLimits } = task.stage.plan;
  const { withheld } = status;
  const say = (verdict: WhyNode['verdict'], reason: WhyNode['reason'], text: string, mend?: string): WhyNode => ({
    ...{ node: status.node, verdict, reason, text },
    ...(mend === undefined ? {} : { mend }),
  });
  const code = codeOfTask(task);
  const lack = lackOf(state, node, task.stage, code);
  if (lack !== undefined) {
    const { text, mend } = lackText(lack, node, task.stage, code);
    return say('never', lack, text, mend);
  }
  if (!node.online)
    return say(
      'later',
      'away',
      `away for ${Math.round((state.nowMs - node.seenMs) / 1000)} s`,
      'start it: `foremesh node`',
    );
  if (status.slots === 0) {
    const mend =
      withheld?.reason === 'paused' || withheld?.reason === 'draining' ? `foremesh resume ${status.node}` : undefined;
    const text = withheld?.text ?? 'takes no tasks: it offers no slots';
    const opens = firstRoomOf(state, node, taskLimits.memoryBytes);
    if (opens?.earliestMs === undefined) return say('never', 'no-slots', text, mend);
    return { ...say('later', 'no-slots', text), room: opens };
  }
  if (!node.confirmed) return say('later', 'unconfirmed', 'has not said yet what it has in hand');
  const failure = task.ledger.failures.findLast((each) => each.node === status.node);
  if (failure !== undefined) {
    const { code: fault, message } = failure.problem;
    return say('later', 'failed', `it failed there (${fault}: ${message.slice(0, 100)}): others go first`);
  }
  const untilMs = task.avoidUntilMs.get(status.node) ?? 0;
  if (untilMs > state.nowMs)
    return say('later', 'backoff', `could not run it; tried again in ${Math.round(untilMs - state.nowMs)} ms`);
  const device = deviceOf(state, node, task.stage);
  const expected = firstRoomOf(state, node, taskLimits.memoryBytes);
  const room = expected === undefined ? {} : { room: expected };
  if (device.freeSlots <= 0) return { ...say('later', 'busy', `runs ${status.slots} of ${status.slots}`), ...room };
  if (device.freeMemoryBytes < taskLimits.memoryBytes) {
    const free = mebibytes(Math.max(0, device.freeMemoryBytes));
    return { ...say('later', 'memory-now', `${free} of ${mebibytes(status.offeredMemoryBytes)} free now`), ...room };
  }
  return say('could', 'room', `has room: ${device.freeSlots} of ${status.slots} free`);
}
