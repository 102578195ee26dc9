import { isSoleVoter, isVoter, membersOf, quorumValue } from './configuration.ts';
import { becomeFollower } from './election.ts';
import { commitTo, lastUpToTerm } from './log.ts';
import type { AppendAnswer, LogEntry } from './messages.ts';
import type { Output } from './output.ts';
import { noteQuorumRound, type Progress } from './progress.ts';
import { configurationAt, configurationOf, lastIndex, type RaftState, termAt } from './state.ts';

export function createProgress(next: number): Progress {
  return { match: 0, next, mode: 'probe', waiting: false, inFlight: [], answeredRound: 0 };
}

/** Sends everybody what there is to send. */
export function broadcast<Command>(state: RaftState<Command>, out: Output<Command>): void {
  for (const [member, progress] of state.progress) replicate(state, out, member, progress);
}

/** As many appends as may be under way. */
export function replicate<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  to: string,
  progress: Progress,
): void {
  if (progress.next <= state.snapshotIndex && progress.mode !== 'snapshot') {
    progress.mode = 'snapshot';
    progress.inFlight.length = 0;
    offerSnapshot(state, out, to);
  }
  switch (progress.mode) {
    case 'snapshot':
      return;
    case 'probe':
      if (progress.waiting) return;
      progress.waiting = true;
      sendAppend(state, out, to, progress, batchFrom(state, progress.next));
      return;
    case 'replicate':
      while (progress.next <= lastIndex(state) && progress.inFlight.length < state.options.appendsInFlight) {
        const entries = batchFrom(state, progress.next);
        sendAppend(state, out, to, progress, entries);
        progress.next += entries.length;
        progress.inFlight.push(progress.next - 1);
      }
  }
}

function batchFrom<Command>(state: RaftState<Command>, next: number): LogEntry<Command>[] {
  const { appendBytes, appendEntries, sizeOf } = state.options;
  const batch: LogEntry<Command>[] = [];
  let sizeBytes = 0;
  for (let at = next - state.snapshotIndex - 1; at < state.log.length && batch.length < appendEntries; at += 1) {
    const entry = state.log[at]!;
    sizeBytes += 64 + (entry.command === undefined ? 0 : sizeOf(entry.command));
    if (batch.length > 0 && sizeBytes > appendBytes) break;
    batch.push(entry);
  }
  return batch;
}

function sendAppend<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  to: string,
  { next }: Progress,
  entries: readonly LogEntry<Command>[],
): void {
  const { commitIndex, round } = state;
  const previous = { previousIndex: next - 1, previousTerm: termAt(state, next - 1)! };
  out.send(to, { type: 'append', term: state.hard.term, round, ...previous, entries, commitIndex });
}

function offerSnapshot<Command>(state: RaftState<Command>, out: Output<Command>, to: string): void {
  const { round, snapshotIndex: index, snapshotTerm: indexTerm } = state;
  out.send(to, { type: 'snapshot', term: state.hard.term, round, index, indexTerm });
}

/** Heartbeats, and the end of a leader that no quorum hears. */
export function tickLeader<Command>(state: RaftState<Command>, out: Output<Command>): void {
  if (!checkQuorum(state, out) || state.nowMs < state.heartbeatDueMs) return;
  state.heartbeatDueMs = state.nowMs + state.options.profile.heartbeatMs;
  state.round += 1;
  state.roundsSent.push({ round: state.round, sentMs: state.nowMs });
  noteQuorumRound(state);
  for (const [member, progress] of state.progress) {
    if (progress.mode !== 'snapshot' && progress.next <= state.snapshotIndex) replicate(state, out, member, progress);
    else if (progress.mode === 'snapshot') offerSnapshot(state, out, member);
    // Without entries: to one that is away, they would be sent in vain again and again.
    else sendAppend(state, out, member, progress, []);
  }
}

/** Whether a quorum was heard from in the last election timeout; if not, there may be another leader. */
export function checkQuorum<Command>(state: RaftState<Command>, out: Output<Command>): boolean {
  if (isSoleVoter(configurationOf(state), state.id)) {
    state.quorumHeardMs = state.nowMs;
    return true;
  }
  if (state.nowMs - state.quorumHeardMs < state.options.profile.electionLeastMs) return true;
  becomeFollower(state, out, state.hard.term);
  return false;
}

export function onAppendAnswer<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  answer: AppendAnswer,
): void {
  if (answer.term > state.hard.term) {
    becomeFollower(state, out, answer.term);
    return;
  }
  const progress = state.progress.get(from);
  if (state.role !== 'leader' || answer.term !== state.hard.term || progress === undefined) return;
  if (answer.round <= state.round && answer.round > progress.answeredRound) {
    progress.answeredRound = answer.round;
    noteQuorumRound(state);
  }
  if (answer.match !== undefined) accepted(state, progress, Math.min(answer.match, lastIndex(state)));
  else if (answer.reject !== undefined) rejected(state, progress, answer.reject);
  replicate(state, out, from, progress);
  advanceCommit(state, out);
}

function accepted<Command>(state: RaftState<Command>, progress: Progress, match: number): void {
  progress.match = Math.max(progress.match, match);
  progress.next = Math.max(progress.next, progress.match + 1);
  while (progress.inFlight.length > 0 && progress.inFlight[0]! <= progress.match) progress.inFlight.shift();
  if (progress.mode === 'replicate') return;
  if (progress.mode === 'snapshot' && progress.match < state.snapshotIndex) return;
  progress.mode = 'replicate';
  progress.next = progress.match + 1;
  progress.inFlight.length = 0;
}

function rejected<Command>(
  state: RaftState<Command>,
  progress: Progress,
  { previousIndex, hintIndex, hintTerm }: NonNullable<AppendAnswer['reject']>,
): void {
  // Of an append before the one that was accepted since, or of a probe that is not the last one.
  if (progress.mode === 'snapshot' || previousIndex <= progress.match) return;
  if (progress.mode === 'probe' && previousIndex !== progress.next - 1) return;
  const both = lastUpToTerm(state, Math.min(hintIndex, previousIndex - 1), hintTerm);
  progress.next = Math.max(progress.match, both) + 1;
  progress.mode = 'probe';
  progress.waiting = false;
  progress.inFlight.length = 0;
}

/** Section 5.4.2 of the paper: only an entry of the own term commits by counting, and with it all before. */
export function advanceCommit<Command>(state: RaftState<Command>, out: Output<Command>): void {
  if (state.role !== 'leader') return;
  const reached = quorumValue(configurationOf(state), (voter) =>
    voter === state.id ? state.persistedIndex : (state.progress.get(voter)?.match ?? 0),
  );
  if (reached < state.firstIndexOfTerm) return;
  commitTo(state, out, reached);
  endMembership(state, out);
}

/** Those that have left hear of it with the commit; a leader that has left steps down. */
function endMembership<Command>(state: RaftState<Command>, out: Output<Command>): void {
  const { index, configuration } = configurationAt(state);
  if (configuration.outgoing !== undefined || index > state.commitIndex) return;
  const members = membersOf(configuration);
  const leaves = !isVoter(configuration, state.id);
  for (const [member, progress] of state.progress) {
    if (members.includes(member) && !leaves) continue;
    if (progress.mode !== 'snapshot' && progress.next > state.snapshotIndex)
      sendAppend(state, out, member, progress, []);
    if (!members.includes(member)) state.progress.delete(member);
  }
  if (leaves) becomeFollower(state, out, state.hard.term);
}
