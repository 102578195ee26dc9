import type { Mutant } from './mutant.ts';

/** Bugs of whom a node believes, and of how voters know each other. */
export const trustMutants: readonly Mutant[] = [
  {
    name: 'keep the fence in memory',
    file: 'trust.ts',
    find: 'return { accepted: true, changed: true };',
    replace: 'return { accepted: true, changed: false };',
  },
  {
    name: 'believe a leader of the past',
    file: 'trust.ts',
    find: 'if (proof.term < term) return refused(',
    replace: 'if (proof.term < 0) return refused(',
  },
  {
    name: 'know nobody after a restart',
    file: 'voter/members.ts',
    find: "if (command?.type === 'enroll-node' && command.node === node) return command.publicKey;",
    replace: '',
  },
  {
    name: 'let nobody but the leader sign who votes',
    file: 'voter/members.ts',
    find: 'if (last === undefined ? !state.isFounder',
    replace: "if (raft.role !== 'leader') return; if (last === undefined ? !state.isFounder",
  },
];
