import { isQuorum, isSoleVoter, isVoter, membersOf, votersOf } from './configuration.ts';
import { broadcast, createProgress } from './leader.ts';
import { appendEntries } from './log.ts';
import type { PreVoteAnswer, PreVoteRequest, VoteAnswer, VoteRequest } from './messages.ts';
import type { Output } from './output.ts';
import { configurationOf, lastIndex, lastTerm, type RaftState, random } from './state.ts';

export function resetElection<Command>(state: RaftState<Command>): void {
  const { electionLeastMs, electionMostMs } = state.options.profile;
  state.electionDueMs = state.nowMs + electionLeastMs + random(state) * (electionMostMs - electionLeastMs);
}

export function becomeFollower<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  term: number,
  leader?: string,
): void {
  if (term > state.hard.term) {
    state.hard = { term };
    out.hardChanged = true;
    state.leader = undefined;
  }
  if (state.role === 'leader') {
    state.progress.clear();
    state.target = undefined;
  }
  if (state.role !== 'follower') resetElection(state);
  if (state.role === 'leader') state.leader = undefined;
  state.role = 'follower';
  state.votes.clear();
  if (leader !== undefined) state.leader = leader;
}

/** Asks whether an election could be won, before it disturbs anybody. A sole voter need not ask. */
function startPreVote<Command>(state: RaftState<Command>, out: Output<Command>): void {
  resetElection(state);
  state.leader = undefined;
  state.role = 'pre-candidate';
  state.campaignRound = Math.floor(random(state) * 2 ** 32);
  state.votes.clear();
  state.votes.set(state.id, { granted: true });
  state.campaignResendMs = state.nowMs + state.options.profile.heartbeatMs;
  if (!isQuorum(configurationOf(state), (voter) => voter === state.id)) askVotes(state, out);
  countVotes(state, out);
}

function startElection<Command>(state: RaftState<Command>, out: Output<Command>): void {
  resetElection(state);
  state.role = 'candidate';
  state.leader = undefined;
  state.hard = { term: state.hard.term + 1, votedFor: state.id };
  out.hardChanged = true;
  state.votes.clear();
  // Counts when it is on disk, as any voter's does.
  state.ownVoteSequence = out.nextSequence(state);
  state.campaignResendMs = state.nowMs + state.options.profile.heartbeatMs;
  askVotes(state, out);
}

/** Asks those that have not answered. */
function askVotes<Command>(state: RaftState<Command>, out: Output<Command>): void {
  const log = { lastIndex: lastIndex(state), lastTerm: lastTerm(state) };
  for (const voter of votersOf(configurationOf(state))) {
    if (voter === state.id || state.votes.has(voter)) continue;
    if (state.role === 'pre-candidate') {
      out.sendDurable(voter, {
        type: 'pre-vote-request',
        term: state.hard.term + 1,
        round: state.campaignRound,
        ...log,
      });
    } else out.sendDurable(voter, { type: 'vote-request', term: state.hard.term, ...log });
  }
}

function countVotes<Command>(state: RaftState<Command>, out: Output<Command>): void {
  if (state.role !== 'candidate' && state.role !== 'pre-candidate') return;
  if (!isQuorum(configurationOf(state), (voter) => state.votes.get(voter)?.granted === true)) return;
  if (state.role === 'pre-candidate') startElection(state, out);
  else becomeLeader(state, out);
}

export function ownVotePersisted<Command>(state: RaftState<Command>, out: Output<Command>): void {
  if (state.role !== 'candidate' || state.persistedSequence < state.ownVoteSequence) return;
  state.votes.set(state.id, { granted: true });
  countVotes(state, out);
}

function becomeLeader<Command>(state: RaftState<Command>, out: Output<Command>): void {
  const { term } = state.hard;
  out.votes = [...state.votes]
    .filter(([, { granted }]) => granted)
    .map(([voter, { signature }]) => ({ voter, ...(signature === undefined ? {} : { signature }) }));
  state.role = 'leader';
  state.leader = state.id;
  state.votes.clear();
  state.round = 1;
  state.roundsSent.splice(0, state.roundsSent.length, { round: 1, sentMs: state.nowMs });
  state.quorumHeardMs = state.nowMs;
  state.leaseFromMs = Number.NEGATIVE_INFINITY;
  state.heartbeatDueMs = state.nowMs + state.options.profile.heartbeatMs;
  state.target = undefined;
  state.fetching = undefined;
  state.firstIndexOfTerm = lastIndex(state) + 1;
  state.progress.clear();
  for (const member of membersOf(configurationOf(state))) {
    if (member !== state.id) state.progress.set(member, createProgress(lastIndex(state) + 1));
  }
  appendEntries(state, out, [{ index: lastIndex(state) + 1, term }]);
  broadcast(state, out);
}

