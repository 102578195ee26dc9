import type { Device, PlaceableTask } from '@foremesh/partitioner';
import {
  type Assign,
  type CodeReference,
  combinationOf,
  limits,
  type Output,
  type Problem,
  type TaskInput,
  trustMend,
  untrusted,
} from '../../contract/index.ts';
import { hasParts } from '../job-plan.ts';
import { type LedgerJob, stageOutput } from '../ledger.ts';
import { partsOf } from '../ledger-cuts.ts';
import { transition } from '../task-states.ts';
import type { PlannerEffect } from './events.ts';
import { memoryFreeNow, ownCpuAhead } from './foresight/index.ts';
import { tasksLeft } from './quotas.ts';
import type { NodeView, PlannerState, StageView, TaskView } from './state.ts';
import { addAttempt } from './tasks.ts';

/** Stages that may be passed over (their nodes are busy) before a dispatch looks no further in a queue. */
const passedOverMost = 64;
/** Nodes that a message about a lack of room names one by one. */
const devicesNamedMost = 8;

/** Assigns ready tasks, highest priority first, while nodes have room. */
export function dispatch(state: PlannerState, effects: PlannerEffect[]): void {
  if (!state.connected || state.nowMs < state.graceUntilMs) return;
  for (let priority = state.ready.length - 1; priority >= 0; priority -= 1) {
    const queue = state.ready[priority]!;
    if (queue.length > 0) state.ready[priority] = dispatchQueue(state, queue, effects);
  }
}

/** Returns what is left of the queue, in order: the very queue when nothing of it could be placed. */
function dispatchQueue(state: PlannerState, queue: TaskView[], effects: PlannerEffect[]): TaskView[] {
  let at = 0;
  let gone = 0;
  let passedOver = 0;
  const take = (task: TaskView) => {
    task.queued = false;
    gone += 1;
  };
  while (at < queue.length && passedOver < passedOverMost) {
    const stage = queue[at]!.stage;
    // Tasks of one stage stand together: one look at the nodes serves them all.
    const group: TaskView[] = [];
    while (at < queue.length && queue[at]!.stage === stage && group.length < limits.messagesPerEnvelope) {
      const task = queue[at]!;
      if (task.state !== 'ready') take(task);
      else if (task.notBeforeMs <= state.nowMs && stage.refusedByFleet !== state.fleet) group.push(task);
      at += 1;
    }
    if (group.length === 0) continue;
    // Of an account that has enough of them the others wait, and hold up nobody else.
    const allowed = group.slice(0, tasksLeft(state, group[0]!.job));
    const placed = allowed.length === 0 ? 0 : placeGroup(state, stage, allowed, effects);
    for (const task of group) if (task.state !== 'ready') take(task);
    if (placed === group.length) continue;
    while (at < queue.length && queue[at]!.stage === stage) at += 1;
    if (stage.unplaceable === undefined && placed === allowed.length && allowed.length < group.length) continue;
    if (stage.unplaceable === undefined) passedOver += 1;
  }
  return gone === 0 ? queue : queue.filter((task) => task.queued);
}

function placeGroup(
  state: PlannerState,
  stage: StageView,
  group: readonly TaskView[],
  effects: PlannerEffect[],
): number {
  const devices: Device[] = [];
  let room = 0;
  for (const node of state.nodes.values()) {
    if (!node.online || !node.confirmed) continue;
    const device = deviceOf(state, node, stage);
    devices.push(device);
    room += device.freeSlots + device.freeQueue;
  }
  const choice = room === 0 ? [] : choiceOf(devices, stage);
  const candidates = group.slice(0, room + 1); // one more, so that an unplaceable stage is noticed on a full mesh too
  const placements = state.policy.place(
    candidates.map((task) => placeable(state, task)),
    devices,
  );
  let placed = 0;
  let refusedForGood: Problem | undefined;
  for (const [index, placement] of placements.entries()) {
    if ('device' in placement) {
      assign(state, state.nodes.get(placement.device)!, candidates[index]!, choice, effects);
      placed += 1;
    } else if (placement.refusals.every((each) => each.refusal !== 'busy')) {
      refusedForGood = noRoom(state, stage, placement.refusals);
    }
  }
  const { unplaceable: before } = stage;
  delete stage.unplaceable;
  if (refusedForGood !== undefined) {
    stage.unplaceable = refusedForGood;
    stage.refusedByFleet = state.fleet;
  }
  if (before?.message !== stage.unplaceable?.message) group[0]!.job.dirty = true;
  return placed;
}

