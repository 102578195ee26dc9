import type { Mutant } from './mutant.ts';

const file = 'raft.ts';

/** Bugs of the log and of elections. */
export const raftMutants: readonly Mutant[] = [
  {
    name: 'answer before the fsync',
    file,
    find: 'state.persistedIndex = Math.max(state.persistedIndex, index);',
    replace: 'state.persistedIndex = lastIndex(state);',
  },
  {
    name: 'lead again in the same term',
    file,
    find: 'state.hard = { term: state.hard.term + 1, votedFor: state.id };',
    replace: 'state.hard = { term: Math.max(1, state.hard.term), votedFor: state.id };',
  },
  {
    name: 'do not write term and vote',
    file,
    find: "return [{ type: 'persist', hard: state.hard, entries: [] }];",
    replace: "return [{ type: 'persist', entries: [] }];",
  },
  {
    name: 'apply an entry twice',
    file,
    find: 'const from = state.commitIndex - state.snapshotIndex;',
    replace: 'const from = Math.max(0, state.commitIndex - state.snapshotIndex - 1);',
  },
  {
    name: 'compact one entry too many',
    file,
    find: 'state.log.splice(0, keepFrom);',
    replace: 'state.log.splice(0, keepFrom + 1);',
  },
  {
    name: 'no entry of the new term',
    file,
    find: "{ type: 'persist', entries: append(state, [undefined]) },",
    replace: "{ type: 'persist', entries: append(state, []) },",
  },
];
