import type { Topics } from '@foremesh/node-runtime/contract';
import type { PlannerConfig, RaftProfile } from '@foremesh/node-runtime/core';
import type { Checks } from './checks/checks.ts';
import type { VirtualBroker } from './engine/broker.ts';
import type { Timeline } from './engine/timeline.ts';
import type { Trace } from './engine/trace.ts';
import type { Blobs, VirtualJob } from './scenario/virtual-jobs.ts';

interface Trap {
  readonly on: 'election' | 'change';
  readonly forMs: number;
}

/** Small, so that messages in parts and snapshots in chunks are everyday things here. */
export const pieceBytes = 6_000;

/** For what cannot happen here: it would be a fault of the mesh. */
export function raise(error: unknown): never {
  throw error;
}

/** What the drivers of all machines share. */
export interface World {
  readonly time: Timeline;
  readonly trace: Trace;
  readonly topics: Topics;
  readonly broker: VirtualBroker;
  readonly blobs: Blobs;
  readonly checks: Checks;
  readonly jobs: ReadonlyMap<string, VirtualJob>;
  /** Faults may happen. */
  faulty: boolean;
  readonly fetchFailPercent: number;
  readonly checkpointPercent: number;
  /** Of the proposals: those that come with one that is too late. */
  readonly strayPercent: number;
  readonly rivalCutPercent: number;
  readonly planner: Pick<
    PlannerConfig,
    'inventoryIntervalMs' | 'inventoryGraceMs' | 'forecastStepMs' | 'movesPerInterval'
  >;
  readonly profile: RaftProfile;
  /** Every machine loses its power, and has it back at some moment within this time. */
  blackout(forMs: number): void;
  /** Whoever is elected, or changes the voters, falls into the first of them that is for that. */
  readonly traps: Trap[];
  /** The log of a node has made it leader. */
  elected(node: string): void;
  /** A leader goes on to change the voters; these must agree to it too. */
  changing(leader: string, others: readonly string[]): void;
  /** Whether this execution of a task throws. */
  throws(jobKey: string, task: string): boolean;
}