function noRoom(
  state: PlannerState,
  stage: StageView,
  refusals: readonly { device: string; refusal: string }[],
): Problem {
  const { code, merge, labels, limits: taskLimits } = stage.plan;
  const signed = [code, merge].find((each) => each?.engine === 'node');
  const lacks = {
    engine: `no engine ${code.engine}`,
    trust: '',
    labels: `not all of the labels ${labels.join(', ')}`,
    memory: `offers less than ${Math.ceil(taskLimits.memoryBytes / 1024 ** 2)} MiB`,
  } as const;
  const why = (device: string, refusal: string): string => {
    const { withheld, onlyLabels = [] } = state.nodes.get(device)!.status;
    if (refusal === 'withheld') return withheld?.text ?? 'offers no slots';
    const refused = stage.codeRefusals?.get(device);
    if (refusal === 'trust' && refused !== undefined) return refused;
    if (refusal === 'trust')
      return untrusted(signed?.manifest, state.nodes.get(device)!.status.trusts ?? [])?.text ?? refusal;
    if (refusal === 'reserved') return `takes only what asks for ${onlyLabels.join(', ')}`;
    return lacks[refusal as keyof typeof lacks] ?? refusal;
  };
  const each = refusals.slice(0, devicesNamedMost).map(({ device, refusal }) => `${device}: ${why(device, refusal)}`);
  if (refusals.length > each.length) each.push(`and ${refusals.length - each.length} more`);
  if (refusals.length === 0) {
    const online = [...state.nodes.values()].some((node) => node.online);
    each.push(online ? 'no node has said yet what it has in hand' : 'no node is online');
  }
  return {
    code: 'MESH_NO_ROOM',
    message: `stage ${stage.plan.stage} fits no node (${each.join('; ')})`,
    mend:
      trustMendOf(stage, signed, refusals) ??
      'start a node that can take it (`foremesh node`), or lower what the stage asks for; the job waits',
  };
}

/** When nothing but trust keeps it from a node. */
function trustMendOf(
  stage: StageView,
  code: CodeReference | undefined,
  refusals: readonly { device: string; refusal: string }[],
): string | undefined {
  const distrusting = refusals.filter(({ refusal }) => refusal === 'trust').map(({ device }) => device);
  const device = distrusting.find((each) => stage.codeRefusals?.has(each) !== true);
  if (distrusting.length === 0) return undefined;
  if (code?.manifest === undefined) return 'sign it: `foremesh keys new`, then submit it with `foremesh submit`';
  if (device === undefined)
    return 'what each node says mends it there; then submit it again, or give other nodes trust';
  return `\`${trustMend(code.manifest, device)}\`, if its owner wants that; the job waits`;
}

function placeable(state: PlannerState, task: TaskView): PlaceableTask {
  const { plan } = task.stage;
  const avoid = task.ledger.failures.map((failure) => failure.node);
  for (const [node, untilMs] of task.avoidUntilMs) if (untilMs > state.nowMs) avoid.push(node);
  const { engine, manifest } = codeOf(task);
  const { key, capabilities = [] } = manifest ?? {};
  const needsTrust = { ...(key === undefined ? {} : { key }), capabilities };
  return {
    task: task.key,
    engine,
    labels: plan.labels,
    memoryBytes: plan.limits.memoryBytes,
    avoid,
    ...(engine === 'node' ? { needsTrust } : {}),
  };
}

export function deviceOf(state: PlannerState, node: NodeView, stage: StageView): Device {
  const { status } = node;
  const running = Math.min(node.attempts.size, status.slots);
  const queued = node.attempts.size - running;
  let promisedBytes = 0;
  let counted = 0;
  for (const { task } of node.attempts) {
    if (counted === running) break;
    promisedBytes += task.stage.plan.limits.memoryBytes;
    counted += 1;
  }
  const ownShare = ownCpuAhead(state, node, stage.meanWallMs ?? state.config.forecastStepMs);
  const coresFree = Math.max(0, Math.min(status.share, 1 - ownShare)) * status.cores;
  const freeBytes = Math.min(status.offeredMemoryBytes, memoryFreeNow(node));
  return {
    device: status.node,
    engines: status.engines,
    labels: status.labels,
    isWithheld: status.slots === 0,
    ...(status.trusts === undefined || stage.codeRefusals?.has(status.node) === true ? {} : { trusts: status.trusts }),
    ...(status.onlyLabels === undefined ? {} : { onlyLabels: status.onlyLabels }),
    isNear: status.node === state.id,
    speed: status.speed as Record<string, number>,
    coreShare: status.slots === 0 ? 0 : Math.min(1, coresFree / status.slots),
    freeSlots: status.slots - running,
    freeQueue: Math.max(0, queueAllowance(state, node, stage) - queued),
    freeMemoryBytes: freeBytes - promisedBytes,
    offeredMemoryBytes: status.offeredMemoryBytes,
  };
}

/** Short tasks wait at the node, so that its slots never run dry between two messages; long ones wait here, undecided. */
export function queueAllowance(state: PlannerState, node: NodeView, stage: StageView): number {
  const { slots, queue } = node.status;
  if (stage.meanWallMs === undefined) return 0;
  return Math.min(queue, Math.floor((state.config.pipelineMs * slots) / Math.max(0.25, stage.meanWallMs)));
}

