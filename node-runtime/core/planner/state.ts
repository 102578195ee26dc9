import type { CodeProfile, LeavingHazards, TaskPredictor } from '@foremesh/models';
import type {
  Alternative,
  ChunkPolicy,
  CostFunction,
  CostWeights,
  Device,
  ExpectedCost,
  Move,
  PlaceableTask,
  Placement,
  PlannedJob,
  PlanRequest,
  placeByCost,
  Quantiles,
  RankedStage,
  RecordPiece,
  refusalForGood,
  repartitionTask,
  Stay,
} from '@foremesh/partitioner';
import {
  type DataReference,
  limits,
  type MetricSample,
  type MoveCounts,
  type NodeStatus,
  type Problem,
  type RecordIndex,
  type Schedule,
} from '../../contract/index.ts';
import type { StagePlan } from '../job-plan.ts';
import type { Ledger, LedgerTask } from '../ledger.ts';
import type { Story, TaskState } from '../task-states.ts';
import {
  createForesightState,
  type Foresight,
  type ForesightState,
  type NodeSeries,
  type OffersAhead,
  type Presence,
  type SlotRates,
} from './foresight/index.ts';
import { createMovesState, type MovesState } from './moves-state.ts';
import type { StagePace } from './pace.ts';

/** Every duration that the planner goes by, milliseconds. */
export interface PlannerConfig {
  /** After an election with open jobs: how long nodes may say what still runs before anything is assigned anew. */
  readonly inventoryGraceMs: number;
  /** How often a node with work is asked what it has in hand. */
  readonly inventoryIntervalMs: number;
  /** The same for a node without work: should a word to it have been lost, it still keeps, or runs, what nobody wants. */
  readonly idleInventoryIntervalMs: number;
  /** A node that says nothing for this long is lost. */
  readonly nodeSilenceMs: number;
  /** A job's state is published at most this often, unless its phase changes. */
  readonly statePublishMs: number;
  /** How much work may wait behind a node's slots, so that they never run dry between two messages. */
  readonly pipelineMs: number;
  /** How long a node that could not run an attempt is left in peace by that task. */
  readonly nodeFaultBackoffMs: number;
  /** How long a node that gave an attempt back, for its owner's sake, is left in peace by that task. */
  readonly releasedBackoffMs: number;
  /** A task that nodes could not run this often, through no fault of its own, fails its job. */
  readonly nodeFaultsMost: number;
  /** A node with work is looked at at least this often, and so many of them at once: whether what it has in hand would end sooner elsewhere. */
  readonly repartitionIntervalMs: number;
  readonly repartitionNodes: number;
  /** A task that was moved stays for so long. */
  readonly moveCoolDownMs: number;
  /** So many tasks move, at most, in each interval. */
  readonly movesPerInterval: number;
  readonly movesIntervalMs: number;
  /** Into how many pieces a stage is cut that does not say so, as long as nobody is there to size them for. */
  readonly chunksUnsized: number;
  /** How long a step of a forecast is, and how many there are. */
  readonly forecastStepMs: number;
  readonly forecastSteps: number;
  /** What one account may have: tasks assigned at once, and bytes in the blobs that its jobs name. */
  readonly tasksAtOncePerAccount: number;
  readonly storedBytesPerAccount: number;
}

export const plannerDefaults: PlannerConfig = {
  inventoryGraceMs: 1_500,
  inventoryIntervalMs: 10_000,
  idleInventoryIntervalMs: 60_000,
  nodeSilenceMs: 20_000,
  statePublishMs: 250,
  pipelineMs: 150,
  nodeFaultBackoffMs: 1_000,
  releasedBackoffMs: 5_000,
  nodeFaultsMost: 10,
  repartitionIntervalMs: 2_000,
  repartitionNodes: 32,
  moveCoolDownMs: 30_000,
  movesPerInterval: 16,
  movesIntervalMs: 10_000,
  chunksUnsized: 12,
  forecastStepMs: 60_000,
  forecastSteps: 30,
  tasksAtOncePerAccount: limits.tasksAtOncePerAccount,
  storedBytesPerAccount: limits.storedBytesPerAccount,
};

