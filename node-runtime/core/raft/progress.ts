import { isSoleVoter, quorumValue } from './configuration.ts';
import { configurationOf, type RaftState } from './state.ts';

/** What a leader knows about one member. */
export interface Progress {
  /** Its log is ours up to here, on its disk. */
  match: number;
  /** The next entry to send. */
  next: number;
  /**
   * `probe`: where its log parts from ours is looked for, one append at a time. `replicate`: appends follow each other
   * without waiting. `snapshot`: what it needs next is no longer in the log.
   */
  mode: 'probe' | 'replicate' | 'snapshot';
  /** Of a probe: it is under way. */
  waiting: boolean;
  /** The last entries of the appends that are not answered. */
  readonly inFlight: number[];
  /** The newest heartbeat it has answered. */
  answeredRound: number;
}

/**
 * Until when no other leader can be elected, if clocks run alike and nobody suspects this one: counted from the
 * *sending* of the last heartbeat that a quorum answered. It spares work; nothing safe may rest on it.
 */
export function leaseUntilMs<Command>(state: RaftState<Command>): number {
  if (state.role !== 'leader') return Number.NEGATIVE_INFINITY;
  if (isSoleVoter(configurationOf(state), state.id)) return Number.POSITIVE_INFINITY;
  return state.leaseFromMs + 0.9 * state.options.profile.electionLeastMs;
}

export function holdsLease<Command>(state: RaftState<Command>, nowMs: number): boolean {
  return nowMs < leaseUntilMs(state);
}

/** Whether a member that is there fetches a snapshot: a leader that compacts again now would send it after the next one. */
export function isFetchedFrom<Command>(state: RaftState<Command>): boolean {
  if (state.role !== 'leader') return false;
  return [...state.progress.values()].some((each) => each.mode === 'snapshot' && each.answeredRound >= state.round - 3);
}

export function noteQuorumRound<Command>(state: RaftState<Command>): void {
  const answered = (voter: string) =>
    voter === state.id ? state.round : (state.progress.get(voter)?.answeredRound ?? 0);
  const round = quorumValue(configurationOf(state), answered);
  while (state.roundsSent.length > 0 && state.roundsSent[0]!.round <= round) {
    state.leaseFromMs = state.roundsSent.shift()!.sentMs;
    state.quorumHeardMs = Math.max(state.quorumHeardMs, state.leaseFromMs);
  }
}
