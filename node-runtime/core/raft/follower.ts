import type { ConfigurationAt } from './configuration.ts';
import { becomeFollower, resetElection } from './election.ts';
import { appendEntries, forgetWritten, lastUpToTerm, truncate } from './log.ts';
import type { AppendRequest, SnapshotOffer } from './messages.ts';
import type { Output } from './output.ts';
import { lastIndex, type RaftState, termAt } from './state.ts';

/** Whether this comes from the leader of the term; if so, it leads from now on. */
function isFromLeader<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  { term, round }: { readonly term: number; readonly round: number },
): boolean {
  if (term < state.hard.term) {
    // A leader of the past learns here that it is one.
    out.sendDurable(from, { type: 'append-answer', term: state.hard.term, round });
    return false;
  }
  if (term === state.hard.term && (state.role === 'leader' || (state.leader !== undefined && state.leader !== from)))
    return false;
  becomeFollower(state, out, term, from);
  state.leaderHeardMs = state.nowMs;
  resetElection(state);
  return true;
}

export function onAppend<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  append: AppendRequest<Command>,
): void {
  if (!isFromLeader(state, out, from, append)) return;
  const answer = { type: 'append-answer', term: state.hard.term, round: append.round } as const;
  // What the snapshot holds is committed, and so in the leader's log too.
  const previousIndex = Math.max(append.previousIndex, state.snapshotIndex);
  const entries = append.entries.filter(({ index }) => index > state.snapshotIndex);
  const agreed = append.previousIndex < state.snapshotIndex || termAt(state, previousIndex) === append.previousTerm;
  if (!agreed) {
    const hintIndex = lastUpToTerm(state, append.previousIndex - 1, append.previousTerm);
    const reject = { previousIndex: append.previousIndex, hintIndex, hintTerm: termAt(state, hintIndex) ?? 0 };
    out.sendDurable(from, { ...answer, reject });
    return;
  }
  const firstNew = entries.findIndex(({ index, term }) => termAt(state, index) !== term);
  if (firstNew !== -1) {
    const fresh = entries.slice(firstNew);
    if (fresh[0]!.index <= lastIndex(state)) truncate(state, fresh[0]!.index - 1);
    appendEntries(state, out, fresh);
  }
  const match = Math.max(previousIndex, entries.at(-1)?.index ?? 0);
  state.knownCommitIndex = Math.max(state.knownCommitIndex, Math.min(append.commitIndex, match));
  out.sendDurable(from, { ...answer, match });
}

export function onSnapshotOffer<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  offer: SnapshotOffer,
): void {
  if (!isFromLeader(state, out, from, offer)) return;
  // What is committed here is in the leader's log: true, and a sign of life while the snapshot is fetched.
  out.sendDurable(from, { type: 'append-answer', term: state.hard.term, round: offer.round, match: state.commitIndex });
  if (offer.index <= state.commitIndex) return;
  const { index, indexTerm: term } = offer;
  // One that is under way is finished first, though a newer one be offered: else a slow link would never finish any.
  if (state.fetching?.from === from) return;
  state.fetching = { from, index, term };
  out.fetches.push({ type: 'fetch-snapshot', from, index, term });
}

export function onSnapshotFetched<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  { index, term, configuration }: ConfigurationAt & { readonly term: number },
): void {
  if (state.fetching === undefined || index < state.fetching.index) return;
  state.fetching = undefined;
  // Of a term that nobody here has heard of: its leader will offer it again.
  if (term > state.hard.term || state.role === 'leader' || index <= state.commitIndex) return;
  const later = state.configurations.filter((each) => each.index > index);
  if (termAt(state, index) === term) state.log.splice(0, index - state.snapshotIndex);
  else {
    state.log.length = 0;
    later.length = 0;
    forgetWritten(state, index);
  }
  state.snapshotIndex = index;
  state.snapshotTerm = term;
  state.configurations.splice(0, state.configurations.length, { index, configuration }, ...later);
  state.commitIndex = index;
  state.knownCommitIndex = Math.max(state.knownCommitIndex, index);
  // All that is said from now on waits until the snapshot is on disk, for it is the newest write.
  state.persistedIndex = Math.max(state.persistedIndex, index);
  out.install = { index, term, configuration };
  if (state.leader !== undefined) {
    out.sendDurable(state.leader, { type: 'append-answer', term: state.hard.term, round: 0, match: index });
  }
}
