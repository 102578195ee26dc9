import type { Mutant } from './mutant.ts';

/** Bugs of the log and of elections, as far as a sole voter can show them. */
export const raftMutants: readonly Mutant[] = [
  {
    name: 'answer before the fsync',
    file: 'raft/step.ts',
    find: 'state.persistedSequence = Math.max(state.persistedSequence, Math.min(sequence, state.sequence));',
    replace: 'state.persistedSequence = Math.max(sequence, state.sequence);',
  },
  {
    name: 'lead again in the same term',
    file: 'raft/election.ts',
    find: 'state.hard = { term: state.hard.term + 1, votedFor: state.id };',
    replace: 'state.hard = { term: Math.max(1, state.hard.term), votedFor: state.id };',
  },
  {
    name: 'do not write term and vote',
    file: 'raft/output.ts',
    find: 'const hard = this.hardChanged ? { hard: state.hard } : {};',
    replace: 'const hard = {};',
  },
  {
    name: 'apply an entry twice',
    file: 'raft/log.ts',
    find: 'const from = state.commitIndex - state.snapshotIndex;',
    replace: 'const from = Math.max(0, state.commitIndex - state.snapshotIndex - 1);',
  },
  {
    name: 'compact one entry too many',
    file: 'raft/log.ts',
    find: 'state.log.splice(0, keepFrom);',
    replace: 'state.log.splice(0, keepFrom + 1);',
  },
  {
    name: 'no entry of the new term',
    file: 'raft/election.ts',
    find: 'appendEntries(state, out, [{ index: lastIndex(state) + 1, term }]);',
    replace: 'appendEntries(state, out, []);',
  },
];
