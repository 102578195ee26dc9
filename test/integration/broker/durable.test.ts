import assert from 'node:assert/strict';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAccount } from '@foremesh/broker';
import { Topics } from '@foremesh/node-runtime/contract';
import { BlobClient } from '@foremesh/node-runtime/data';
import { until } from '../../support/until.ts';
import { account, endAll, makeBroker, makeClient, makeHome, rawPeer, spawnBroker } from './support.ts';

describe('broker: what survives', () => {
  afterEach(endAll);

  it('keeps retained messages and queues over kill -9, from the moment they are acknowledged', async () => {
    const home = await makeHome();
    const first = await spawnBroker(home);
    const away = await makeClient(first.url, { clientId: 'away', clean: false });
    await away.client.subscribeAsync('queue/#', { qos: 1 });
    await away.client.endAsync();
    const publisher = await makeClient(first.url);
    await publisher.client.publishAsync('kept/cleared', 'x', { qos: 1, retain: true });
    const sent = Array.from({ length: 50 }, (_, n) => `${n}`);
    await Promise.all([
      ...sent.map((text) => publisher.client.publishAsync('queue/a', text, { qos: 1 })),
      ...sent.map((text) => publisher.client.publishAsync('kept/last', text, { qos: 1, retain: true })),
      publisher.client.publishAsync('kept/cleared', '', { qos: 1, retain: true }),
    ]);
    // In the very turn in which the last acknowledgement was read.
    await first.kill('SIGKILL');

    const second = await spawnBroker(home);
    const back = await makeClient(second.url, { clientId: 'away', clean: false });
    await until('the queue arrives', () => back.messages.length >= sent.length);
    assert.deepEqual(
      back.messages.map(({ text }) => text),
      sent,
    );
    const reader = await makeClient(second.url);
    await reader.client.subscribeAsync('kept/#', { qos: 1 });
    await until('the retained one arrives', () => reader.messages.length > 0);
    assert.deepEqual(reader.messages, [{ topic: 'kept/last', text: '49', retain: true, qos: 1, dup: false }]);

    // What was acknowledged is not delivered again.
    await back.client.endAsync();
    await until('the queue is empty on disk too', async () => {
      const again = await makeClient(second.url, { clientId: 'away', clean: false });
      await again.client.subscribeAsync('mark', { qos: 1 });
      await again.client.publishAsync('mark', 'mark', { qos: 1 });
      await until('the mark', () => again.messages.some(({ text }) => text === 'mark'));
      await again.client.endAsync();
      return again.messages.length === 1;
    });
    await second.kill('SIGKILL');
    const third = await spawnBroker(home);
    const last = await makeClient(third.url, { clientId: 'away', clean: false });
    await last.client.publishAsync('queue/a', 'new', { qos: 1 });
    await until('the new one arrives', () => last.messages.some(({ text }) => text === 'new'));
    // (The last mark may come again: it was acknowledged in the moment of the kill.)
    assert.deepEqual(
      last.messages.map(({ text }) => text).filter((text) => text !== 'mark'),
      ['new'],
    );
  });

  it('queues for who is away up to the limit, drops the oldest, and says so', async () => {
    const broker = await makeBroker({ limits: { queuedMessagesPerSession: 10 } });
    const away = await makeClient(broker.url, { clientId: 'away', clean: false });
    await away.client.subscribeAsync({ 'q/+': { qos: 1 }, 'zero/#': { qos: 0 } });
    await away.client.endAsync();
    const { client } = await makeClient(broker.url);
    for (let n = 0; n < 25; n += 1) await client.publishAsync('q/1', `${n}`, { qos: 1 });
    await client.publishAsync('zero/1', 'not queued', { qos: 1 });
    await client.publishAsync('q/1', 'not queued either', { qos: 0 });
    assert.equal(broker.statistics().queuedMessages, 10);
    assert.equal(broker.statistics().incidents.queuedMessagesPerSession, 15);
    const back = await makeClient(broker.url, { clientId: 'away', clean: false });
    await until('the queue arrives', () => back.messages.length === 10);
    assert.deepEqual(
      back.messages.map(({ text }) => text),
      Array.from({ length: 10 }, (_, n) => `${n + 15}`),
    );
    await until('all are acknowledged', () => broker.statistics().queuedMessages === 0);
  });

  it('ends a session when its client comes clean, and bounds how many there are', async () => {
    const broker = await makeBroker({ limits: { sessions: 3 } });
    const session = async (clientId: string, clean: boolean) => {
      const made = await makeClient(broker.url, { clientId, clean });
      await made.client.subscribeAsync(`to/${clientId}`, { qos: 1 });
      await made.client.endAsync();
      await until('it is gone', () => broker.statistics().connections === 0);
    };
    for (const clientId of ['s1', 's2', 's3', 's4']) await session(clientId, false);
    assert.equal(broker.statistics().sessions, 3);
    assert.equal(broker.statistics().incidents.sessions, 1);
    const { client } = await makeClient(broker.url);
    await client.publishAsync('to/s1', 'for the one that made room', { qos: 1 });
    await client.publishAsync('to/s4', 'x', { qos: 1 });
    assert.equal(broker.statistics().queuedMessages, 1);
    await client.endAsync();
    await session('s4', true);
    assert.deepEqual([broker.statistics().sessions, broker.statistics().queuedMessages], [2, 0]);
  });

  it('keeps a connected session that subscribes to wide and narrow filters, and unsubscribes one', async () => {
    const broker = await makeBroker();
    const { client, messages } = await makeClient(broker.url, { clientId: 'wide', clean: false });
    await client.subscribeAsync('a/#', { qos: 1 });
    await client.subscribeAsync('a/b', { qos: 0 });
    await client.publishAsync('a/x', '1', { qos: 1 });
    await client.unsubscribeAsync('a/b');
    await client.publishAsync('a/b', '2', { qos: 1 });
    await until('both arrive', () => messages.length === 2);
    await until('nothing is left', () => broker.statistics().queuedMessages === 0);
    assert.equal(client.connected, true);
  });

  it('publishes the wills that a killed broker left, when their clients stay away', async () => {
    const home = await makeHome();
    const first = await spawnBroker(home);
    const will = { topic: 'status/lost', payload: Buffer.from('gone'), qos: 1 as const, retain: true };
    await makeClient(first.url, { clientId: 'lost', will });
    await first.kill('SIGKILL');
    const second = await makeBroker({ home, heartbeatMs: 50 });
    const reader = await makeClient(second.url);
    await reader.client.subscribeAsync('status/+', { qos: 1 });
    await until('the will arrives', () => reader.messages.length === 1);
    assert.equal(reader.messages[0]!.text, 'gone');
  });

  it('does not open a home that another broker uses', async () => {
    const broker = await makeBroker();
    await assert.rejects(makeBroker({ home: broker.home }), { code: 'MESH_IDENTITY_IN_USE' });
    await assert.rejects(spawnBroker(broker.home), /another broker uses this store \(MESH_IDENTITY_IN_USE\); stop/);
  });

  it('tells that a port is in use, and leaves the home free', async () => {
    const broker = await makeBroker();
    const home = await makeHome();
    const taken = { home, listen: { port: broker.tcpPort } };
    await assert.rejects(makeBroker(taken), {
      code: 'MESH_CONFIG_INVALID',
      message: 'the port is in use',
      where: `127.0.0.1:${broker.tcpPort}`,
    });
    await assert.rejects(makeBroker({ home, webSocket: { port: broker.tcpPort } }), { code: 'MESH_CONFIG_INVALID' });
    await makeBroker({ home });
  });

  it('tells that its store is damaged and how to mend it, and the mend works', async () => {
    const home = await makeHome();
    const first = await makeBroker({ home });
    const { client } = await makeClient(first.url);
    for (let n = 0; n < 200; n += 1)
      await client.publishAsync(`kept/${n}`, Buffer.alloc(20_000, 'x'), { qos: 1, retain: true });
    await client.endAsync();
    await first.close();
    const store = join(home, 'broker', 'store');
    const manifest = (await readdir(store)).find((name) => name.startsWith('MANIFEST'))!;
    await writeFile(join(store, manifest), 'no manifest');
    await assert.rejects(makeBroker({ home }), (error: Error & { code: string; mend: string }) => {
      assert.equal(error.code, 'MESH_STORAGE_FAILED');
      assert.match(error.message, /store is damaged/);
      assert.match(error.mend, /--repair-store/);
      return true;
    });
    const mended = await makeBroker({ home, repairStore: true });
    assert.equal(mended.statistics().retainedMessages, 200);
  });

  it('starts again after its files were cut short by a crash', async () => {
    const home = await makeHome();
    const first = await spawnBroker(home);
    const { client } = await makeClient(first.url);
    await client.publishAsync('kept', 'x', { qos: 1, retain: true });
    await first.kill('SIGKILL');
    await rm(join(home, 'broker', 'store', 'LOCK'), { force: true });
    const log = (await readdir(join(home, 'broker', 'store'))).find((name) => name.endsWith('.log'))!;
    await writeFile(join(home, 'broker', 'store', log), Buffer.from([1, 2, 3]), { flag: 'a' });
    const second = await makeBroker({ home });
    assert.equal(second.statistics().retainedMessages, 1);
  });

  it('holds the blobs of its mesh, over a restart', async () => {
    const home = await makeHome();
    await writeFile(join(home, 'mesh.json'), JSON.stringify({ v: 1, mesh: 'm1' }));
    const first = await makeBroker({ home });
    const clientOf = (broker: typeof first) => {
      const transport = broker.transport();
      const client = new BlobClient({
        transport: () => transport,
        topics: new Topics('m1'),
        requester: 'tester',
        holders: ['broker'],
      });
      return { client, transport };
    };
    const bytes = Buffer.alloc(1_000_000, 'blob');
    const writer = clientOf(first);
    const reference = await writer.client.put(bytes);
    await first.close();
    const second = await makeBroker({ home });
    const reader = clientOf(second);
    assert.deepEqual(Buffer.from(await reader.client.get(reference)), bytes);
  });

  it('does not start on a damaged mesh.json', async () => {
    const home = await makeHome();
    await writeFile(join(home, 'mesh.json'), '{"v":1,"mesh":"no good"}');
    await assert.rejects(makeBroker({ home }), { code: 'MESH_CONFIG_INVALID' });
  });
});

