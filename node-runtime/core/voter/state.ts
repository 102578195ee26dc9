import { encodeCbor, limits, type NodeStatus } from '../../contract/index.ts';
import { createLedger, type Ledger } from '../ledger.ts';
import type { LedgerCommand } from '../ledger-commands.ts';
import { restoreLedger } from '../ledger-snapshot.ts';
import { createPlanner, type PlannerOptions, type PlannerState } from '../planner/index.ts';
import { createRaft, type RaftProfile, type RaftRestored, type RaftState, raftDueMs } from '../raft/index.ts';
import { createSeats, type Seats } from './seats.ts';
import { HeldSpecs } from './specs.ts';

/** How often a planner looks at the time, milliseconds. */
const planEveryMs = 250;

/** The log, the ledger that it makes, and the planner that works from it while this voter leads. */
export interface VoterState {
  readonly raft: RaftState<LedgerCommand>;
  readonly planner: PlannerState;
  /** Of the planner too. */
  ledger: Ledger;
  appliedIndex: number;
  compacting: boolean;
  readonly specs: HeldSpecs;
  readonly seats: Seats;
  planDueMs: number;
  /** Its own key, by which others know what it signs. */
  readonly publicKey: string;
  readonly isFounder: boolean;
  /** Of a leader: the newest status of those whose key is on its way into the log. */
  readonly newcomers: Map<string, NodeStatus>;
  certifyDueMs: number;
  /** Commands of this step that are still to be proposed. */
  proposals: LedgerCommand[];
}

export interface VoterOptions extends Omit<PlannerOptions, 'ledger'> {
  /** Those that vote until the log says otherwise: the founder at the founder's, nobody elsewhere. */
  readonly founders: readonly string[];
  readonly profile: RaftProfile;
  readonly publicKey: string;
}

/** What the disk held at the start: the log, and the ledger at its snapshot. */
export interface VoterRestored extends RaftRestored<LedgerCommand> {
  readonly ledger?: unknown;
}

export function createVoter(options: VoterOptions, restored: VoterRestored): VoterState {
  const { id, founders, profile } = options;
  const ledger = restored.ledger === undefined ? createLedger() : restoreLedger(restored.ledger);
  const raft = createRaft<LedgerCommand>(id, founders, restored, {
    profile,
    sizeOf: (command) => encodeCbor(command).length,
    appendBytes: limits.payloadBytes / 2,
    appendEntries: limits.entriesPerAppend,
  });
  return {
    raft,
    ledger,
    planner: createPlanner({ ...options, ledger }),
    appliedIndex: raft.snapshotIndex,
    compacting: false,
    specs: new HeldSpecs(),
    seats: createSeats(),
    planDueMs: Number.POSITIVE_INFINITY,
    publicKey: options.publicKey,
    isFounder: founders.includes(id),
    newcomers: new Map(),
    certifyDueMs: Number.NEGATIVE_INFINITY,
    proposals: [],
  };
}

export function schedulePlan(state: VoterState, nowMs: number): void {
  state.planDueMs = nowMs + planEveryMs;
}

/** When the next `tick` is due, by the clock that the events carry; undefined when none is. */
export function voterDueMs({ raft, planner, planDueMs }: VoterState): number | undefined {
  const raftMs = raftDueMs(raft) ?? Number.POSITIVE_INFINITY;
  const dueMs = planner.leading ? Math.min(raftMs, planDueMs) : raftMs;
  return dueMs === Number.POSITIVE_INFINITY ? undefined : dueMs;
}