/** What the leader forecasts and places with: injected, so that the core imports no model and no strategy. */
export interface PlannerPolicy {
  /** New for each leadership: what a leader before this one has learned is learned again, from what the nodes keep. */
  readonly createForesight: () => Foresight;
  /** What is learned of when nodes leave; nothing is said of it unless there is one. */
  readonly createLeaving?: () => LeavingHazards;
  /** Cuts the records of an index into contiguous pieces, as large as the weights say; or says how it contradicts itself. */
  readonly cut: (index: RecordIndex, weights: readonly number[]) => RecordPiece[] | string;
  /** When a schedule is due; in words, why this machine cannot tell. It knows no clock, but what time it is where. */
  readonly occurrences: (schedule: Schedule) => Occurrences | string;
  /** What tasks will take, from what finished ones took. */
  readonly predictTasks: (profiles: Iterable<CodeProfile>) => TaskPredictor;
  /** What it would cost to run a task on a device, in seconds. */
  readonly cost: CostFunction;
  /** Whether it goes by forecasts, or by what is measured now as if it stayed so. */
  readonly looksAhead: boolean;
  /** Plans all that is left of a job. Throws RangeError where a task can run nowhere. */
  readonly plan: (request: PlanRequest) => PlannedJob;
  /** How stages are cut that do not say into how many. */
  readonly chunks: ChunkPolicy;
  /** How much each of its terms counts where a job does not say. */
  readonly weights: CostWeights;
  /** Tasks whose work is known, where it costs least, be it later. */
  readonly placeByCost: typeof placeByCost;
  /** How long the way to the end is from each stage, itself included, in seconds of work: those it needs by their index. */
  readonly rank: (stages: readonly RankedStage[]) => ArrayLike<number>;
  /** What keeps a task off a device until that offers something else. */
  readonly refusal: typeof refusalForGood;
  readonly place: (tasks: readonly PlaceableTask[], devices: readonly Device[]) => Placement[];
  /** What of the work that is out should be elsewhere. */
  readonly repartition: typeof repartitionTask;
}

/** The occurrences of a schedule; milliseconds since 1970. */
export interface Occurrences {
  /** The first one later than that. */
  readonly next: (afterMs: number) => number | undefined;
  /** The last one not later than that. */
  readonly latest: (untilMs: number) => number | undefined;
}

export interface NodeView {
  status: NodeStatus;
  online: boolean;
  /** It has said in this leadership, on this connection, what it has in hand: only then it gets work. */
  confirmed: boolean;
  seenMs: number;
  /** The number of the last inventory request, and when it was sent. */
  request: number;
  requestedMs: number;
  /** It has an outcome that could not be settled when it came: it is asked again. */
  owes: boolean;
  /** When it was looked at for what should be elsewhere, what its own work took then, and where its forecast began. */
  looked?: { readonly atMs: number; readonly cpu: number; readonly originMs?: number };
  /** In the order of assignment. */
  readonly attempts: Set<AttemptView>;
  tasksDone: number;
  /** Its wall clock less our monotonic one, when it last told: the same for ever, if both clocks run well. */
  clockTold?: { readonly leadMs: number; readonly atMs: number };
  latest?: MetricSample;
  /** When that was heard. */
  latestMs: number;
  /** What its owner's hours and network budget will change. */
  offersAhead?: OffersAhead;
  /** What it has measured, and what is forecast from that. */
  readonly series: NodeSeries;
  /** What a slot of it will give, as it was worked out last. */
  rates?: SlotRates;
  readonly leaving?: Presence;
  /** How often it is expected to leave, by the last forecast. */
  leavesPerSecond?: number;
  /** Blobs that it has, as far as is known; those that came last are last. */
  readonly nearBlobs: Set<string>;
  /** The most that was seen to arrive there. */
  receivedBytesPerSecondMost: number;
}

/** Where the records of a stage are, and where they begin. */
export interface StageRecords {
  readonly source: DataReference;
  readonly index: RecordIndex;
}

export interface StageView {
  readonly plan: StagePlan;
  phase: 'needs' | 'index' | 'cut' | 'open' | 'done';
  /** While some are in no task yet, or a task is to be split anew; absent too while a holder is asked. */
  records?: StageRecords;
  /** A task of it is to be split anew. */
  isAsked?: boolean;
  /** A cut of it is on its way into the log, since then. */
  cuttingSinceMs?: number;
  /** The log has refused one: the next is not proposed before this. */
  cutsAgainMs?: number;
  /** How many of its tasks are at nodes. */
  atNodes: number;
  readonly pace: StagePace;
  /** Exponentially weighted mean of what its finished parts took, milliseconds. */
  meanWallMs?: number;
  /** What its tasks take, by their input, as it was just now: see `workSecondsOf`. */
  work?: { readonly atMs: number; readonly byInput: Map<number, Quantiles | undefined> };
  /** All that could be placed of it rather waits: looked at again when something has changed. */
  heldBy?: { readonly atMs: number; readonly sign: string };
  unplaceable?: Problem;
  /** Nodes that do not run its code (engine `node`), by what they said: until their owner trusts others, or they start anew. */
  codeRefusals?: Map<string, string>;
  /** The fleet (see `PlannerState.fleet`) that was found to have no room for it, ever. */
  refusedByFleet?: number;
  /** The fleet of which some node was found to take its parts, or its merge, as soon as it has room. */
  fits?: { readonly fleet: number; readonly merges: boolean };
}

