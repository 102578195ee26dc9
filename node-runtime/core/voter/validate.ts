import type { VoterState } from './state.ts';

/** Throws when log, ledger and planner contradict each other (I1). For tests and simulation. */
export function validateVoter({ raft, planner, ledger, appliedIndex, proposals }: VoterState): void {
  if (planner.ledger !== ledger) throw new Error('voter: the planner works from another ledger');
  if (appliedIndex !== raft.commitIndex)
    throw new Error(`voter: applied up to ${appliedIndex}, committed up to ${raft.commitIndex}`);
  if (!planner.leading) return;
  if (raft.role !== 'leader') throw new Error(`voter: ${raft.id} plans, and the log says that it is ${raft.role}`);
  if (planner.term !== raft.hard.term)
    throw new Error(`voter: ${raft.id} plans in term ${planner.term}, the log is in ${raft.hard.term}`);
  if (appliedIndex < raft.firstIndexOfTerm)
    throw new Error(`voter: ${raft.id} plans before it has applied the entry of its term`);
  if (proposals.length > 0) throw new Error('voter: proposals are left over');
}
