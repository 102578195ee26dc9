import { membersOf } from './configuration.ts';
import { configurationOf, configurationsOf, lastIndex, type RaftState } from './state.ts';

/** Throws when the log contradicts itself (I1). For tests and simulation. */
export function validateRaft<Command>(state: RaftState<Command>): void {
  let term = state.snapshotTerm;
  for (const [offset, entry] of state.log.entries()) {
    if (entry.index !== state.snapshotIndex + 1 + offset)
      throw new Error(`raft: entry ${offset} has index ${entry.index}`);
    if (entry.term < term) throw new Error(`raft: entry ${entry.index} is of term ${entry.term} < ${term}`);
    term = entry.term;
  }
  if (term > state.hard.term)
    throw new Error(`raft: entry ${lastIndex(state)} is of term ${term} > ${state.hard.term}`);
  if (state.commitIndex > state.persistedIndex) throw new Error('raft: committed what is not on disk');
  if (state.commitIndex < state.snapshotIndex) throw new Error('raft: a snapshot of what is not committed');
  if (state.persistedIndex > lastIndex(state)) throw new Error('raft: persisted what was never appended');
  if (state.persistedSequence > state.sequence) throw new Error('raft: persisted what was never written');
  validateConfigurations(state);
  if (state.role === 'leader') validateLeader(state);
}

function validateConfigurations<Command>(state: RaftState<Command>): void {
  const inLog = configurationsOf(state.log).map(({ index }) => index);
  const [base, ...later] = state.configurations.map(({ index }) => index);
  if (base! > state.snapshotIndex || later.join() !== inLog.join()) {
    throw new Error(`raft: configurations of ${[base, ...later]}, in the log of ${inLog}`);
  }
}

function validateLeader<Command>(state: RaftState<Command>): void {
  if (state.leader !== state.id) throw new Error(`raft: ${state.id} leads and follows ${state.leader}`);
  const missing = membersOf(configurationOf(state)).filter((each) => each !== state.id && !state.progress.has(each));
  if (missing.length > 0) throw new Error(`raft: ${missing} get nothing from their leader`);
  for (const [member, { match, next }] of state.progress) {
    if (match >= next || next > lastIndex(state) + 1)
      throw new Error(`raft: ${member} matches ${match}, next is ${next}`);
  }
}
