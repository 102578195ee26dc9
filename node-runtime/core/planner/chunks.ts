import type { ChunkDevice } from '@foremesh/partitioner';
import { limits, type RecordIndex } from '../../contract/index.ts';
import type { StagePlan } from '../job-plan.ts';
import { type LedgerJob, type LedgerStage, wishedConfidence } from '../ledger.ts';
import type { CutTask, RecordRange } from '../ledger-commands.ts';
import { isWhole, partName, partsNamed } from '../ledger-cuts.ts';
import { tasksOf } from '../ledger-retention.ts';
import { deviceOf, queueAllowance } from './dispatch.ts';
import type { PlannerEffect } from './events.ts';
import { slotsFreeSeconds } from './foresight/index.ts';
import { wantedBy } from './no-room.ts';
import { takersOf } from './pace.ts';
import type { AttemptView, JobView, PlannerState, StageRecords, StageView, TaskView } from './state.ts';
import { endJob } from './tasks.ts';

/** Whether nobody has said how large its tasks are: whoever splits by files or blocks has. */
export function isCutAsItRuns({ split }: StagePlan): boolean {
  return split !== undefined && split.chunks === undefined && (split.by === 'lines' || split.by === 'items');
}

/** A holder is asked where the records of a stage begin. */
export function askForIndex(
  { account, job }: LedgerJob,
  { plan }: StageView,
  source: (PlannerEffect & { type: 'index' })['source'],
): PlannerEffect {
  const { by, blockBytes } = plan.split!;
  const block = blockBytes === undefined ? {} : { blockBytes };
  return { type: 'index', account, job, stage: plan.stage, source, by, ...block };
}

/** Whether an answer to that is waited for. */
export function awaitsIndex({ phase, records, plan, isAsked }: StageView, { rest }: LedgerStage): boolean {
  if (records !== undefined) return false;
  return phase === 'index' || isAsked === true || (rest !== undefined && isCutAsItRuns(plan));
}

/** From now on the stage is cut as nodes take its records, and its tasks can be split anew; or what is wrong with the index. */
export function keepRecords(
  state: PlannerState,
  view: JobView,
  stage: StageView,
  ledger: LedgerStage,
  { source, index }: StageRecords,
): string | undefined {
  const problem = state.policy.chunks.problemOf(index) ?? findChange(ledger, index);
  if (problem !== undefined) return problem;
  stage.records = { source, index };
  if (!isWhole(ledger)) state.cutting.set(stage, view);
  return undefined;
}

/**
 * Proposes to split a task anew that is not done: into pieces of about so many records each, and one of what is left. False: it cannot be, or not
 * yet: where nobody here knows any more where its records begin, a holder is asked, and a later call may find them.
 */
export function splitAnew(
  state: PlannerState,
  task: TaskView,
  sizes: readonly number[],
  effects: PlannerEffect[],
): boolean {
  const { stage, job: view, ledger, committing } = task;
  const { range } = ledger;
  const job = state.ledger.jobs.get(view.key)!;
  const of = job.stages.get(stage.plan.stage)!;
  if (range === undefined || ledger.committed !== undefined || committing || view.ending) return false;
  if (stage.records === undefined) {
    if (!awaitsIndex(stage, of)) effects.push(askForIndex(job, stage, of.source!));
    stage.isAsked = true;
    return false;
  }
  const pieces = state.policy.chunks.cut(stage.records.index, range, [...sizes, range.records]);
  if (pieces.length < 2 || pieces.length > chunksMost(job, of)) return false;
  const into = named(of, pieces);
  const head = { account: job.account, job: job.job, atMs: state.wallMs };
  effects.push({ type: 'propose', commands: [{ type: 'retire-task', ...head, task: ledger.task, into }] });
  return true;
}

function named(ledger: LedgerStage, pieces: readonly RecordRange[]): CutTask[] {
  const first = partsNamed(ledger);
  return pieces.map((range, number) => ({ task: partName(ledger.stage, first + number), range }));
}

/** The leader before was told the same: else records would be lost without a word. */
function findChange({ rest }: LedgerStage, { totalRecords, records, offsets }: RecordIndex): string | undefined {
  if (rest === undefined) return undefined;
  if (rest.totalRecords !== totalRecords) return `it had ${rest.totalRecords} records and now has ${totalRecords}`;
  const next = records.findIndex((record) => record >= rest.firstRecord);
  if (next < 0) return undefined;
  const isSame = records[next] === rest.firstRecord ? offsets[next] === rest.start : offsets[next]! > rest.start;
  return isSame ? undefined : `record ${rest.firstRecord} began at byte ${rest.start} before`;
}