describe('broker: the command', () => {
  afterEach(endAll);

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends cleanly on ${signal} though clients hang on, and stores their wills`, async () => {
      const home = await makeHome();
      const broker = await spawnBroker(home);
      const will = { topic: 'status/a', payload: Buffer.from('gone'), qos: 1 as const, retain: true };
      await makeClient(broker.url, { will });
      await rawPeer(Number(new URL(broker.url).port));
      assert.equal(await broker.kill(signal), 0);
      const again = await makeBroker({ home });
      assert.equal(again.statistics().retainedMessages, 1);
    });
  }

  it('warns when there is no account, and logs to stderr as JSON lines without secrets', async () => {
    const home = await makeHome();
    await rm(join(home, 'accounts.json'));
    await mkdir(home, { recursive: true });
    const broker = await spawnBroker(home);
    assert.match(broker.stderr(), /there is no account yet/);
    const { password } = await createAccount(home, 'late');
    await makeClient(broker.url, { username: 'late', password });
    await assert.rejects(makeClient(broker.url, { username: 'late', password: `${password}!` }));
    await until('it is logged', () => broker.stderr().includes('wrong account or password'));
    for (const line of broker.stderr().trim().split('\n')) JSON.parse(line);
    assert.ok(!broker.stderr().includes(password));
    assert.ok(!broker.stderr().includes(account.password));
  });

  it('refuses a port that is no number', async () => {
    const home = await makeHome();
    await assert.rejects(spawnBroker(home, ['--port', '70000']), /MESH_CONFIG_INVALID/);
    await assert.rejects(spawnBroker(home, ['--port', 'x']), /--port takes a whole number, not "x" \(MESH_USAGE\)/);
    await assert.rejects(spawnBroker(home, ['--log-level', 'loud']), /MESH_USAGE/);
  });
});
