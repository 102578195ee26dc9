import type { NodeStatus, QuotaChange, VotersLink } from '../../contract/index.ts';
import type { LedgerCommand, VoterSettings } from '../ledger-commands.ts';
import type { PlannerEffect, PlannerEvent } from '../planner/index.ts';
import type { Configuration, LogEntry, RaftEffect, RaftMessage } from '../raft/index.ts';
import type { JobSpecBytes } from './specs.ts';

/** What the planner hears of the mesh; `elected` and the like come from the log, not from outside. */
type HeardEvent = Exclude<PlannerEvent, { type: 'elected' | 'deposed' | 'applied' | 'tick' | 'node-status' }>;

/** What happened to a voter, as its driver tells it; every event comes with the time, see `stepVoter`. */
export type VoterEvent =
  | HeardEvent
  /** First of all events. `seed` is any integer, another at each boot. */
  | { readonly type: 'start'; readonly seed: number }
  /** Due at `voterDueMs`; earlier and later ones do no harm. */
  | { readonly type: 'tick' }
  | { readonly type: 'raft-received'; readonly from: string; readonly message: RaftMessage<LedgerCommand> }
  /** Every `persist` and `install-snapshot` up to this sequence is fsynced. */
  | { readonly type: 'persisted'; readonly sequence: number }
  /** The log has grown so much that a snapshot pays. */
  | { readonly type: 'compaction-due' }
  | { readonly type: 'compacted' }
  | ({ readonly type: 'snapshot-fetched' } & VoterSnapshot)
  | { readonly type: 'snapshot-failed'; readonly index: number; readonly term: number }
  /** A hint (a last will): this node may be gone. */
  | { readonly type: 'suspected'; readonly node: string }
  | ({ readonly type: 'spec-heard' } & JobSpecBytes)
  /** The topic of a spec was cleared: it is in the log, or refused, or withdrawn. */
  | { readonly type: 'spec-cleared'; readonly account: string; readonly job: string }
  /** By the owner of the key in it; `admitted`: it shows that the node was let in. */
  | { readonly type: 'status-heard'; readonly status: NodeStatus; readonly admitted: boolean }
  /** Somebody there is who may not know who leads: its status, or our word, must have been lost. Heard often, answered now and then. */
  | { readonly type: 'stranger-heard' }
  /** Who votes, signed by a voter. */
  | { readonly type: 'voters-certified'; readonly link: VotersLink }
  /** A person wants this node out of the mesh. */
  | { readonly type: 'removal-wanted'; readonly node: string }
  /** A person wants an account to have more, or less. */
  | { readonly type: 'quota-wanted'; readonly account: string; readonly change: QuotaChange }
  /** A person wants this many voters, or leaves it to the mesh. */
  | { readonly type: 'voters-wanted'; readonly settings: VoterSettings };

/** The ledger as plain data at an index of the log. */
export interface VoterSnapshot {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
  readonly ledger: unknown;
}

/** To be carried out in order. What rests on the disk is kept back by the log until `persisted`. */
export type VoterEffect =
  | Exclude<PlannerEffect, { type: 'propose' }>
  /** Of the log, as they are. */
  | Extract<RaftEffect<LedgerCommand>, { type: 'role-changed' | 'persist' | 'fetch-snapshot' }>
  /** Replaces the log up to `index`; `tail` follows it. In the order of the `persist` effects. */
  | ({ readonly type: 'install-snapshot'; readonly sequence: number; readonly tail: Tail } & VoterSnapshot)
  /** The same for a snapshot of our own, without a sequence; answer: `compacted`. Both are to be encoded at once: they go on changing. */
  | ({ readonly type: 'compact'; readonly tail: Tail } & VoterSnapshot)
  | { readonly type: 'send-raft'; readonly to: string; readonly message: RaftMessage<LedgerCommand> }
  /** Sign it; feed it back as `voters-certified`, here or at the leader. */
  | {
      readonly type: 'certify-voters';
      readonly to: string;
      readonly link: Pick<VotersLink, 'index' | 'term' | 'voters' | 'outgoing'>;
    }
  /** Make its code and input durable, then feed `submitted`; or refuse it. */
  | ({ readonly type: 'take-spec' } & JobSpecBytes);

type Tail = readonly LogEntry<LedgerCommand>[];