/** What is told to whoever asks why: the able nodes as they were before anything of the group was placed, free ones first. */
function choiceOf(devices: readonly Device[], { plan }: StageView): readonly Device[] {
  const rate = ({ speed, coreShare, freeSlots }: Device) =>
    (speed[plan.code.engine] ?? 1) * coreShare * (1 + Math.max(0, freeSlots));
  const best: Device[] = [];
  for (const device of devices) {
    const last = best.at(-1);
    if (best.length === limits.alternativesKept && last !== undefined && rate(device) <= rate(last)) continue;
    if (!canEver(device, plan)) continue;
    best.splice(best.findLastIndex((each) => rate(each) >= rate(device)) + 1, 0, { ...device });
    if (best.length > limits.alternativesKept) best.pop();
  }
  return best;
}

/** Whether the node could ever take parts of the stage, as far as trust allows it. */
export function canEver(
  { isWithheld, onlyLabels, engines, labels, offeredMemoryBytes }: Device,
  { code, ...wanted }: StageView['plan'],
): boolean {
  if (isWithheld === true || onlyLabels?.some((label) => wanted.labels.includes(label)) === false) return false;
  if (!engines.includes(code.engine) || wanted.limits.memoryBytes > offeredMemoryBytes) return false;
  return wanted.labels.every((label) => labels.includes(label));
}

function assign(
  state: PlannerState,
  node: NodeView,
  task: TaskView,
  choice: readonly Device[],
  effects: PlannerEffect[],
): void {
  const job = state.ledger.jobs.get(task.job.key)!;
  const key = `${task.key}#${state.term}.${state.nextAttempt}`;
  state.nextAttempt += 1;
  const { checkpoint } = task.ledger;
  const resume = checkpoint?.state.blob === task.lostState ? undefined : checkpoint;
  addAttempt(state, node, task, key, resume?.state.blob).choice = choice;
  transition(task, 'assigned', `${key} to ${node.status.node}`);
  const { plan } = task.stage;
  const code = codeOf(task);
  const message: Assign = {
    type: 'assign',
    attempt: key,
    account: job.account,
    job: job.job,
    stage: plan.stage,
    task: task.ledger.task,
    code,
    input: inputOf(job, task),
    ...parametersOf(task),
    ...(plan.command === undefined || code.engine !== 'wasm' ? {} : { command: plan.command }),
    ...(resume === undefined ? {} : { resume }),
    limits: plan.limits,
    inlineOutputBytes: inlineOutputBytes(job, task),
    priority: plan.priority,
    ...(plan.labels.length === 0 ? {} : { labels: [...plan.labels] }),
    // Kept by nodes that have no clock of their own: it must not be one that is wrong by years.
    ...(code.engine === 'node' && state.clock === 'right' ? { leaderMs: Math.max(0, Math.round(state.wallMs)) } : {}),
  };
  effects.push({ type: 'send', node: node.status.node, message });
}

/** Those of the stage and, over them, those of the task's place in the matrix. */
function parametersOf({ stage: { plan }, ledger }: TaskView): Pick<Assign, 'parameters'> {
  const parameters = plan.parameters as NonNullable<Assign['parameters']> | undefined;
  if (plan.matrix === undefined || ledger.merges) return parameters === undefined ? {} : { parameters };
  const number = Number(ledger.task.slice(plan.stage.length + 1));
  return { parameters: { ...(parameters as object | undefined), ...combinationOf(plan.matrix, number) } };
}

export function codeOf({ ledger, stage: { plan } }: TaskView): CodeReference {
  return ledger.merges ? plan.merge! : plan.code;
}

function inputOf(job: LedgerJob, task: TaskView): TaskInput {
  const { plan } = task.stage;
  const stage = job.stages.get(plan.stage)!;
  if (task.ledger.merges) return { kind: 'parts', parts: partsOf(stage).map((part) => part.output!) };
  if (task.ledger.range !== undefined)
    return { kind: 'records', by: plan.split!.by, source: stage.source!, ...task.ledger.range };
  if (plan.input !== undefined) return { kind: 'whole', source: plan.input };
  if (plan.needs.length === 0) return { kind: 'none' };
  const needs: Record<string, Output | Output[]> = {};
  for (const need of plan.needs) needs[need] = stageOutput(job, need);
  return { kind: 'outputs', needs };
}

/** What ends in the job's result may be larger inline: the result message carries it. */
function inlineOutputBytes(job: LedgerJob, task: TaskView): number {
  const { plan } = task.stage;
  const isResult = plan.sink && (task.ledger.merges || !hasParts(plan));
  if (!isResult) return limits.inlineOutputBytes;
  const results = job.plan.stages.filter((stage) => stage.sink).length;
  return Math.floor(limits.inlineResultBytes / results);
}
