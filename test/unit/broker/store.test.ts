import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrokerLimits, brokerLimits } from '../../../broker/limits.ts';
import { Incidents } from '../../../broker/log.ts';
import { Database } from '../../../broker/store/database.ts';
import { BrokerPersistence } from '../../../broker/store/persistence.ts';

describe('broker store', () => {
  let location: string;
  const incidents = new Incidents(undefined, 10, 1_000);

  beforeEach(async () => {
    location = await mkdtemp(join(tmpdir(), 'foremesh-store-'));
  });
  afterEach(() => rm(location, { recursive: true, force: true }));

  const openDatabase = () =>
    Database.open({ location, sync: false, repair: false, onWriteFailed: (error) => assert.fail(error) });
  const open = (limits: Partial<BrokerLimits> = {}) =>
    BrokerPersistence.open({ location, sync: false, repair: false }, { ...brokerLimits, ...limits }, incidents);
  const publish = (topic: string, text: string, { qos = 1, retain = false } = {}) => ({
    topic,
    payload: Buffer.from(text),
    qos,
    retain,
  });
  async function queued(persistence: BrokerPersistence, clientId: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { payload } of persistence.sessions.queue(clientId)) found.push(payload.toString());
    return found;
  }
  async function retained(persistence: BrokerPersistence, filter: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { topic, payload } of persistence.retained.matching(filter)) found.push(`${topic}=${payload}`);
    return found.sort();
  }

  it('reads what was written last, before and after it is on disk', async () => {
    const database = await openDatabase();
    for (let round = 0; round < 50; round += 1) {
      const writes = Array.from({ length: 20 }, (_, n) => database.write('k', Buffer.from(`${round} ${n}`)));
      assert.equal((await database.read('k'))?.toString(), `${round} 19`);
      if (round % 2 === 0) await Promise.all(writes);
      assert.equal((await database.read('k'))?.toString(), `${round} 19`);
    }
    await database.write('k', undefined);
    assert.equal(await database.read('k'), undefined);
    await database.close();
    await assert.rejects(database.write('k', Buffer.from('late')), { code: 'MESH_STORAGE_FAILED' });
    const again = await openDatabase();
    assert.equal(await again.read('k'), undefined);
    await again.close();
  });

  it('keeps retained messages, sessions and queues, in order, over restarts', async () => {
    let persistence = await open();
    const first = persistence.brokerId;
    persistence.sessions.subscribe('c:1/ü', 'owner', [
      ['a/#', 1],
      ['b', 0],
    ]);
    persistence.sessions.setConnected('c:1/ü', false);
    for (let n = 0; n < 12; n += 1) await persistence.admit(publish(`a/${n % 2}`, `${n}`, { retain: true }));
    assert.equal(persistence.admit(publish('elsewhere', 'x')), undefined);
    assert.equal(persistence.admit(publish('b', 'x')), undefined);
    assert.equal(persistence.admit(publish('a/0', 'x', { qos: 0 })), undefined);
    await persistence.close();

    persistence = await open();
    assert.notEqual(persistence.brokerId, first);
    await persistence.admit(publish('a/0', 'after'));
    assert.deepEqual(await queued(persistence, 'c:1/ü'), [...Array.from({ length: 12 }, (_, n) => `${n}`), 'after']);
    assert.deepEqual(await retained(persistence, 'a/+'), ['a/0=10', 'a/1=11']);
    assert.deepEqual(await retained(persistence, '#'), ['a/0=10', 'a/1=11']);
    assert.deepEqual(await retained(persistence, 'a/1'), ['a/1=11']);
    assert.equal(persistence.sessions.owner('c:1/ü'), 'owner');
    assert.deepEqual(persistence.sessions.filters('c:1/ü'), [
      ['a/#', 1],
      ['b', 0],
    ]);

    persistence.sessions.drop('c:1/ü');
    await persistence.admit(publish('a/1', '', { retain: true }));
    await persistence.close();
    persistence = await open();
    assert.deepEqual(await queued(persistence, 'c:1/ü'), []);
    assert.equal(persistence.sessions.queuedMessages, 0);
    assert.deepEqual(await retained(persistence, '#'), ['a/0=10']);
    await persistence.close();
  });

  it('drops the oldest of a session by number and by bytes, and counts all sessions together', async () => {
    const persistence = await open({ queuedMessagesPerSession: 5, queuedBytesPerSession: 1_000, queuedMessages: 8 });
    for (const client of ['one', 'two'])
      persistence.sessions.subscribe(client, 'owner', [
        [`to/${client}`, 1],
        ['all', 1],
      ]);
    for (let n = 0; n < 9; n += 1) await persistence.admit(publish('to/one', `${n}`));
    assert.deepEqual(await queued(persistence, 'one'), ['4', '5', '6', '7', '8']);
    await persistence.admit(publish('to/one', 'x'.repeat(900)));
    assert.deepEqual(
      (await queued(persistence, 'one')).map(({ length }) => length),
      [1, 1, 1, 1, 900],
    );
    await persistence.admit(publish('to/one', 'y'.repeat(2_000)));
    assert.equal((await queued(persistence, 'one')).length, 5);
    for (let n = 0; n < 5; n += 1) await persistence.admit(publish('all', `${n}`));
    assert.equal(persistence.sessions.queuedMessages, 8);
    await persistence.close();
  });

  it('forgets sessions that stay away too long, and gives room to new ones', async () => {
    const persistence = await open({ sessions: 2, sessionExpiryMs: 0 });
    for (const client of ['one', 'two', 'three']) persistence.sessions.subscribe(client, 'owner', [['a', 1]]);
    // All are connected: none may be taken from, and none expires.
    persistence.sessions.expire();
    assert.equal(persistence.sessions.size, 3);
    persistence.sessions.setConnected('two', false);
    persistence.sessions.subscribe('four', 'owner', [['a', 1]]);
    assert.equal(persistence.sessions.owner('two'), undefined);
    persistence.sessions.setConnected('one', false);
    persistence.sessions.expire();
    assert.deepEqual([persistence.sessions.owner('one'), persistence.sessions.size], [undefined, 2]);
    await persistence.close();
  });

  it('bounds retained bytes, counting replacements and removals', async () => {
    const persistence = await open({ retainedBytes: 1_000 });
    await persistence.admit(publish('a', 'x'.repeat(700), { retain: true }));
    await persistence.admit(publish('b', 'x'.repeat(700), { retain: true }));
    assert.equal(persistence.retained.size, 1);
    await persistence.admit(publish('a', 'x'.repeat(100), { retain: true }));
    await persistence.admit(publish('b', 'x'.repeat(700), { retain: true }));
    assert.equal(persistence.retained.size, 2);
    for (const topic of ['a', 'b']) await persistence.admit(publish(topic, '', { retain: true }));
    assert.deepEqual([persistence.retained.size, persistence.retained.bytes], [0, 0]);
    await persistence.close();
  });

  it('refuses a store of a later release', async () => {
    const database = await openDatabase();
    await database.write('meta', Buffer.from('{"v":2,"boot":1}'));
    await database.close();
    await assert.rejects(open(), { code: 'MESH_STORAGE_FAILED', mend: /newer release/ });
    await (await openDatabase()).close();
  });

  it('tells of records that do not parse', async () => {
    const database = await openDatabase();
    await database.write('s:x', Buffer.from('no json'));
    await database.close();
    await assert.rejects(open(), { code: 'MESH_STORAGE_FAILED', message: /store is damaged/ });
  });
});
