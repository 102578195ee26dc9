import assert from 'node:assert/strict';
import {
  createVoter,
  describeVoters,
  raftProfiles,
  stepVoter,
  type VoterEvent,
  validateVoter,
} from '@foremesh/node-runtime/core';
import { nodeStatus, policy } from './samples.ts';

const profile = raftProfiles.lan;
const settings = { count: 3, settleMs: 1_000, replaceAfterMs: 60_000 } as const;

/** The founder, whose disk is fast; the others are the test. */
class Founder {
  readonly state = createVoter(
    { id: 'ada', bootId: 'boot', holders: ['broker'], policy, founders: ['ada'], profile, publicKey: 'key-of-ada' },
    { hard: { term: 0 }, log: [], snapshotIndex: 0, snapshotTerm: 0 },
  );
  #nowMs = 0;

  feed(event: VoterEvent): void {
    const effects = stepVoter(this.state, event, { nowMs: this.#nowMs, wallMs: 0 });
    validateVoter(this.state);
    for (const effect of effects) {
      if (effect.type === 'persist') this.feed({ type: 'persisted', sequence: effect.sequence });
      else if (effect.type === 'certify-voters') {
        const link = { ...effect.link, signer: 'key-of-ada', signature: 'by ada' };
        this.feed({ type: 'voters-certified', link });
      }
    }
  }

  pass(ms: number): void {
    for (const endMs = this.#nowMs + ms; this.#nowMs < endMs; ) {
      this.#nowMs += 50;
      this.feed({ type: 'tick' });
    }
  }

  get learners(): readonly string[] {
    return this.state.raft.configurations.at(-1)!.configuration.learners;
  }
}

describe('voter: seats', () => {
  const leading = () => {
    const ada = new Founder();
    ada.feed({ type: 'start', seed: 1 });
    ada.feed({ type: 'connected' });
    ada.feed({ type: 'voters-wanted', settings });
    // Long enough that a heartbeat of which nobody could have known is far behind.
    ada.pass(20 * profile.heartbeatMs);
    return ada;
  };
  const hear = (ada: Founder, ...nodes: string[]) => {
    for (const [at, node] of nodes.entries()) {
      const status = { ...nodeStatus(node), mayLead: true, publicKey: `key-of-${node}-${at}` };
      ada.feed({ type: 'status-heard', status, admitted: true });
    }
  };

  it('are not for whom a person wants out, and are again for a new node of its name', () => {
    const ada = leading();
    hear(ada, 'ada', 'bob', 'cyd');
    ada.pass(settings.settleMs / 2);
    ada.feed({ type: 'removal-wanted', node: 'bob' });
    ada.pass(settings.settleMs + 300);
    assert.deepEqual(ada.learners, [], 'two voters would survive no more than one');
    hear(ada, 'dan');
    ada.pass(settings.settleMs + 300);
    assert.deepEqual(ada.learners, ['cyd', 'dan']);

    const other = leading();
    hear(other, 'ada', 'bob', 'cyd');
    other.feed({ type: 'removal-wanted', node: 'bob' });
    other.feed({
      type: 'status-heard',
      status: { ...nodeStatus('bob'), bootId: 'new', mayLead: true, publicKey: 'another key' },
      admitted: true,
    });
    other.pass(settings.settleMs + 300);
    assert.deepEqual(other.learners, ['bob', 'cyd']);
  });

  it('gives a newcomer time for its first answer, and drops one that never gives any', () => {
    const ada = leading();
    hear(ada, 'ada', 'bob', 'cyd');
    ada.pass(settings.settleMs + 300);
    assert.deepEqual(ada.learners, ['bob', 'cyd']);
    // A newcomer makes its log before it can answer; on a radio link that alone is a second.
    ada.pass(4 * profile.heartbeatMs);
    assert.deepEqual(ada.learners, ['bob', 'cyd']);
    ada.pass(4 * profile.heartbeatMs);
    assert.deepEqual(ada.learners, []);
  });

  it('are told to be taken when the mesh can do with the new voters alone', () => {
    const all = ['ada', 'bob', 'cyd'];
    const changes = [
      { voters: ['ada'], learners: ['bob', 'cyd'] },
      { voters: all, outgoing: ['ada'], learners: [] },
      { voters: all, learners: [] },
    ];
    const log = changes.map((configuration, at) => ({ index: at + 1, term: 1, configuration }));
    const start = { id: 'ada', bootId: 'boot', holders: ['broker'], policy, founders: [], profile, publicKey: 'key' };
    const { raft, ...rest } = createVoter(start, { hard: { term: 1 }, log, snapshotIndex: 0, snapshotTerm: 0 });
    const rolesWhen = (commitIndex: number) =>
      describeVoters({ raft: { ...raft, commitIndex }, ...rest }, { id: 'q' }, 0).voters.map(({ role }) => role);
    assert.deepEqual([1, 2, 3].map(rolesWhen), [
      ['leader', 'joining', 'joining'],
      ['leader', 'joining', 'joining'],
      ['leader', 'voter', 'voter'],
    ]);
  });
});