export interface TaskView {
  readonly key: string;
  readonly job: JobView;
  readonly stage: StageView;
  readonly ledger: LedgerTask;
  state: TaskState;
  readonly story: Story;
  readonly attempts: Set<AttemptView>;
  attemptsMade: number;
  /** It stands in a ready queue, also when it is not ready any more. */
  queued: boolean;
  /** An outcome of it is on its way into the log. */
  committing: boolean;
  nodeFaults: number;
  /** A checkpoint of it is on its way into the log. */
  counting: boolean;
  /** The state, by its name, that a node could not have: nobody is told to go on from it. */
  lostState?: string;
  /** After repeated faults of nodes: not assigned again before this. */
  notBeforeMs: number;
  readonly avoidUntilMs: Map<string, number>;
  /** Attempts that were taken from their nodes: one that is heard of again is to be stopped. */
  withdrawn?: Set<string>;
  /** When it was moved last. */
  movedMs?: number;
  /** The last time that it was moved, or, before that, that it was looked at and stayed. */
  decided?: { readonly atMs: number; readonly decision: Move | Stay };
  /** What was done of it at the last checkpoint, seconds on a core of speed 1, as far as is known. */
  savedSeconds?: number;
  /** It could have started, and rather waits for a better place, until then. */
  held?: { readonly sinceMs: number; readonly untilMs: number; readonly waitsFor?: Alternative };
}

/** A node that an attempt could have gone to, as it was then, and what was expected of it there; that is unknown of short tasks and of unknown ones. */
export interface Choice {
  readonly device: Device;
  readonly expected?: ExpectedCost;
}

export interface AttemptView {
  readonly key: string;
  readonly task: TaskView;
  readonly node: string;
  /** The node's request counter when it was assigned: a later inventory must know it. */
  readonly request: number;
  assignedMs: number;
  startedMs?: number;
  /** The nodes that it was chosen from, as they were then, the best first; unknown of one that an earlier leader placed. */
  choice?: readonly Choice[];
  /** What was expected of it, from `assignedMs` on, if anything was. */
  expected?: ExpectedCost;
  /** What of it is done, as far as its node was looked at: seconds on a core of speed 1. */
  done?: { readonly atMs: number; readonly seconds: number };
  /** Its node was asked to give it back. */
  leaving?: {
    readonly to: string;
    readonly move: Move;
    readonly choice: readonly Choice[];
    readonly askedMs: number;
  };
  /** The state that it was to go on from. */
  readonly resumed?: string;
  /** It is a copy for the sake of the job's deadline: the chance that its part is in time without it, and with it. */
  inTime?: { readonly alone: number; readonly together: number };
  progress: number;
}

export interface JobView {
  readonly key: string;
  readonly stages: Map<string, StageView>;
  readonly tasks: Map<string, TaskView>;
  /** Tasks of it that this leader has moved. */
  moves?: MoveCounts;
  /** How many attempts it has: jobs of equal priority share what there is by it. */
  attempts: number;
  /** How long the way to its end is from each stage, as it was just now: seconds of work. */
  ranks?: { readonly atMs: number; readonly byStage: ReadonlyMap<string, number> };
  readonly sinceMs: number;
  revision: number;
  dirty: boolean;
  publishedMs: number;
  /** Its end is on its way into the log. */
  ending: boolean;
  readonly schedule?: ScheduleView;
  /** What is expected of it, as it was worked out last. */
  outlook?: JobForesight;
  /** When its deadline is over, by our monotonic clock; absent when it has none, or that it was missed is in or on its way into the log. */
  dueMs?: number;
}

/** When a job will be done, as things were. */
export interface JobForesight {
  readonly atMs: number;
  /** It was not known yet how many tasks there are. */
  readonly isCounting: boolean;
  /** Undefined when it could not be planned. */
  readonly planned?: PlannedJob;
  /** That its deadline will probably not be met. */
  readonly late?: Problem;
  /** By stage, from when the last of its parts is done until the job is; seconds. */
  readonly followsSeconds: ReadonlyMap<string, number>;
}

