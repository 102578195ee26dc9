import { votersOf } from './configuration.ts';
import {
  mayCampaign,
  onPreVoteAnswer,
  onPreVoteRequest,
  onVoteAnswer,
  onVoteRequest,
  ownVotePersisted,
  startVoter,
  tickElection,
} from './election.ts';
import { onAppend, onSnapshotFetched, onSnapshotOffer } from './follower.ts';
import { advanceCommit, broadcast, checkQuorum, onAppendAnswer, tickLeader } from './leader.ts';
import { appendEntries, commitTo, dropUpTo } from './log.ts';
import { advanceMembership, changeVoters } from './membership.ts';
import type { RaftEffect, RaftEvent, RaftMessage } from './messages.ts';
import { Output } from './output.ts';
import { configurationOf, lastIndex, type RaftState, random } from './state.ts';

export function stepRaft<Command>(state: RaftState<Command>, event: RaftEvent<Command>): RaftEffect<Command>[] {
  const out = new Output<Command>();
  if ('nowMs' in event) state.nowMs = Math.max(state.nowMs, event.nowMs);
  take(state, out, event);
  if (state.role === 'leader') advanceMembership(state, out);
  else commitTo(state, out, state.knownCommitIndex);
  return out.flush(state);
}

function take<Command>(state: RaftState<Command>, out: Output<Command>, event: RaftEvent<Command>): void {
  switch (event.type) {
    case 'start':
      startVoter(state, out, event.seed);
      return;
    case 'tick':
      if (state.role === 'leader') tickLeader(state, out);
      else tickElection(state, out);
      return;
    case 'receive':
      // One that slept may be a leader of the past: it must not go on as if nothing had happened.
      if (state.role === 'leader') checkQuorum(state, out);
      receive(state, out, event.from, event.message);
      return;
    case 'propose': {
      if (state.role !== 'leader') throw new Error('raft: only a leader proposes');
      const { term } = state.hard;
      const first = lastIndex(state) + 1;
      appendEntries(
        state,
        out,
        event.commands.map((command, offset) => ({ index: first + offset, term, command })),
      );
      broadcast(state, out);
      return;
    }
    case 'change-voters':
      changeVoters(state, out, event.voters, event.learners);
      return;
    case 'persisted':
      persisted(state, out, event.sequence);
      return;
    case 'compacted':
      dropUpTo(state, event.index);
      return;
    case 'snapshot-fetched':
      onSnapshotFetched(state, out, event);
      return;
    case 'snapshot-failed':
      if (state.fetching?.index === event.index && state.fetching.term === event.term) state.fetching = undefined;
      return;
    case 'suspected':
      suspected(state, event.node);
      return;
  }
}

function receive<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  message: RaftMessage<Command>,
): void {
  switch (message.type) {
    case 'pre-vote-request':
      onPreVoteRequest(state, out, from, message);
      return;
    case 'pre-vote-answer':
      onPreVoteAnswer(state, out, from, message);
      return;
    case 'vote-request':
      onVoteRequest(state, out, from, message);
      return;
    case 'vote-answer':
      onVoteAnswer(state, out, from, message);
      return;
    case 'append':
      onAppend(state, out, from, message);
      return;
    case 'append-answer':
      onAppendAnswer(state, out, from, message);
      return;
    case 'snapshot':
      onSnapshotOffer(state, out, from, message);
      return;
  }
}

function persisted<Command>(state: RaftState<Command>, out: Output<Command>, sequence: number): void {
  state.persistedSequence = Math.max(state.persistedSequence, Math.min(sequence, state.sequence));
  while (state.writes.length > 0 && state.writes[0]!.sequence <= state.persistedSequence) {
    state.persistedIndex = Math.max(state.persistedIndex, state.writes.shift()!.lastIndex);
  }
  ownVotePersisted(state, out);
  advanceCommit(state, out);
}

/**
 * A last will may come late, twice or for nothing: it only lets this one ask earlier, and others answer. All voters hear it
 * at once, and would share the votes among themselves: they ask one after another.
 */
function suspected<Command>(state: RaftState<Command>, node: string): void {
  if (state.leader !== node || state.role !== 'follower') return;
  state.leader = undefined;
  const others = votersOf(configurationOf(state)).filter((voter) => voter !== node);
  const turn = Math.max(0, others.sort().indexOf(state.id));
  const afterMs = (turn + random(state) / 4) * state.options.profile.heartbeatMs;
  state.electionDueMs = Math.min(state.electionDueMs, state.nowMs + afterMs);
}

/** When the next `tick` is due; undefined when none is: a sole voter needs no timer. */
export function raftDueMs<Command>(state: RaftState<Command>): number | undefined {
  if (state.role === 'leader') return state.progress.size === 0 ? undefined : state.heartbeatDueMs;
  if (!mayCampaign(state)) return undefined;
  return state.role === 'follower' ? state.electionDueMs : Math.min(state.electionDueMs, state.campaignResendMs);
}
