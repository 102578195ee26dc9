import type { Configuration, ConfigurationAt } from './configuration.ts';
import type { HardState, LogEntry, RaftMessage } from './messages.ts';
import { type RaftProfile, raftProfiles } from './profiles.ts';
import type { Progress } from './progress.ts';

export interface RaftOptions<Command> {
  readonly profile: RaftProfile;
  /** About how large a command is on the wire. */
  readonly sizeOf: (command: Command) => number;
  /** One append carries no more than this, but at least one entry. */
  readonly appendBytes: number;
  readonly appendEntries: number;
  /** Appends under way to one follower. */
  readonly appendsInFlight: number;
}

export interface RaftState<Command> {
  readonly id: string;
  readonly options: RaftOptions<Command>;
  role: 'follower' | 'pre-candidate' | 'candidate' | 'leader';
  /** Who leads in this term, if that is known. */
  leader: string | undefined;
  hard: HardState;

  /** Entries after the snapshot, in order; `log[0].index === snapshotIndex + 1`. */
  readonly log: LogEntry<Command>[];
  snapshotIndex: number;
  snapshotTerm: number;
  /** The configuration of the snapshot, and those that entries after it brought; the last one counts. */
  readonly configurations: ConfigurationAt[];
  persistedIndex: number;
  commitIndex: number;
  /** Committed by what the leader said, though perhaps not on this disk yet. */
  knownCommitIndex: number;

  /** Writes are numbered; what waits for one is sent when it is on disk. */
  sequence: number;
  persistedSequence: number;
  readonly writes: { readonly sequence: number; lastIndex: number }[];
  readonly held: { readonly sequence: number; readonly to: string; readonly message: RaftMessage<Command> }[];

  randomState: number;
  nowMs: number;
  electionDueMs: number;
  leaderHeardMs: number;
  /** A voter that restarts may have promised a leader not to vote: it waits until nobody can rest on that. */
  grantsFromMs: number;

  /** Of a candidate, also before the vote: what each voter said. */
  readonly votes: Map<string, { readonly granted: boolean; readonly signature?: Uint8Array }>;
  /** The write that makes the own vote durable. */
  ownVoteSequence: number;
  campaignRound: number;
  campaignResendMs: number;

  /** Of a leader: where each member is. */
  readonly progress: Map<string, Progress>;
  round: number;
  readonly roundsSent: { readonly round: number; readonly sentMs: number }[];
  /** When the last heartbeat that a quorum has answered was sent. */
  quorumHeardMs: number;
  /** The same, but a vote is not an answer: who votes has not promised to wait. */
  leaseFromMs: number;
  heartbeatDueMs: number;
  firstIndexOfTerm: number;
  /** What the voters shall become, while newcomers catch up. */
  target: { readonly voters: readonly string[]; readonly learners: readonly string[] } | undefined;

  /** A change that both sets have agreed on is not ended yet: something outside of the log has to come first. */
  staysJoint: boolean;

  fetching: { readonly from: string; readonly index: number; readonly term: number } | undefined;
  /** What `role-changed` said last. */
  reported: string;
}

/** What the disk held at the start. */
export interface RaftRestored<Command> {
  readonly hard: HardState;
  readonly log: readonly LogEntry<Command>[];
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
  /** Absent in snapshots of a mesh that never changed its voters. */
  readonly snapshotConfiguration?: Configuration;
}

/** `founders` vote until the log says otherwise; none for a node that is to be taken in. */
export function createRaft<Command>(
  id: string,
  founders: readonly string[],
  restored?: RaftRestored<Command>,
  options: Partial<RaftOptions<Command>> = {},
): RaftState<Command> {
  const snapshotIndex = restored?.snapshotIndex ?? 0;
  const log = [...(restored?.log ?? [])];
  const base = restored?.snapshotConfiguration ?? { voters: [...founders], learners: [] };
  return {
    id,
    options: {
      profile: raftProfiles.edge,
      sizeOf: () => 256,
      appendBytes: 131_072,
      appendEntries: 1_024,
      appendsInFlight: 8,
      ...options,
    },
    role: 'follower',
    leader: undefined,
    hard: restored?.hard ?? { term: 0 },
    log,
    snapshotIndex,
    snapshotTerm: restored?.snapshotTerm ?? 0,
    configurations: [{ index: snapshotIndex, configuration: base }, ...configurationsOf(log)],
    persistedIndex: snapshotIndex + log.length,
    commitIndex: snapshotIndex,
    knownCommitIndex: snapshotIndex,
    sequence: 0,
    persistedSequence: 0,
    writes: [],
    held: [],
    randomState: 1,
    nowMs: 0,
    electionDueMs: Number.POSITIVE_INFINITY,
    leaderHeardMs: Number.NEGATIVE_INFINITY,
    grantsFromMs: Number.POSITIVE_INFINITY,
    votes: new Map(),
    ownVoteSequence: 0,
    campaignRound: 0,
    campaignResendMs: 0,
    progress: new Map(),
    round: 0,
    roundsSent: [],
    quorumHeardMs: 0,
    leaseFromMs: Number.NEGATIVE_INFINITY,
    heartbeatDueMs: 0,
    firstIndexOfTerm: 0,
    target: undefined,
    staysJoint: false,
    fetching: undefined,
    reported: '',
  };
}

export function configurationsOf<Command>(log: readonly LogEntry<Command>[]): ConfigurationAt[] {
  return log.flatMap(({ index, configuration }) => (configuration === undefined ? [] : [{ index, configuration }]));
}

export function lastIndex<Command>(state: RaftState<Command>): number {
  return state.snapshotIndex + state.log.length;
}

/** The term of an entry, or of the snapshot; undefined for what is not there (any more). */
export function termAt<Command>(state: RaftState<Command>, index: number): number | undefined {
  if (index === state.snapshotIndex) return state.snapshotTerm;
  return state.log[index - state.snapshotIndex - 1]?.term;
}

export function lastTerm<Command>(state: RaftState<Command>): number {
  return state.log.at(-1)?.term ?? state.snapshotTerm;
}

export function configurationAt<Command>(state: RaftState<Command>): { index: number; configuration: Configuration } {
  return state.configurations.at(-1)!;
}

export function configurationOf<Command>(state: RaftState<Command>): Configuration {
  return configurationAt(state).configuration;
}

/** 0 inclusive to 1 exclusive, and the next state (mulberry32). */
export function random<Command>(state: RaftState<Command>): number {
  state.randomState = (state.randomState + 0x6d2b79f5) >>> 0;
  let mixed = state.randomState;
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
}