/** Cuts more of every stage of which the nodes will soon have nothing left to take. */
export function cutAhead(state: PlannerState, effects: PlannerEffect[]): void {
  if (!state.connected || state.nowMs < state.graceUntilMs) return;
  for (const [stage, view] of state.cutting)
    if (
      stage.cuttingSinceMs === undefined &&
      (stage.cutsAgainMs ?? Number.NEGATIVE_INFINITY) <= state.nowMs &&
      !view.ending
    )
      cutMore(state, view, stage, effects);
}

function cutMore(state: PlannerState, view: JobView, stage: StageView, effects: PlannerEffect[]): void {
  const job = state.ledger.jobs.get(view.key)!;
  const ledger = job.stages.get(stage.plan.stage)!;
  const waiting = ledger.openParts - stage.atNodes;
  const slots = roomOf(state, stage);
  const reserve = reserveOf(state, stage, slots.all);
  if (waiting >= slots.free + reserve) return;
  const { index, source } = stage.records!;
  const rest = restOf(ledger, index);
  const most = chunksMost(job, ledger);
  if (most < 1) {
    const message = `tasksPerJob is ${limits.tasksPerJob}; with stage ${stage.plan.stage} the job would have more`;
    effects.push(endJob(state, job, { code: 'MESH_LIMIT_EXCEEDED', message, mend: 'make a job of each stage' }));
    return;
  }
  const least = Math.ceil(rest.records / most);
  const sizes = sizesFor(state, stage, { rest, waiting, reserve, least }, wishedConfidence(job));
  if (sizes.length === 0) return;
  const tasks = named(ledger, state.policy.chunks.cut(index, rest, sizes));
  if (!ledger.cut) stage.phase = 'cut';
  stage.cuttingSinceMs = state.nowMs;
  const head = { account: job.account, job: job.job, atMs: state.wallMs, stage: stage.plan.stage };
  const { totalRecords } = index;
  effects.push({
    type: 'propose',
    commands: [{ type: 'cut-stage', ...head, ...(ledger.cut ? {} : { source }), totalRecords, tasks }],
  });
}

/** The log has a cut of the stage, or has refused it: the next may be proposed. */
export function cutSettled(state: PlannerState, stage: StageView, ledger: LedgerStage): void {
  if (stage.cuttingSinceMs !== undefined) {
    const tookMs = state.nowMs - stage.cuttingSinceMs;
    state.logMs += (tookMs - state.logMs) * logNewestShare;
    delete stage.cuttingSinceMs;
  }
  if (!isWhole(ledger)) return;
  if (stage.isAsked !== true) delete stage.records;
  state.cutting.delete(stage);
}

const logNewestShare = 0.25;

/** Another cut was first, or a task was split anew meanwhile. Whatever it is, the log is not filled with what it refuses. */
export function cutRefused(state: PlannerState, stage: StageView, ledger: LedgerStage): void {
  cutSettled(state, stage, ledger);
  stage.cutsAgainMs = state.nowMs + refusedRestMs;
}

const refusedRestMs = 200;

function restOf({ rest }: LedgerStage, { totalRecords, endOffset, offsets }: RecordIndex): RecordRange {
  const { firstRecord, start } = rest ?? { firstRecord: 0, start: offsets[0]! };
  return { firstRecord, start, records: totalRecords - firstRecord, end: endOffset };
}

/** So many tasks the stage may still have: half of what is left of the job's, so that the next stage has some too. */
function chunksMost(job: LedgerJob, ledger: LedgerStage): number {
  const ofJob = Math.floor((limits.tasksPerJob - tasksOf(job)) / 2);
  return Math.min(ofJob, limits.tasksPerStage - partsNamed(ledger) - 1);
}

/** Places of nodes that take work, whether they could take this or not. */
function roomOf(state: PlannerState, stage: StageView): { readonly all: number; readonly free: number } {
  let all = 0;
  let free = 0;
  for (const node of state.nodes.values()) {
    if (!node.online || !node.confirmed) continue;
    all += node.status.slots;
    free += Math.max(0, node.status.slots + queueAllowance(state, node, stage) - node.attempts.size);
  }
  return { all, free };
}

/** As many as will be begun while the log takes in the next ones; with nothing to go by, one for each slot. */
function reserveOf({ logMs }: PlannerState, { meanWallMs }: StageView, slots: number): number {
  if (meanWallMs === undefined) return Math.max(1, slots);
  return Math.max(1, Math.min(slots, Math.ceil((2 * slots * logMs) / Math.max(1, meanWallMs))));
}

interface Asking {
  /** Its index among the devices. */
  readonly device: number;
  /** Until it does. */
  readonly inSeconds: number;
}

interface Wanted {
  readonly rest: RecordRange;
  readonly waiting: number;
  readonly reserve: number;
  readonly least: number;
}

