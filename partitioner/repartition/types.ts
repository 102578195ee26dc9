import type { CostWeights, ExpectedCost } from '../placement/cost.ts';
import type { Device, PlaceableTask, Refusal } from '../placement/current-room.ts';
import type { Quantiles, SlotCapacity } from '../placement/expected-finish.ts';

/** A sub-task where it is now. */
export interface Assignment extends PlaceableTask {
  readonly device: string;
  /** Its code runs; else it waits there, and nothing is lost if it goes elsewhere. */
  readonly hasStarted: boolean;
  /** What is left of it where it is, seconds on a core of speed 1. */
  readonly leftSeconds: Quantiles;
  /** What it takes anywhere else, seconds on a core of speed 1: all of it, or all since the last checkpoint that counts. */
  readonly elsewhereSeconds: Quantiles;
  /** What a device has to have before it can begin, bytes; of that, what is near those that are named. */
  readonly inputBytes: number;
  readonly nearBytes?: ReadonlyMap<string, number>;
  /** How much each term of its cost counts; `costWeightsDefault` unless said. */
  readonly weights?: CostWeights;
  /** When it was to end by what was known as it came there, seconds from now; negative: it is overdue. Absent: nothing was. */
  readonly expectedEndSeconds?: number;
  /** Seconds since it came there. */
  readonly ageSeconds: number;
  /** Seconds since it was moved last; absent: it never was. */
  readonly movedSeconds?: number;
  /** What it came to is on its way: it has ended. */
  readonly isEnding?: boolean;
  /** It runs in more than one place. */
  readonly isCopied?: boolean;
  /** It talks to others that run: begun anew, it would say again what they have heard. */
  readonly hasChannels?: boolean;
  /** Its records can be cut anew, and what it was called retired. */
  readonly isDivisible?: boolean;
  /** It can be frozen as it runs: bytes that would travel, and how long it would stand still. */
  readonly frozen?: { readonly bytes: number; readonly pauseSeconds: number };
}

/** A device as its monitor sees it now, and as it is forecast to be. */
export interface MonitoredDevice extends Device {
  readonly slots: number;
  readonly capacity: SlotCapacity;
  /** What its link carries; above 0. */
  readonly bytesPerSecond: number;
  /** How often a device like it leaves, per second. */
  readonly leavesPerSecond: number;
  /** It can freeze what runs, and go on with what another has frozen. */
  readonly movesLive?: boolean;
}

export interface ResourceMonitorData {
  readonly devices: readonly MonitoredDevice[];
}

/** What is to be repartitioned, and how much of it may move now. */
export interface RepartitionedTask {
  /** At most so many moves. */
  readonly movesLeft: number;
  readonly options?: Partial<RepartitionOptions>;
}

export interface RepartitionOptions {
  /** What is later, or gives less, than it was to by more than this share has drifted. */
  readonly driftMost: number;
  /** A sub-task that was moved stays for so long. */
  readonly coolDownSeconds: number;
  /** A move must gain more than it is charged, by at least so much, */
  readonly gainLeastSeconds: number;
  /** and by at least this share of what it costs to run it there. */
  readonly gainLeastShare: number;
  /** What it takes to stop it here and to begin it there. */
  readonly moveSeconds: number;
  /** What it takes besides to have new parts in the log. */
  readonly resplitSeconds: number;
  /** A device with work that waits longer than this for a slot has too much of it, whatever was predicted. */
  readonly waitMostSeconds: number;
  /** Sub-tasks and devices that one call looks at: those that are latest, and that give most. */
  readonly assignmentsMost: number;
  readonly devicesMost: number;
  /** Alternatives that a decision names. */
  readonly alternativesMost: number;
}

/**
 * Chosen so that a forecast that wavers moves nothing: drift by DESIGN's first threshold; a cool-down of the length after which a forecast
 * of one-minute steps can have changed its mind; what a start takes (a fetch, two messages) measured on real nodes.
 */
export const repartitionDefaults: RepartitionOptions = {
  driftMost: 0.25,
  coolDownSeconds: 30,
  gainLeastSeconds: 1,
  gainLeastShare: 0.2,
  moveSeconds: 0.25,
  resplitSeconds: 0.5,
  waitMostSeconds: 1,
  assignmentsMost: 64,
  devicesMost: 32,
  alternativesMost: 4,
};

/**
 * `reassign`: it has not begun, and goes elsewhere. `restart`: it is stopped and begins anew, or goes on from its last checkpoint, elsewhere.
 * `resplit`: it is stopped, and new parts of what it read go to several devices. `live`: it is frozen, and goes on elsewhere.
 */
export type MoveKind = 'reassign' | 'restart' | 'resplit' | 'live';

/** Why a device has too much of its work. */
export interface Overload {
  readonly device: string;
  /** Its own work takes it now, or will; it is late, whatever the reason; or more waits there than it has slots for. */
  readonly because: 'busy-now' | 'busy-soon' | 'late' | 'queue';
  /** When its own work begins to take it: 0 for now, seconds by the forecast; 0 where that is not the reason. */
  readonly inSeconds: number;
  /** By how much of what it was predicted to take the latest of its sub-tasks is late; 0: none is. */
  readonly driftShare: number;
}

/** What keeps a sub-task from a device, or where it is. */
export type Obstacle =
  | Exclude<Refusal, 'busy'>
  | 'memory-now'
  | 'failed-there'
  | 'transfer'
  | 'ending'
  | 'copied'
  | 'channels'
  | 'cool-down';

export type Migratable = { readonly can: true } | { readonly can: false; readonly why: Obstacle };

/** One way to move a sub-task, and what would come of it. */
export interface Way {
  readonly kind: MoveKind;
  /** Where it would go; of a re-split, its parts, by the share of it. */
  readonly to: readonly { readonly device: string; readonly share: number }[];
  readonly expected: ExpectedCost;
  /** What the move would spare, weighted seconds: the cost of staying less that of going. */
  readonly gainSeconds: number;
  /** Work done twice, transfer, stop and start: a move must gain more than that. */
  readonly chargeSeconds: number;
}

/** What is to be done with a sub-task, and why. */
export interface Decision {
  readonly task: string;
  readonly from: string;
  readonly overload: Overload;
  /** What it costs to stay. */
  readonly stay: ExpectedCost;
  /** The best first. */
  readonly alternatives: readonly Way[];
}

export interface Move extends Decision {
  readonly move: Way;
}

export interface Stay extends Decision {
  readonly why: Obstacle | 'no-device' | 'would-not-pay' | 'budget';
}
