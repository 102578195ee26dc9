import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { pino } from 'pino';
import { type LedgerCommand, type LogEntry, raftProfiles } from '../../../node-runtime/core/index.ts';
import { LogStore } from '../../../node-runtime/shell/voter/log-store.ts';
import { planningPolicy } from '../../../node-runtime/shell/voter/policy.ts';
import { Voter } from '../../../node-runtime/shell/voter/voter.ts';
import { endAll, later, scratch } from './scratch.ts';

async function open(logDirectory: string, founders: readonly string[]): Promise<Voter> {
  const voter = await Voter.open({
    id: 'ada',
    bootId: 'boot',
    holders: ['broker'],
    founders,
    profile: raftProfiles.lan,
    publicKey: 'A'.repeat(43),
    policy: planningPolicy,
    logDirectory,
    log: pino({ level: 'silent' }),
    perform: () => undefined,
    sendRaft: () => undefined,
    fetchSnapshot: () => undefined,
    onFatal: (error) => assert.fail(error),
  });
  later(() => voter.close());
  return voter;
}

describe('Voter', () => {
  afterEach(async () => {
    mock.restoreAll();
    await endAll();
  });

  it('goes on when its log has grown large and no snapshot can be made yet', async () => {
    const voter = await open(await scratch(), []);
    await voter.start();
    let looks = 0;
    const large = () => {
      looks += 1;
      assert.ok(looks < 100, 'it asks for a snapshot again and again, and does nothing else');
      return 1024 ** 3;
    };
    mock.getter(LogStore.prototype, 'segmentBytes', large);
    // It has read nothing yet: its snapshot could not say who votes.
    voter.feed({ type: 'suspected', node: 'bob' });
    voter.feed({ type: 'suspected', node: 'bob' });
    assert.ok(looks >= 2, String(looks));
  });

  it('hears the others when it starts in the middle of a change to itself alone', async () => {
    const directory = await scratch();
    const { store } = await LogStore.open(directory);
    const joint = { voters: ['ada'], outgoing: ['ada', 'bob', 'cyd'], learners: [] };
    const log: LogEntry<LedgerCommand>[] = [
      { index: 1, term: 1 },
      { index: 2, term: 1, configuration: joint },
    ];
    await store.persist({ term: 1 }, log);
    await store.close();
    const voter = await open(directory, ['ada']);
    // Alone it cannot win: it is ready to hear the others. One that waited for itself would never be.
    await voter.start();
    assert.equal(voter.isElected, false);
  });
});