/** How many records each of the next tasks gets: one for whoever asks now, and some for those that will ask next. */
function sizesFor(
  state: PlannerState,
  stage: StageView,
  { rest, waiting, reserve, least }: Wanted,
  confidence: number | undefined,
): number[] {
  let takers = devicesOf(state, stage);
  // Of what may come as long as a piece takes, which may be far longer than those before it: else all would be as sure as what is measured now.
  if (confidence !== undefined && takers.devices.length > 0)
    takers = devicesOf(state, stage, state.policy.chunks.nextSeconds(rest.records, takers.devices));
  const { devices, asking, room } = takers;
  const wanted = Math.max(room + reserve - waiting, 0);
  if (devices.length === 0) {
    // Whoever comes finds one; and that nobody can take it is noticed by that one.
    return waiting > 0 ? [] : [Math.max(least, Math.ceil(rest.records / state.config.chunksUnsized))];
  }
  const sizes: number[] = [];
  let { records } = rest;
  const turns = new Asks(asking);
  const waitingSeconds = (stage.meanWallMs ?? 0) / 1_000;
  for (let at = 0; at < waiting + wanted && records > 0; at += 1) {
    const { device, inSeconds } = turns.next();
    if (at < waiting) {
      turns.add({ device, inSeconds: inSeconds + waitingSeconds });
      continue;
    }
    const size = Math.max(least, state.policy.chunks.size(records, devices, device, confidence));
    sizes.push(size);
    records -= size;
    turns.add({ device, inSeconds: inSeconds + secondsFor(devices[device]!, size) });
  }
  return sizes;
}

function secondsFor({ overheadSeconds, transferSecondsPerItem, itemsPerSecond }: ChunkDevice, records: number): number {
  return overheadSeconds + records * (transferSecondsPerItem + 1 / itemsPerSecond);
}

/** Who asks next: the first time, in the order that is given, and each again when it is done with what it got. */
class Asks {
  readonly #first: readonly Asking[];
  #nextFirst = 0;
  /** In the order in which they ask; those before `#nextAgain` have. Most come to the end: who begins later asks later. */
  readonly #again: Asking[] = [];
  #nextAgain = 0;

  constructor(first: readonly Asking[]) {
    this.#first = first;
  }

  next(): Asking {
    const first = this.#first[this.#nextFirst];
    const again = this.#again[this.#nextAgain];
    if (first === undefined || (again !== undefined && again.inSeconds < first.inSeconds)) {
      this.#nextAgain += 1;
      return again!;
    }
    this.#nextFirst += 1;
    return first;
  }

  add(asking: Asking): void {
    let at = this.#again.length;
    while (at > this.#nextAgain && this.#again[at - 1]!.inSeconds > asking.inSeconds) at -= 1;
    this.#again.splice(at, 0, asking);
  }
}

/** Every slot that could take parts of the stage as a device of its own, and in which order they ask: those that are free the fastest first. */
function devicesOf(
  state: PlannerState,
  stage: StageView,
  forSeconds?: number,
): { readonly devices: ChunkDevice[]; readonly asking: Asking[]; readonly room: number } {
  const devices: ChunkDevice[] = [];
  const asking: Asking[] = [];
  let room = 0;
  const { source, index } = stage.records!;
  const wanted = wantedBy(stage.plan, stage.plan.code);
  const taker = takersOf(state, stage, { source, recordBytes: index.endOffset / index.totalRecords }, forSeconds);
  for (const node of state.nodes.values()) {
    if (!node.online || !node.confirmed) continue;
    const offer = deviceOf(state, node, stage);
    if (state.policy.refusal(wanted, offer) !== undefined) continue;
    const device = taker(node);
    const { slots } = node.status;
    const { freeQueue } = offer;
    const byMemory = Math.floor(offer.freeMemoryBytes / stage.plan.limits.memoryBytes);
    const free = Math.max(0, Math.min(offer.freeSlots, byMemory));
    const isOfStage = ({ task }: AttemptView) => task.stage === stage && stage.pace.anywhere !== undefined;
    // By the size of each piece: the mean of a stage whose pieces shrink says little of the large ones.
    const untilFree = slotsFreeSeconds(state, node, (attempt) =>
      isOfStage(attempt) ? secondsFor(device, attempt.task.ledger.range?.records ?? 0) * 1_000 : undefined,
    ).sort((a, b) => a - b);
    for (let slot = 0; slot < slots; slot += 1) {
      asking.push({ device: devices.length, inSeconds: untilFree[slot]! });
      devices.push(device);
    }
    for (let place = 0; place < freeQueue; place += 1) asking.push({ device: devices.length - 1, inSeconds: 0 });
    room += free + freeQueue;
  }
  const rateOf = (each: Asking) => devices[each.device]!.itemsPerSecond;
  asking.sort((a, b) => (a.inSeconds === b.inSeconds ? rateOf(b) - rateOf(a) : a.inSeconds - b.inSeconds));
  return { devices, asking, room };
}
