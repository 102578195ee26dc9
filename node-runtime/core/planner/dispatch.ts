import type { Device, PlaceableTask, PlacingOptions } from '@foremesh/partitioner';
import {
  type Assign,
  type CodeReference,
  combinationOf,
  limits,
  type Output,
  type Problem,
  type TaskInput,
} from '../../contract/index.ts';
import { hasParts } from '../job-plan.ts';
import { type LedgerJob, stageOutput } from '../ledger.ts';
import { partsOf } from '../ledger-cuts.ts';
import { tell, transition } from '../task-states.ts';
import {
  foreseenDevices,
  foreseenTask,
  foreseenWork,
  hold,
  type PlannedNodes,
  waitingMost,
  weightsOf,
} from './ahead.ts';
import type { PlannerEffect } from './events.ts';
import { memoryFreeNow, ownCpuAhead } from './foresight/index.ts';
import { type Lane, markHeld, nextOf, Turns } from './lanes.ts';
import { fetchedWhole, neededBlobs, noteNear } from './near.ts';
import { offeredBy, refusedForGood, wantedBy } from './no-room.ts';
import type { WorkSeconds } from './profiles.ts';
import { tasksLeft } from './quotas.ts';
import type { Choice, NodeView, PlannerState, StageView, TaskView } from './state.ts';
import { addAttempt } from './tasks.ts';

/** Stages that may be passed over (their nodes are busy) before a dispatch looks no further in a queue. */
const passedOverMost = 64;

/** Assigns ready tasks, highest priority first, while nodes have room. */
export function dispatch(state: PlannerState, effects: PlannerEffect[]): void {
  if (!state.connected || state.nowMs < state.graceUntilMs) return;
  const planned: PlannedNodes = new Map();
  for (const queue of [...state.ready].reverse()) if (queue.size > 0) dispatchQueue(state, queue, planned, effects);
}

/** What came of a look at the nodes for the next tasks of a stage. */
interface Look {
  /** Tasks that were looked at. */
  readonly asked: number;
  readonly placed: number;
  /** Those that rather wait for better. */
  readonly held: number;
}

function dispatchQueue(
  state: PlannerState,
  queue: Map<StageView, TaskView[]>,
  planned: PlannedNodes,
  effects: PlannerEffect[],
): void {
  const turns = new Turns(state, queue);
  const looked = new Set<Lane>();
  let passedOver = 0;
  let waiting = 0;
  for (let lane = turns.next(); lane !== undefined && passedOver < passedOverMost; lane = turns.next()) {
    looked.add(lane);
    const { stage, job } = lane;
    const left = tasksLeft(state, job);
    const { asked, placed, held } = left === 0 ? nothing : placeNext(state, lane, turns, left, planned, effects);
    waiting += held;
    turns.hold(lane, held);
    const isAtEnd = asked === 0 || (placed + held === asked && lane.at === lane.tasks.length);
    if (waiting < waitingMost && !isAtEnd && placed + held === asked) continue;
    if (waiting > 0 && placed === 0) markHeld(state, stage, lane.tasks);
    turns.end(lane);
    if (!isAtEnd && stage.unplaceable === undefined) passedOver += 1;
  }
  for (const lane of looked) sweep(queue, lane);
}
const nothing: Look = { asked: 0, placed: 0, held: 0 };
const nothingFree: Look = { asked: 1, placed: 0, held: 0 };

/** Takes out of what was looked at what is not ready any more. */
function sweep(queue: Map<StageView, TaskView[]>, { stage, tasks, at }: Lane): void {
  let gone = 0;
  for (let index = 0; index < at; index += 1) {
    const task = tasks[index]!;
    if (task.state === 'ready') continue;
    task.queued = false;
    gone += 1;
  }
  if (gone === tasks.length) queue.delete(stage);
  else if (gone > 0)
    queue.set(
      stage,
      tasks.filter((task) => task.queued),
    );
}

