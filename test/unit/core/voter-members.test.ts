import assert from 'node:assert/strict';
import {
  createVoter,
  isHeard,
  knownKeyOf,
  type LedgerCommand,
  type LogEntry,
  raftProfiles,
} from '@foremesh/node-runtime/core';
import { policy } from './samples.ts';

describe('voter: members', () => {
  const enroll = (node: string): LedgerCommand => ({ type: 'enroll-node', node, publicKey: `key-of-${node}`, atMs: 0 });
  const log: LogEntry<LedgerCommand>[] = [
    { index: 1, term: 1 },
    { index: 2, term: 1, command: enroll('bob') },
    { index: 3, term: 1, command: enroll('cyd') },
    { index: 4, term: 1, configuration: { voters: ['ada', 'bob'], outgoing: ['ada'], learners: [] } },
  ];

  const stateWith = (entries: readonly LogEntry<LedgerCommand>[]) => {
    const restored = { hard: { term: 1 }, log: entries, snapshotIndex: 0, snapshotTerm: 0 };
    const options = { id: 'ada', bootId: 'boot', holders: ['broker'], founders: ['ada'], policy };
    return createVoter({ ...options, profile: raftProfiles.lan, publicKey: 'A'.repeat(43) }, restored);
  };

  it('knows after a restart, before it has applied anything, the keys of those whom it has to hear for that', () => {
    const state = stateWith(log);
    assert.equal(state.ledger.nodes.size, 0);
    assert.equal(knownKeyOf(state, 'bob'), 'key-of-bob');
    assert.equal(knownKeyOf(state, 'cyd'), undefined, 'no member: the ledger will know it when the log is applied');
    state.ledger.nodes.set('bob', { publicKey: 'applied' });
    assert.equal(knownKeyOf(state, 'bob'), 'applied');
  });

  it('listens in the matters of the log to members of its configurations and to whom voters have signed, to nobody else', () => {
    const change = { voters: ['bob', 'dan', 'eve'], outgoing: ['ada', 'bob'], learners: ['fay'] };
    const state = stateWith([...log, { index: 5, term: 1, configuration: change }]);
    const heard = ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gus'].filter((node) => isHeard(state, node, false));
    assert.deepEqual(heard, ['ada', 'bob', 'dan', 'eve', 'fay'], 'cyd is enrolled, and does not vote');
    assert.equal(isHeard(state, 'gus', true), true, 'a later entry, not here yet, made it a voter');
  });

  it('listens, as a newcomer whose log is empty, to the leader that was proven to it', () => {
    const restored = { hard: { term: 0 }, log: [], snapshotIndex: 0, snapshotTerm: 0 };
    const options = { id: 'new', bootId: 'boot', holders: ['broker'], founders: [], policy };
    const state = createVoter({ ...options, profile: raftProfiles.lan, publicKey: 'A'.repeat(43) }, restored);
    assert.deepEqual([isHeard(state, 'ada', true), isHeard(state, 'ada', false)], [true, false]);
  });
});
