import type { Mutant } from './mutant.ts';

/** Bugs that only several voters can show: of elections, of replication, of the change of voters, and of who plans. */
export const voterMutants: readonly Mutant[] = [
  // Elections.
  {
    name: 'vote twice in a term',
    file: 'raft/election.ts',
    find: '(votedFor === undefined || votedFor === from) && isUpToDate(state, request);',
    replace: 'isUpToDate(state, request); state.hard = granted ? { term } : state.hard;',
  },
  {
    name: 'forget at a restart whom it voted for',
    file: 'raft/state.ts',
    find: 'hard: restored?.hard ?? { term: 0 },',
    replace: 'hard: { term: restored?.hard.term ?? 0 },',
  },
  {
    name: 'vote for whoever has less',
    file: 'raft/election.ts',
    find: 'return log.lastTerm > own || (log.lastTerm === own && log.lastIndex >= lastIndex(state));',
    replace: 'return log.lastTerm >= own;',
  },
  {
    name: 'vote at once after a restart',
    file: 'raft/election.ts',
    find: 'state.grantsFromMs = state.nowMs + state.options.profile.electionLeastMs;',
    replace: 'state.grantsFromMs = state.nowMs;',
  },
  {
    name: 'count the own vote before it is on disk',
    file: 'raft/election.ts',
    find: "if (state.role !== 'candidate' || state.persistedSequence < state.ownVoteSequence) return;",
    replace: "if (state.role !== 'candidate') return;",
  },
  // The log.
  {
    name: 'answer a leader before the fsync',
    file: 'raft/output.ts',
    find: 'this.afterWrite.push({ to, message });',
    replace: 'this.now.push({ to, message });',
  },
  {
    name: 'commit an entry of an older term by counting',
    file: 'raft/leader.ts',
    find: 'if (reached < state.firstIndexOfTerm) return;',
    replace: '',
  },
  {
    name: 'count what was overwritten as written',
    file: 'raft/log.ts',
    find: 'state.log.splice(index - state.snapshotIndex); forgetWritten(state, index);',
    replace: 'state.log.splice(index - state.snapshotIndex);',
  },
  {
    name: 'take entries that do not fit the log',
    file: 'raft/follower.ts',
    find: 'const agreed = append.previousIndex < state.snapshotIndex || termAt(state, previousIndex) === append.previousTerm;',
    replace: 'const agreed = previousIndex <= lastIndex(state);',
  },
  {
    name: 'go on leading after a long sleep',
    file: 'raft/leader.ts',
    find: 'if (state.nowMs - state.quorumHeardMs < state.options.profile.electionLeastMs) return true;',
    replace: 'if (state.quorumHeardMs >= 0) return true;',
  },
  // Who votes.
  {
    name: 'count a learner in the quorum',
    file: 'raft/leader.ts',
    find: 'const reached = quorumValue(configurationOf(state), (voter) =>',
    replace: 'const reached = quorumValue({ voters: membersOf(configurationOf(state)), learners: [] }, (voter) =>',
  },
  {
    name: 'let the new voters alone decide on the change',
    file: 'raft/configuration.ts',
    find: 'return outgoing === undefined ? byMost(voters) : Math.min(byMost(voters), byMost(outgoing));',
    replace: 'return byMost(voters);',
  },
  {
    name: 'let the new voters alone elect',
    file: 'raft/configuration.ts',
    find: 'return majority(voters) && (outgoing === undefined || majority(outgoing));',
    replace: 'return majority(voters);',
  },
  {
    name: 'take a snapshot without who votes',
    file: 'raft/follower.ts',
    find: 'state.configurations.splice(0, state.configurations.length, { index, configuration }, ...later);',
    replace:
      'state.configurations.splice(0, state.configurations.length, { index, configuration: state.configurations[0]!.configuration }, ...later);',
  },
  {
    name: 'make a snapshot with voters that are not yet agreed on',
    file: 'voter/step.ts',
    find: 'configuration: raft.configurations[0]!.configuration,',
    replace: 'configuration: raft.configurations.at(-1)!.configuration,',
  },
  {
    name: 'forget learners when the leader changes',
    file: 'voter/seats.ts',
    find: 'const reached = raft.target !== undefined || configuration.learners.length === 0;',
    replace: 'const reached = true;',
  },
  {
    name: 'an even number of voters',
    file: 'voter/seats.ts',
    find: 'return inOrder.slice(0, Math.max(oddUpTo(inOrder.length), Math.min(voters.length, inOrder.length)));',
    replace: 'return inOrder;',
  },
  {
    name: 'never replace a voter that stays away',
    file: 'voter/seats.ts',
    find: 'nowMs - (seats.awaySinceMs.get(voter) ?? nowMs) > settings.replaceAfterMs;',
    replace: 'seats.awaySinceMs.get(voter) === settings.replaceAfterMs;',
  },
  // Who plans.
  {
    name: 'plan on when another leads',
    file: 'voter/step.ts',
    find: "if (effect.role === 'follower' && state.planner.leading) plan(state, { type: 'deposed' }, at, out);",
    replace: '',
  },
  {
    name: 'a deposed planner goes on speaking',
    file: 'planner/step.ts',
    find: "else if (event.type === 'deposed') forgetPlans(state);",
    replace: "else if (event.type === 'deposed') state.accepting.clear();",
  },
  {
    name: 'plan before the log is read to its end',
    file: 'voter/step.ts',
    find: "out.push(effect); if (effect.role === 'follower'",
    replace: "out.push(effect); if (effect.role === 'leader') takeOver(state, at, out); if (effect.role === 'follower'",
  },
  {
    name: 'take the election of another for the own one',
    file: 'voter/step.ts',
    find: "elected ||= state.raft.role === 'leader' && term === state.raft.hard.term;",
    replace: 'elected ||= term === state.raft.hard.term;',
  },
  {
    name: 'assign when the lease has run out',
    file: 'voter/step.ts',
    find: 'state.planner.leased = holdsLease(state.raft, at.nowMs); take(',
    replace: 'take(',
  },
  {
    name: 'leave to clients the specs that were heard while nobody led',
    file: 'voter/step.ts',
    find: "for (const spec of state.specs.all()) out.push({ type: 'take-spec', ...spec });",
    replace: '',
  },
  {
    name: 'hold no spec while another leads',
    file: 'voter/step.ts',
    find: 'state.specs.hold({ account, job, specHash, payload });',
    replace: 'if (state.planner.leading) state.specs.hold({ account, job, specHash, payload });',
  },
  {
    name: 'plan from the ledger of before the snapshot',
    file: 'voter/step.ts',
    find: 'state.planner.ledger = state.ledger;',
    replace: '',
  },
  {
    name: 'take a snapshot and keep the old ledger',
    file: 'voter/step.ts',
    find: 'state.ledger = restoreLedger(fetched.ledger); state.planner.ledger = state.ledger;',
    replace: '',
  },
];