/** One look at the nodes for the next tasks of a stage, as many as it is its turn. */
function placeNext(
  state: PlannerState,
  lane: Lane,
  turns: Turns,
  left: number,
  planned: PlannedNodes,
  effects: PlannerEffect[],
): Look {
  const { stage } = lane;
  const nodes: NodeView[] = [];
  let room = 0;
  let slots = 0;
  for (const node of state.nodes.values()) {
    if (!node.online || !node.confirmed) continue;
    nodes.push(node);
    const { freeSlots, freeQueue } = placesOf(state, node, stage);
    slots += freeSlots;
    room += freeSlots + freeQueue;
  }
  if (room === 0 && isKnownToFit(state, lane)) return nothingFree;
  const devices = nodes.map((node) => deviceOf(state, node, stage));
  const share = Math.min(left, turns.share(lane, room));
  const work = slots === 0 ? undefined : foreseenWork(state, lane.tasks[lane.at]!);
  if (work === undefined) {
    // One more than there is room for, so that an unplaceable stage is noticed on a full mesh too.
    const group = nextOf(state, lane, Math.min(share, limits.messagesPerEnvelope, room + 1));
    return group.length === 0 ? nothing : placeByRoom(state, stage, group, devices, room, effects);
  }
  const from = lane.at;
  const group = nextOf(state, lane, Math.min(slots, share) + waitingMost);
  if (group.length === 0) return nothing;
  const ready = group.length + lane.tasks.length - lane.at;
  const look = placeAhead(state, group, { ready, placedMost: share }, work, devices, planned, effects);
  // It is somebody else's turn: the others are looked at again.
  if (look.asked < group.length) lane.at = lane.tasks.indexOf(group[look.asked]!, from);
  return look;
}

/** On a full mesh: that the next task of the stage will have room was seen before, and nobody offers anything else since. Looks at that task if so. */
function isKnownToFit(state: PlannerState, lane: Lane): boolean {
  const { fits } = lane.stage;
  if (fits?.fleet !== state.fleet) return false;
  const from = lane.at;
  const [next] = nextOf(state, lane, 1);
  if (next?.ledger.merges === fits.merges) return true;
  lane.at = from;
  return false;
}

/** By what is free now: tasks of which nobody knows what they take, or that are over before it matters. */
function placeByRoom(
  state: PlannerState,
  stage: StageView,
  group: readonly TaskView[],
  devices: readonly Device[],
  room: number,
  effects: PlannerEffect[],
): Look {
  const choice = room === 0 ? [] : choiceOf(state, devices, stage);
  const placements = state.policy.place(
    group.map((task) => placeable(state, task)),
    devices,
  );
  let placed = 0;
  let refused: Problem | undefined;
  for (const [index, placement] of placements.entries()) {
    if ('device' in placement) {
      assign(state, placement.device, group[index]!, choice, effects);
      placed += 1;
    } else refused = refusedForGood(state, stage, codeOf(group[0]!), placement.refusals) ?? refused;
  }
  if (placed < group.length && refused === undefined)
    stage.fits = { fleet: state.fleet, merges: group[0]!.ledger.merges };
  noteRefusal(state, stage, group[0]!, refused);
  return { asked: group.length, placed, held: 0 };
}

/** By what each node is expected to give: of the first of the group this is what it takes. */
function placeAhead(
  state: PlannerState,
  group: readonly TaskView[],
  most: Pick<PlacingOptions, 'ready' | 'placedMost'>,
  work: WorkSeconds,
  devices: readonly Device[],
  planned: PlannedNodes,
  effects: PlannerEffect[],
): Look {
  const { stage, job: view } = group[0]!;
  const job = state.ledger.jobs.get(view.key)!;
  const needed = neededBlobs(inputOf(job, group[0]!));
  // One by one: most of them are not reached.
  const foreseenTasks = function* () {
    for (const task of group) yield foreseenTask(state, task, placeable(state, task), work, needed);
  };
  const placements = state.policy.placeByCost(
    foreseenTasks(),
    foreseenDevices(state, devices, needed, planned),
    weightsOf(state, job),
    { ...most, waitingMost, alternativesKept: limits.alternativesKept },
  );
  const then = new Map(devices.map((device) => [device.device, device]));
  let [placed, held] = [0, 0];
  let refused: Problem | undefined;
  for (const [index, placement] of placements.entries()) {
    const task = group[index]!;
    if ('refusals' in placement)
      refused = refusedForGood(state, stage, codeOf(group[0]!), placement.refusals) ?? refused;
    else if ('device' in placement) {
      const choice = placement.alternatives.map(({ device, expected }) => ({ device: then.get(device)!, expected }));
      assign(state, placement.device, task, choice, effects);
      placed += 1;
    } else {
      hold(state, task, work, placement.waitsFor);
      held += 1;
    }
  }
  noteRefusal(state, stage, group[0]!, refused);
  return { asked: placed === most.placedMost ? placements.length : group.length, placed, held };
}

/** A stage that fits no node is not tried again before a node offers something else. */
function noteRefusal(state: PlannerState, stage: StageView, { job }: TaskView, refused: Problem | undefined): void {
  const { unplaceable: before } = stage;
  delete stage.unplaceable;
  if (refused !== undefined) {
    stage.unplaceable = refused;
    stage.refusedByFleet = state.fleet;
  }
  if (before?.message !== stage.unplaceable?.message) job.dirty = true;
}

