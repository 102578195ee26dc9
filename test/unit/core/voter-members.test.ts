import assert from 'node:assert/strict';
import { createVoter, knownKeyOf, type LedgerCommand, type LogEntry, raftProfiles } from '@foremesh/node-runtime/core';
import { policy } from './samples.ts';

describe('voter: members', () => {
  const enroll = (node: string): LedgerCommand => ({ type: 'enroll-node', node, publicKey: `key-of-${node}`, atMs: 0 });
  const log: LogEntry<LedgerCommand>[] = [
    { index: 1, term: 1 },
    { index: 2, term: 1, command: enroll('bob') },
    { index: 3, term: 1, command: enroll('cyd') },
    { index: 4, term: 1, configuration: { voters: ['ada', 'bob'], outgoing: ['ada'], learners: [] } },
  ];

  it('knows after a restart, before it has applied anything, the keys of those whom it has to hear for that', () => {
    const restored = { hard: { term: 1 }, log, snapshotIndex: 0, snapshotTerm: 0 };
    const options = { id: 'ada', bootId: 'boot', holders: ['broker'], founders: ['ada'], policy };
    const state = createVoter({ ...options, profile: raftProfiles.lan, publicKey: 'A'.repeat(43) }, restored);
    assert.equal(state.ledger.nodes.size, 0);
    assert.equal(knownKeyOf(state, 'bob'), 'key-of-bob');
    assert.equal(knownKeyOf(state, 'cyd'), undefined, 'no member: the ledger will know it when the log is applied');
    state.ledger.nodes.set('bob', { publicKey: 'applied' });
    assert.equal(knownKeyOf(state, 'bob'), 'applied');
  });
});
