import type { Configuration } from './configuration.ts';

export interface LogEntry<Command> {
  readonly index: number;
  readonly term: number;
  /** Absent, as is `configuration`, in the entry that a new leader writes first, to commit what older terms left. */
  readonly command?: Command;
  readonly configuration?: Configuration;
}

export interface HardState {
  readonly term: number;
  readonly votedFor?: string;
}

/**
 * What voters say to each other. Every message may come twice, late, in another order or never. It speaks of its term
 * only: an older one is answered with the newer term or not at all, and a term names one leader, one boot of it.
 */
export type RaftMessage<Command> =
  /** Would you vote for me in this term? Raises nobody's term. `round` is drawn anew per attempt: an old answer does not fit. */
  | PreVoteRequest
  | PreVoteAnswer
  | VoteRequest
  | VoteAnswer
  /** Entries after `previous`; with none it is a heartbeat. */
  | AppendRequest<Command>
  /** `match`: the log is the leader's up to there, and fsynced. `reject`: it has no such entry, and this may be one that both have. */
  | AppendAnswer
  /** The entries wanted are gone: fetch the snapshot of this index from me (`fetch-snapshot`). */
  | SnapshotOffer;

export interface PreVoteRequest {
  readonly type: 'pre-vote-request';
  /** The term that would come. */
  readonly term: number;
  readonly round: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
}
export interface PreVoteAnswer {
  readonly type: 'pre-vote-answer';
  /** Granted: the term asked for. Refused: the own term. */
  readonly term: number;
  readonly round: number;
  readonly granted: boolean;
}
export interface VoteRequest {
  readonly type: 'vote-request';
  readonly term: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
}
export interface VoteAnswer {
  readonly type: 'vote-answer';
  readonly term: number;
  readonly granted: boolean;
  /**
   * Of a granted vote: the voter's signature over (mesh id, term, candidate, voter), see `voteStatement` of the contract.
   * The driver makes and checks it; here it is only kept, for the proof of the term.
   */
  readonly signature?: Uint8Array;
}
export interface AppendRequest<Command> {
  readonly type: 'append';
  readonly term: number;
  /** The heartbeat that this belongs to; answered with, it shows when a quorum was heard from last. */
  readonly round: number;
  readonly previousIndex: number;
  readonly previousTerm: number;
  readonly entries: readonly LogEntry<Command>[];
  readonly commitIndex: number;
}
export interface AppendAnswer {
  readonly type: 'append-answer';
  readonly term: number;
  readonly round: number;
  readonly match?: number;
  readonly reject?: { readonly previousIndex: number; readonly hintIndex: number; readonly hintTerm: number };
}
export interface SnapshotOffer {
  readonly type: 'snapshot';
  readonly term: number;
  readonly round: number;
  readonly index: number;
  readonly indexTerm: number;
}

/** `nowMs` is monotonic. Of events without it the time does not matter. */
export type RaftEvent<Command> =
  /** First of all events. `seed` is any integer, another at each boot. */
  | { readonly type: 'start'; readonly nowMs: number; readonly seed: number }
  /** Due at `raftDueMs`; earlier and later ones do no harm. */
  | { readonly type: 'tick'; readonly nowMs: number }
  | {
      readonly type: 'receive';
      readonly nowMs: number;
      readonly from: string;
      readonly message: RaftMessage<Command>;
    }
  | { readonly type: 'propose'; readonly commands: readonly Command[] }
  /** Of a leader: these shall vote, these learn. `changeProblem` says whether it can begin now. */
  | { readonly type: 'change-voters'; readonly voters: readonly string[]; readonly learners: readonly string[] }
  /** Every `persist` and `install-snapshot` up to this sequence is fsynced. */
  | { readonly type: 'persisted'; readonly nowMs: number; readonly sequence: number }
  /** The driver has a snapshot of everything up to this index. */
  | { readonly type: 'compacted'; readonly index: number }
  /** The snapshot that `fetch-snapshot` asked for, or a newer one of that voter, is here, verified; or none can be had. */
  | {
      readonly type: 'snapshot-fetched';
      readonly nowMs: number;
      readonly index: number;
      readonly term: number;
      readonly configuration: Configuration;
    }
  | { readonly type: 'snapshot-failed'; readonly index: number; readonly term: number }
  /** A hint (a last will): this node may be gone. If it leads, a PreVote begins early. */
  | { readonly type: 'suspected'; readonly nowMs: number; readonly node: string };

/**
 * To be carried out in order. A `send` may leave at once: what rests on the disk is kept back here until `persisted`
 * has said that it is there, so no driver can answer before the fsync.
 */
export type RaftEffect<Command> =
  /** The first of a step, if who leads has changed. `proof` comes with the own election. */
  | {
      readonly type: 'role-changed';
      readonly role: 'follower' | 'leader';
      readonly term: number;
      readonly leader?: string;
      readonly votes?: readonly Vote[];
    }
  /**
   * Must be fsynced, in the order given, before `persisted` is fed back. An entry replaces whatever the log has at its
   * index and after, unless that is of the same term: then it is the same entry.
   */
  | {
      readonly type: 'persist';
      readonly sequence: number;
      readonly hard?: HardState;
      readonly entries: readonly LogEntry<Command>[];
    }
  /**
   * The snapshot that was fetched replaces the state and the log up to `index`; of the entries after it stay those in
   * `state.log`. In the order of the `persist` effects, and it has a `sequence` like them.
   */
  | {
      readonly type: 'install-snapshot';
      readonly sequence: number;
      readonly index: number;
      readonly term: number;
      readonly configuration: Configuration;
    }
  | { readonly type: 'apply'; readonly entries: readonly LogEntry<Command>[] }
  | { readonly type: 'send'; readonly to: string; readonly message: RaftMessage<Command> }
  /**
   * Get the snapshot of this index and term, or a newer one, from that voter, in chunks, at the receiver's pace; then feed
   * `snapshot-fetched` or `snapshot-failed`. A new one replaces the one before.
   */
  | { readonly type: 'fetch-snapshot'; readonly from: string; readonly index: number; readonly term: number };

export interface Vote {
  readonly voter: string;
  readonly signature?: Uint8Array;
}
