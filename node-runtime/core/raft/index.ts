/** The replicated log: Raft (Ongaro and Ousterhout 2014; the dissertation for PreVote, CheckQuorum, the lease, membership). */
export { type Configuration, isSoleVoter, isVoter, membersOf, quorumSize, sameConfiguration } from './configuration.ts';
export { changeProblem } from './membership.ts';
export * from './messages.ts';
export { type RaftProfile, raftProfiles } from './profiles.ts';
export { holdsLease, isFetchedFrom, leaseUntilMs } from './progress.ts';
export { createRaft, lastIndex, type RaftOptions, type RaftRestored, type RaftState, termAt } from './state.ts';
export { raftDueMs, stepRaft } from './step.ts';
export { validateRaft } from './validate.ts';