export interface ScheduleView {
  readonly occurrences: Occurrences | string;
  /** Its beginning is on its way into the log. */
  beginning: boolean;
  /** The last occurrence that is in, or on its way into, the log. */
  afterMs: number;
  /** The one after that. */
  nextMs?: number;
}

/** Whether our wall clock can be relied on: whatever rests on it waits until it can. */
export type ClockTrust = 'right' | 'unheard' | 'wrong';

export interface PlannerState {
  readonly id: string;
  readonly bootId: string;
  readonly holders: readonly string[];
  readonly config: PlannerConfig;
  readonly policy: PlannerPolicy;
  /** The committed truth; only `applyCommand` changes it, before the planner hears of it. */
  ledger: Ledger;
  leading: boolean;
  /** Nobody else can have been elected meanwhile: only then work is handed out. It spares work; nothing safe rests on it. */
  leased: boolean;
  connected: boolean;
  term: number;
  nowMs: number;
  wallMs: number;
  graceUntilMs: number;
  announcements: number;
  announcedMs: number;
  /** Something was heard from a node, or a boot of it, whose status is not known. */
  strangers: boolean;
  /** Grows whenever what the nodes offer changes: what fitted nowhere is tried again then, not before. */
  fleet: number;
  nextAttempt: number;
  readonly nodes: Map<string, NodeView>;
  readonly jobs: Map<string, JobView>;
  readonly attempts: Map<string, AttemptView>;
  /** How many attempts each account has, of those that have any. */
  readonly tasksAtOnce: Map<string, number>;
  /** What the blobs of an account's jobs amount to, as it was just now. */
  readonly stored: Map<string, { readonly blobs: Set<string>; bytes: number; readonly atMs: number }>;
  /** Ready tasks by priority and stage, each in the order they became ready. Entries whose state is not `ready` are passed over. */
  readonly ready: readonly Map<StageView, TaskView[]>[];
  /** Stages of which some records are in no task yet, and it is known where these begin. */
  readonly cutting: Map<StageView, JobView>;
  /** From the proposal of a cut until the log had it, lately, milliseconds. */
  logMs: number;
  foresight: ForesightState;
  moves: MovesState;
  clock: ClockTrust;
  /** What is wrong with our clock, in words. */
  clockProblem?: Problem;
  /** Up to when the log has counted the time of this leadership, when it was last looked for what is old, and whether that is on its way. */
  ageing: { fromMs: number; lookedMs: number; isProposed: boolean };
  /** Of this ledger, when it had learned from so many tasks. */
  predictor?: {
    readonly ledger: Ledger;
    readonly learned: number;
    readonly predictParts: TaskPredictor;
    readonly predictMerges: TaskPredictor;
  };
  /** When it was last worked out when a job will be done. */
  foreseenMs: number;
  /** Specs that are on their way into the log: key -> spec hash. */
  readonly accepting: Map<string, string>;
}

export interface PlannerOptions {
  readonly id: string;
  readonly bootId: string;
  readonly holders: readonly string[];
  readonly ledger: Ledger;
  readonly policy: PlannerPolicy;
  readonly config?: Partial<PlannerConfig>;
}

export function createPlanner(options: PlannerOptions): PlannerState {
  return {
    id: options.id,
    bootId: options.bootId,
    holders: options.holders,
    config: { ...plannerDefaults, ...options.config },
    policy: options.policy,
    ledger: options.ledger,
    leading: false,
    leased: true,
    connected: false,
    term: 0,
    nowMs: 0,
    wallMs: 0,
    graceUntilMs: 0,
    announcements: 0,
    announcedMs: Number.NEGATIVE_INFINITY,
    strangers: false,
    fleet: 0,
    nextAttempt: 1,
    nodes: new Map(),
    jobs: new Map(),
    attempts: new Map(),
    tasksAtOnce: new Map(),
    stored: new Map(),
    ready: Array.from({ length: 10 }, () => new Map()),
    cutting: new Map(),
    logMs: 0,
    foresight: createForesightState(options.policy),
    moves: createMovesState(),
    clock: 'unheard',
    ageing: { fromMs: 0, lookedMs: 0, isProposed: false },
    foreseenMs: Number.NEGATIVE_INFINITY,
    accepting: new Map(),
  };
}
