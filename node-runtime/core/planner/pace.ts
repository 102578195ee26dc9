import type { CapacityCurve, ChunkDevice, Quantiles } from '@foremesh/partitioner';
import type { DataReference } from '../../contract/index.ts';
import { capacityOf, leavesPerSecondOf } from './foresight/index.ts';
import { linkBytesPerSecond, nearBytes } from './near.ts';
import { believedWork, bySaid, profileOfInput } from './profiles.ts';
import type { AttemptView, NodeView, PlannerState, StageRecords, StageView, TaskView } from './state.ts';

/** What the parts of a stage have told so far of how fast it goes. */
export interface StagePace {
  /** Seconds that a record takes on a whole core of a node, once it is there. */
  readonly byNode: Map<string, number>;
  /** The same on a core of speed 1, of whichever node. */
  anywhere?: number;
  /** From the assignment of a part to its first record, milliseconds, when nothing was ahead of it. */
  startMs?: number;
}

/** What the newest part says counts so much. */
const newestShare = 0.5;
/** Starts that take longer were waiting for data: they hardly count, or large pieces would ask for larger ones. */
const slowStartShare = 0.1;
/** No input is nothing to do. */
const workSecondsLeast = 0.001;
/** Until a part of the stage has been seen to start. */
const unknownStartMs = 50;

/** A part has begun on a node where nothing was ahead of it. */
export function noteStart({ status, attempts }: NodeView, { task, startedMs, assignedMs }: AttemptView): void {
  if (startedMs === undefined || attempts.size > status.slots || task.ledger.merges) return;
  const { pace } = task.stage;
  const tookMs = startedMs - assignedMs;
  const before = pace.startMs ?? tookMs;
  pace.startMs = tookMs < before ? tookMs : before + (tookMs - before) * slowStartShare;
}

/** A part is done: it says how fast the node is at this stage, whatever else the device had to do meanwhile. */
export function notePace(state: PlannerState, { ledger, stage }: TaskView): void {
  const { committed, checkpointedBy, range } = ledger;
  const node = state.nodes.get(committed?.node ?? '');
  if (node === undefined || committed === undefined || ledger.merges) return;
  // One that went on from the state of another attempt has not done all of the work.
  if (checkpointedBy !== undefined && checkpointedBy !== committed.attempt) return;
  const seconds = Math.max(1, committed.usage.wallMs) / 1_000;
  const each = (seconds * capacityOf(state, node).q50.rates[0]!) / (range?.records ?? 1);
  const { pace } = stage;
  const mix = (before = each) => before + (each - before) * newestShare;
  pace.byNode.set(node.status.node, mix(pace.byNode.get(node.status.node)));
  const atSpeed1 = each * speedOf(node, stage);
  pace.anywhere = pace.anywhere === undefined ? atSpeed1 : pace.anywhere + (atSpeed1 - pace.anywhere) * newestShare;
}

/** From the assignment of a part to its first record, and until the log has what came of it, seconds. */
function overheadSeconds({ logMs }: PlannerState, { pace }: StageView): number {
  return ((pace.startMs ?? unknownStartMs) + logMs) / 1_000;
}

interface RecordRate {
  /** Records per second that a whole core of a node would do. */
  readonly perCore: number;
  /** Parts that it has finished say so; or parts of others, or of other jobs; or nothing does, and it tells nodes apart at most. */
  readonly basis: 'measured' | 'expected' | 'none';
}

/** What the records of a stage are fetched from, and how large one is in the mean. */
export interface RecordSource {
  readonly source: DataReference;
  readonly recordBytes: number;
}

