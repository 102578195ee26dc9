import type { ChunkCopy, ChunkDeadline, RunningChunk } from '@foremesh/partitioner';
import { wishedConfidence } from '../ledger.ts';
import { isWhole } from '../ledger-cuts.ts';
import { assign, deviceOf } from './dispatch.ts';
import type { PlannerEffect } from './events.ts';
import { capacityOf } from './foresight/index.ts';
import { wantedBy } from './no-room.ts';
import { meanUntil, takersOf } from './pace.ts';
import { tasksLeft } from './quotas.ts';
import type { NodeView, PlannerState, StageView, TaskView } from './state.ts';

/** A copy is begun where it would be earlier even at this share of the speed that is expected: it takes what others could use. */
const cautiousShare = 0.8;
/** It takes nothing from the device's own work: a slot must give at least this part of what it can, on the average of the time that a part takes. */
const calmShare = 0.75;

/**
 * When nobody has records left for them, idle nodes run what still runs elsewhere once more, where they would end it earlier: the first result
 * counts. After the dispatch: what a node could have begun it has.
 */
export function copyLate(state: PlannerState, effects: PlannerEffect[]): void {
  if (!state.connected || state.nowMs < state.graceUntilMs) return;
  // Slots that are free until the log has more for them are not idle.
  for (const { cuttingSinceMs } of state.cutting.keys()) if (cuttingSinceMs !== undefined) return;
  const late = lateTasks(state);
  for (const node of late.size === 0 ? [] : state.nodes.values()) {
    if (!node.online || !node.confirmed) continue;
    for (const [stage, tasks] of late) {
      for (let copy = copyFor(state, node, stage, tasks); copy !== undefined; ) {
        const { task } = copy.chunk;
        assign(state, node.status.node, task, [], effects);
        if (copy.inTime !== undefined) [...task.attempts].at(-1)!.inTime = copy.inTime;
        copy = copyFor(state, node, stage, tasks);
      }
    }
  }
}

/** By their stages the tasks that run once, of stages that have nothing else to hand out. */
function lateTasks(state: PlannerState): Map<StageView, TaskView[]> {
  const late = new Map<StageView, TaskView[]>();
  for (const { task } of state.attempts.values()) {
    const { stage, ledger, attempts } = task;
    // Of tasks of a matrix one may well take a hundred times as long as another.
    if (ledger.range === undefined || attempts.size > 1 || task.committing || task.job.ending) continue;
    // Nobody can say of what talks to the world that it may happen twice.
    if (stage.plan.code.manifest?.capabilities.includes('network') === true) continue;
    const known = late.get(stage);
    if (known !== undefined) known.push(task);
    else if (stage.pace.anywhere !== undefined && isAllOut(state, task)) late.set(stage, [task]);
  }
  return late;
}

function isAllOut(state: PlannerState, { job, stage }: TaskView): boolean {
  const ledger = state.ledger.jobs.get(job.key)!.stages.get(stage.plan.stage)!;
  return isWhole(ledger) && ledger.openParts === stage.atNodes;
}

/**
 * Of a job with a deadline, when the parts of a stage should be done, and how sure that is to be of each of them, so that it is as sure as was asked
 * for of all together.
 */
function deadlineFor(state: PlannerState, { job: view, stage }: TaskView): ChunkDeadline | undefined {
  const job = state.ledger.jobs.get(view.key)!;
  const confidence = wishedConfidence(job);
  if (confidence === undefined || view.dueMs === undefined) return undefined;
  const { stage: name } = stage.plan;
  const follows = view.outlook?.followsSeconds.get(name) ?? 0;
  const withinSeconds = (view.dueMs - state.nowMs) / 1_000 - follows;
  return { withinSeconds, confidence: confidence ** (1 / job.stages.get(name)!.openParts) };
}

type RunningTask = RunningChunk & { readonly task: TaskView };

/** The task of which the node should run a copy now, if it has a slot for one. */
function copyFor(
  state: PlannerState,
  node: NodeView,
  stage: StageView,
  tasks: readonly TaskView[],
): ChunkCopy<RunningTask> | undefined {
  const offer = deviceOf(state, node, stage);
  const hasRoom = offer.freeSlots > 0 && offer.freeMemoryBytes >= stage.plan.limits.memoryBytes;
  if (!hasRoom || state.policy.refusal(wantedBy(stage.plan, stage.plan.code), offer) !== undefined) return undefined;
  const forSeconds = (stage.meanWallMs ?? state.config.forecastStepMs) / 1_000;
  const { q50, demand } = capacityOf(state, node);
  if (meanUntil(q50, forSeconds) < calmShare * demand) return undefined;
  const { range } = tasks[0]!.ledger;
  const { source } = state.ledger.jobs.get(tasks[0]!.job.key)!.stages.get(stage.plan.stage)!;
  const recordBytes = (range!.end - range!.start) / range!.records;
  const taker = takersOf(state, stage, { source: source!, recordBytes });
  const devices = [taker(node)];
  const running: RunningTask[] = [];
  for (const task of tasks) {
    const [attempt] = task.attempts;
    const at = state.nodes.get(attempt?.node ?? '');
    if (attempt === undefined || at === undefined || at === node || task.attempts.size > 1) continue;
    if (isSpared(state, node, task) || tasksLeft(state, task.job) === 0) continue;
    const ageSeconds = (state.nowMs - (attempt.startedMs ?? attempt.assignedMs)) / 1_000;
    running.push({
      items: task.ledger.range!.records,
      ageSeconds,
      device: devices.push(taker(at)) - 1,
      copies: 1,
      task,
    });
  }
  const deadline = deadlineFor(state, tasks[0]!);
  return state.policy.chunks.copy(running, devices, 0, { speedShare: cautiousShare, deadline });
}

/** It failed there, or the node could not run it. */
function isSpared({ nowMs }: PlannerState, { status }: NodeView, { ledger, avoidUntilMs }: TaskView): boolean {
  if (ledger.failures.some((failure) => failure.node === status.node)) return true;
  return (avoidUntilMs.get(status.node) ?? 0) > nowMs;
}