export function placeable(state: PlannerState, task: TaskView): PlaceableTask {
  const avoid = task.ledger.failures.map((failure) => failure.node);
  for (const [node, untilMs] of task.avoidUntilMs) if (untilMs > state.nowMs) avoid.push(node);
  const { engine, labels, memoryBytes, needsTrust } = wantedBy(task.stage.plan, codeOf(task));
  return { task: task.key, engine, labels, memoryBytes, avoid, needsTrust };
}

export function deviceOf(state: PlannerState, node: NodeView, stage: StageView): Device {
  const { status } = node;
  const { running, freeSlots, freeQueue } = placesOf(state, node, stage);
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
  const { engines, labels, trusts, onlyLabels, isWithheld, offeredMemoryBytes } = offeredBy(node, stage);
  return {
    device: status.node,
    engines,
    labels,
    trusts,
    onlyLabels,
    isWithheld,
    isNear: status.node === state.id,
    speed: status.speed as Record<string, number>,
    coreShare: status.slots === 0 ? 0 : Math.min(1, coresFree / status.slots),
    freeSlots,
    freeQueue,
    freeMemoryBytes: freeBytes - promisedBytes,
    offeredMemoryBytes,
  };
}

/** How many attempts run at a node, and how many more could start or wait there. */
function placesOf(state: PlannerState, node: NodeView, stage: StageView) {
  const { slots } = node.status;
  const running = Math.min(node.attempts.size, slots);
  const queued = node.attempts.size - running;
  return { running, freeSlots: slots - running, freeQueue: Math.max(0, queueAllowance(state, node, stage) - queued) };
}

/** Short tasks wait at the node, so that its slots never run dry between two messages; long ones wait here, undecided. */
export function queueAllowance(state: PlannerState, node: NodeView, stage: StageView): number {
  const { slots, queue } = node.status;
  if (stage.meanWallMs === undefined) return 0;
  return Math.min(queue, Math.floor((state.config.pipelineMs * slots) / Math.max(0.25, stage.meanWallMs)));
}

/** What is told to whoever asks why: the able nodes as they were before anything of the group was placed, free ones first. */
function choiceOf({ policy }: PlannerState, devices: readonly Device[], { plan }: StageView): readonly Choice[] {
  const wanted = wantedBy(plan, plan.code);
  const rate = ({ speed, coreShare, freeSlots }: Device) =>
    (speed[plan.code.engine] ?? 1) * coreShare * (1 + Math.max(0, freeSlots));
  const best: Device[] = [];
  for (const device of devices) {
    const last = best.at(-1);
    if (best.length === limits.alternativesKept && last !== undefined && rate(device) <= rate(last)) continue;
    if (policy.refusal(wanted, device) !== undefined) continue;
    best.splice(best.findLastIndex((each) => rate(each) >= rate(device)) + 1, 0, { ...device });
    if (best.length > limits.alternativesKept) best.pop();
  }
  return best.map((device) => ({ device }));
}

/** The task is ready, or runs elsewhere and this is a copy. */
export function assign(
  state: PlannerState,
  to: string,
  task: TaskView,
  choice: readonly Choice[],
  effects: PlannerEffect[],
): void {
  const node = state.nodes.get(to)!;
  const job = state.ledger.jobs.get(task.job.key)!;
  const key = `${task.key}#${state.term}.${state.nextAttempt}`;
  state.nextAttempt += 1;
  const { checkpoint } = task.ledger;
  const resume = checkpoint?.state.blob === task.lostState ? undefined : checkpoint;
  const attempt = addAttempt(state, node, task, key, resume?.state.blob);
  attempt.choice = choice;
  const expected = choice.find(({ device }) => device.device === to)?.expected;
  if (expected !== undefined) attempt.expected = expected;
  delete task.held;
  if (task.state === 'ready') transition(task, 'assigned', `${key} to ${to}`);
  else tell(task.story, `${key}, a copy, to ${to}`);
  const { plan } = task.stage;
  const code = codeOf(task);
  const input = inputOf(job, task);
  noteNear(node, code.blob, ...fetchedWhole(input));
  const message: Assign = {
    type: 'assign',
    attempt: key,
    account: job.account,
    job: job.job,
    stage: plan.stage,
    task: task.ledger.task,
    code,
    input,
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
  effects.push({ type: 'send', node: to, message });
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

export function inputOf(job: LedgerJob, task: TaskView): TaskInput {
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