/** The slots of nodes, as takers of pieces of a stage, by what they will give within so many seconds. */
export function takersOf(
  state: PlannerState,
  stage: StageView,
  { source, recordBytes }: RecordSource,
  forSeconds = (stage.meanWallMs ?? state.config.forecastStepMs) / 1_000,
): (node: NodeView) => ChunkDevice {
  const rate = ratesOf(state, stage);
  const needed = { blobs: new Map([[source.blob, recordBytes]]), totalBytes: recordBytes };
  return (node) => {
    const { perCore, basis } = rate(node);
    const { q10, q50, q90 } = sharesOf(state, node, forSeconds);
    const fetchedBytes = recordBytes - nearBytes(state, node, needed);
    const isKnown = basis !== 'none';
    return {
      itemsPerSecond: q50 * perCore,
      band: { q10: q10 * perCore, q90: q90 * perCore },
      isMeasured: basis === 'measured',
      // As long as nobody knows how long a record takes, all else would be compared with nothing.
      overheadSeconds: isKnown ? overheadSeconds(state, stage) : 0,
      leavesPerSecond: isKnown ? leavesPerSecondOf(state, node) : 0,
      transferSecondsPerItem: isKnown ? fetchedBytes / linkBytesPerSecond(node) : 0,
    };
  };
}

/** What one slot of a node will give within so many seconds, in shares of a core. */
function sharesOf(state: PlannerState, node: NodeView, forSeconds: number): Quantiles {
  const { q10, q50, q90 } = capacityOf(state, node);
  const middle = meanUntil(q50, forSeconds);
  // Where nothing is foreseen all three are one.
  if (q10 === q90) return { q10: middle, q50: middle, q90: middle };
  return { q10: meanUntil(q10, forSeconds), q50: middle, q90: meanUntil(q90, forSeconds) };
}

/** What slots do at least, with that probability, of what they do in the middle; all together, within a step of the forecast. */
export function sureShareOf(state: PlannerState, confidence: number): number {
  let [surely, middle] = [0, 0];
  for (const node of state.nodes.values()) {
    if (!node.online || !node.confirmed) continue;
    const { q50: itemsPerSecond, ...band } = sharesOf(state, node, state.config.forecastStepMs / 1_000);
    surely += node.status.slots * state.policy.chunks.surely({ itemsPerSecond, band }, confidence);
    middle += node.status.slots * itemsPerSecond;
  }
  return middle === 0 ? 1 : surely / middle;
}

/** How fast nodes are at a stage. Of which nobody has seen a part: by what is known of its code, at its slowest, else by its author. */
function ratesOf(state: PlannerState, stage: StageView): (node: NodeView) => RecordRate {
  const { pace, records } = stage;
  const atSpeed1 = pace.anywhere ?? (records && foreseen(state, stage, records));
  return (node) => {
    const own = pace.byNode.get(node.status.node);
    if (own !== undefined) return { perCore: 1 / own, basis: 'measured' };
    const speed = speedOf(node, stage);
    if (atSpeed1 === undefined) return { perCore: speed, basis: 'none' };
    return { perCore: speed / atSpeed1, basis: 'expected' };
  };
}

/** Seconds per record on a core of speed 1, before a part of the stage is done. */
function foreseen(state: PlannerState, { plan }: StageView, { index, source }: StageRecords): number | undefined {
  const byAuthor = plan.estimateSeconds === undefined ? undefined : bySaid(plan.estimateSeconds);
  const believed = believedWork(profileOfInput(state, plan, source.sizeBytes), byAuthor);
  if (believed === undefined) return undefined;
  // What others took counts at the slowest that is likely: a piece that turns out too large is worse than one too small.
  const { q50, q90 } = believed.workSeconds;
  return Math.max(workSecondsLeast, believed.basis === 'author' ? q50 : q90) / index.totalRecords;
}

function speedOf({ status }: NodeView, { plan }: StageView): number {
  return status.speed[plan.code.engine] ?? 1;
}

/** The mean of a curve from now on. */
export function meanUntil({ untilSeconds, rates }: CapacityCurve, forSeconds: number): number {
  let sum = 0;
  let from = 0;
  for (let phase = 0; phase < rates.length && from < forSeconds; phase += 1) {
    const until = Math.min(forSeconds, untilSeconds[phase] ?? forSeconds);
    sum += rates[phase]! * Math.max(0, until - from);
    from = Math.max(from, until);
  }
  return sum / forSeconds;
}