/** Whether a leader was heard from so lately that nobody should be electing another. */
function isLed<Command>(state: RaftState<Command>): boolean {
  if (state.role === 'leader') return true; // it steps down by itself when it loses its quorum
  return state.leader !== undefined && state.nowMs - state.leaderHeardMs < state.options.profile.electionLeastMs;
}

function isUpToDate<Command>(state: RaftState<Command>, log: { lastIndex: number; lastTerm: number }): boolean {
  const own = lastTerm(state);
  return log.lastTerm > own || (log.lastTerm === own && log.lastIndex >= lastIndex(state));
}

/** A voter that may have promised something before it restarted, or that hears its leader, does not listen to candidates. */
function isDeaf<Command>(state: RaftState<Command>): boolean {
  return isLed(state) || state.nowMs < state.grantsFromMs;
}

export function onPreVoteRequest<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  request: PreVoteRequest,
): void {
  if (isDeaf(state) && request.term > state.hard.term) return;
  const granted = request.term > state.hard.term && isUpToDate(state, request);
  const term = granted ? request.term : state.hard.term;
  out.sendDurable(from, { type: 'pre-vote-answer', term, round: request.round, granted });
}

export function onPreVoteAnswer<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  answer: PreVoteAnswer,
): void {
  if (!answer.granted && answer.term > state.hard.term) {
    becomeFollower(state, out, answer.term);
    return;
  }
  if (state.role !== 'pre-candidate' || answer.round !== state.campaignRound) return;
  if (answer.granted && answer.term !== state.hard.term + 1) return;
  noteVote(state, out, from, { granted: answer.granted });
}

export function onVoteRequest<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  request: VoteRequest,
): void {
  if (request.term > state.hard.term) {
    if (isDeaf(state)) return;
    becomeFollower(state, out, request.term);
  }
  const { term, votedFor } = state.hard;
  const free = state.role === 'follower' && state.nowMs >= state.grantsFromMs;
  const granted =
    request.term === term && free && (votedFor === undefined || votedFor === from) && isUpToDate(state, request);
  if (granted) {
    if (votedFor === undefined) {
      state.hard = { term, votedFor: from };
      out.hardChanged = true;
    }
    resetElection(state);
  }
  out.sendDurable(from, { type: 'vote-answer', term, granted });
}

export function onVoteAnswer<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  answer: VoteAnswer,
): void {
  if (answer.term > state.hard.term) {
    becomeFollower(state, out, answer.term);
    return;
  }
  if (state.role !== 'candidate' || answer.term !== state.hard.term) return;
  const { granted, signature } = answer;
  noteVote(state, out, from, { granted, ...(signature === undefined ? {} : { signature }) });
}

function noteVote<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  from: string,
  vote: { readonly granted: boolean; readonly signature?: Uint8Array },
): void {
  if (!isVoter(configurationOf(state), from)) return;
  // A refusal may be of a moment (it heard its leader, it had just restarted): a later grant counts.
  if (state.votes.get(from)?.granted === true) return;
  state.votes.set(from, vote);
  countVotes(state, out);
}

/**
 * A voter; and one that an entry has removed which may not be committed: perhaps none of those that remain has that entry,
 * and so nobody else can win (section 4.2.2 of the dissertation).
 */
export function mayCampaign<Command>({ id, commitIndex, configurations }: RaftState<Command>): boolean {
  return configurations.some(({ configuration }, at) => {
    const next = configurations[at + 1];
    return (next === undefined || next.index > commitIndex) && isVoter(configuration, id);
  });
}

/** What is due at this time of one that does not lead. */
export function tickElection<Command>(state: RaftState<Command>, out: Output<Command>): void {
  if (!mayCampaign(state)) return;
  if (state.nowMs >= state.electionDueMs) {
    startPreVote(state, out);
    return;
  }
  if (state.role === 'follower' || state.nowMs < state.campaignResendMs) return;
  state.campaignResendMs = state.nowMs + state.options.profile.heartbeatMs;
  askVotes(state, out);
}

export function startVoter<Command>(state: RaftState<Command>, out: Output<Command>, seed: number): void {
  state.randomState = seed >>> 0;
  if (isSoleVoter(configurationOf(state), state.id)) {
    state.grantsFromMs = state.nowMs;
    startPreVote(state, out);
    return;
  }
  state.grantsFromMs = state.nowMs + state.options.profile.electionLeastMs;
  resetElection(state);
}
