import assert from 'node:assert/strict';
import {
  createVoter,
  type LedgerCommand,
  type LogEntry,
  raftProfiles,
  stepVoter,
  type VoterEffect,
  type VoterEvent,
  validateVoter,
} from '@foremesh/node-runtime/core';
import { policy } from './samples.ts';

/** A node that ada takes in: it knows nobody before it has read the log. */
class Newcomer {
  readonly state = createVoter(
    {
      id: 'bob',
      bootId: 'boot',
      holders: ['broker'],
      policy,
      founders: [],
      profile: raftProfiles.lan,
      publicKey: 'A'.repeat(43),
    },
    { hard: { term: 0 }, log: [], snapshotIndex: 0, snapshotTerm: 0 },
  );
  #nowMs = 0;

  feed(event: VoterEvent): VoterEffect[] {
    this.#nowMs += 1;
    const effects = stepVoter(this.state, event, { nowMs: this.#nowMs, wallMs: 0 });
    validateVoter(this.state);
    return effects;
  }

  /** Takes entries that are committed, and keeps them. */
  take(...entries: LogEntry<LedgerCommand>[]): void {
    const previousIndex = entries[0]!.index - 1;
    const commitIndex = entries.at(-1)!.index;
    const message = {
      type: 'append',
      term: 1,
      round: 1,
      previousIndex,
      previousTerm: 1,
      entries,
      commitIndex,
    } as const;
    const first = previousIndex === 0 ? { ...message, previousTerm: 0 } : message;
    const written = this.feed({ type: 'raft-received', from: 'ada', message: first }).find(
      (effect) => effect.type === 'persist',
    );
    this.feed({ type: 'persisted', sequence: written!.sequence });
  }

  compacts(): VoterEffect | undefined {
    return this.feed({ type: 'compaction-due' }).find((effect) => effect.type === 'compact');
  }
}

describe('voter: snapshots', () => {
  const settings = { settleMs: 1_000, replaceAfterMs: 1_000 };

  it('makes none before it has read who votes, which the snapshot has to say', () => {
    const bob = new Newcomer();
    bob.feed({ type: 'start', seed: 1 });
    bob.take({ index: 1, term: 1 }, { index: 2, term: 1, command: { type: 'set-voters', settings, atMs: 0 } });
    assert.equal(bob.state.appliedIndex, 2);
    assert.equal(bob.compacts(), undefined);
    const configuration = { voters: ['ada'], learners: ['bob'] };
    bob.take({ index: 3, term: 1, configuration });
    const made = bob.compacts();
    assert.ok(made?.type === 'compact');
    assert.deepEqual([made.index, made.configuration], [3, configuration]);
    assert.equal(bob.compacts(), undefined, 'one at a time');
  });
});
