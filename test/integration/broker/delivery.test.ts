import assert from 'node:assert/strict';
import { Database } from '../../../broker/store/database.ts';
import { until } from '../../support/until.ts';
import { account, endAll, makeBroker, makeClient, type TestClient } from './support.ts';

const texts = ({ messages }: TestClient) => messages.map(({ text }) => text);

describe('broker: delivery', () => {
  afterEach(endAll);

  it('carries messages between TCP and WebSocket clients', async () => {
    const broker = await makeBroker({ webSocket: { port: 0 } });
    const tcp = await makeClient(broker.urls[0]!);
    const webSocket = await makeClient(broker.urls[1]!);
    await tcp.client.subscribeAsync('to/tcp', { qos: 1 });
    await webSocket.client.subscribeAsync('to/ws', { qos: 1 });
    await tcp.client.publishAsync('to/ws', Buffer.alloc(200_000, 'x'), { qos: 1 });
    await webSocket.client.publishAsync('to/tcp', Buffer.alloc(200_000, 'y'), { qos: 1 });
    await until('both arrive', () => tcp.messages.length === 1 && webSocket.messages.length === 1);
    assert.equal(tcp.messages[0]!.text, 'y'.repeat(200_000));
    assert.equal(webSocket.messages[0]!.text, 'x'.repeat(200_000));
  });

  it('takes QoS 2 from a publisher and hands it on once, as QoS 1', async () => {
    const broker = await makeBroker();
    const subscriber = await makeClient(broker.url);
    await subscriber.client.subscribeAsync('q/#', { qos: 2 });
    await subscriber.client.publishAsync('q/1', 'two', { qos: 2 });
    await subscriber.client.publishAsync('q/2', 'end', { qos: 2 });
    await until('they arrive', () => subscriber.messages.length === 2);
    assert.deepEqual(
      subscriber.messages.map(({ text, qos }) => [text, qos]),
      [
        ['two', 1],
        ['end', 1],
      ],
    );
  });

  it('keeps the order of one publisher, retained or not, and the last retained value', async () => {
    const broker = await makeBroker();
    const subscriber = await makeClient(broker.url);
    await subscriber.client.subscribeAsync('o/#', { qos: 1 });
    const publisher = await makeClient(broker.url);
    const expected: string[] = [];
    const acknowledged: Promise<unknown>[] = [];
    for (let n = 0; n < 600; n += 1) {
      expected.push(`${n}`);
      const topic = n % 3 === 0 ? 'o/same' : `o/${n % 7}`;
      acknowledged.push(publisher.client.publishAsync(topic, `${n}`, { qos: 1, retain: n % 3 === 0 }));
    }
    await Promise.all(acknowledged);
    await until('all arrive', () => subscriber.messages.length === expected.length);
    assert.deepEqual(texts(subscriber), expected);
    const later = await makeClient(broker.url);
    await later.client.subscribeAsync('o/same');
    await until('the retained one arrives', () => later.messages.length === 1);
    assert.deepEqual(later.messages[0], { topic: 'o/same', text: '597', retain: true, qos: 0, dup: false });
  });

  it('delivers what is to be kept before the disk has it, and acknowledges it after', async () => {
    const broker = await makeBroker();
    const subscriber = await makeClient(broker.url);
    await subscriber.client.subscribeAsync('k/#', { qos: 1 });
    const publisher = await makeClient(broker.url);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { write } = Database.prototype;
    Database.prototype.write = function (this: Database, key, value) {
      const written = write.call(this, key, value);
      return held.then(() => written);
    };
    try {
      const acknowledged: string[] = [];
      const publish = (text: string, qos: 0 | 1, retain: boolean) =>
        publisher.client.publishAsync('k/1', text, { qos, retain }).then(() => qos === 1 && acknowledged.push(text));
      const all = [publish('kept', 1, true), publish('passing', 1, false), publish('unheard of', 0, false)];
      await until('they arrive', () => subscriber.messages.length === 3);
      assert.deepEqual(texts(subscriber), ['kept', 'passing', 'unheard of']);
      // Another client's answer shows that the broker goes on while that one waits.
      await subscriber.client.publishAsync('k/2', 'by another', { qos: 1 });
      assert.deepEqual(acknowledged, []);
      release();
      await Promise.all(all);
      assert.deepEqual(acknowledged, ['kept', 'passing']);
      await until('nothing comes twice', () => subscriber.messages.length >= 4);
      assert.equal(subscriber.messages.length, 4);
    } finally {
      release();
      Database.prototype.write = write;
    }
  });

  it('gives retained messages to wildcards, in the subscription’s QoS, and forgets cleared ones', async () => {
    const broker = await makeBroker();
    const { client } = await makeClient(broker.url);
    for (const node of ['a', 'b', 'c']) {
      await client.publishAsync(`nodes/${node}/status`, `up ${node}`, { qos: 1, retain: true });
    }
    await client.publishAsync('nodes/b/status', '', { qos: 1, retain: true });
    await client.publishAsync('other', 'x', { qos: 0, retain: true });
    for (const [filter, qos] of [
      ['nodes/+/status', 0],
      ['nodes/#', 1],
    ] as const) {
      const reader = await makeClient(broker.url);
      await reader.client.subscribeAsync(filter, { qos });
      await until('two arrive', () => reader.messages.length === 2);
      assert.deepEqual(texts(reader).sort(), ['up a', 'up c']);
      assert.deepEqual(
        reader.messages.map((message) => [message.retain, message.qos]),
        [
          [true, qos],
          [true, qos],
        ],
      );
    }
    const everything = await makeClient(broker.url);
    await everything.client.subscribeAsync('#');
    await until('three arrive', () => everything.messages.length === 3);
    assert.equal(broker.statistics().retainedMessages, 3);
  });

  it('delivers but does not retain what passes the limits of retained messages', async () => {
    const broker = await makeBroker({ limits: { retainedMessages: 2 } });
    const { client, messages } = await makeClient(broker.url);
    await client.subscribeAsync('r/#');
    for (const topic of ['r/1', 'r/2', 'r/3']) await client.publishAsync(topic, topic, { qos: 1, retain: true });
    await client.publishAsync('r/1', 'again', { qos: 1, retain: true });
    await until('all arrive', () => messages.length === 4);
    const { retainedMessages, incidents } = broker.statistics();
    assert.deepEqual([retainedMessages, incidents.retainedMessages], [2, 1]);
  });

  it('publishes the will of a client that dies, and not of one that says goodbye', async () => {
    const broker = await makeBroker();
    const watcher = await makeClient(broker.url);
    await watcher.client.subscribeAsync('status/+', { qos: 1 });
    const will = (name: string) => ({
      topic: `status/${name}`,
      payload: Buffer.from('gone'),
      qos: 1 as const,
      retain: true,
    });
    const polite = await makeClient(broker.url, { will: will('polite') });
    await polite.client.endAsync();
    const dies = await makeClient(broker.url, { will: will('dies') });
    dies.client.stream.destroy();
    await until('the will arrives', () => watcher.messages.length > 0);
    assert.deepEqual(
      watcher.messages.map(({ topic, text }) => `${topic} ${text}`),
      ['status/dies gone'],
    );
    assert.equal(broker.statistics().retainedMessages, 1);
  });

  it('lets a takeover’s first word come after the will of the connection that it ended', async () => {
    const broker = await makeBroker();
    const watcher = await makeClient(broker.url);
    await watcher.client.subscribeAsync('status', { qos: 1 });
    const options = {
      clientId: 'node',
      will: { topic: 'status', payload: Buffer.from('offline'), qos: 1 as const, retain: true },
    };
    for (let round = 0; round < 20; round += 1) {
      const { client } = await makeClient(broker.url, options);
      await client.subscribeAsync(['a', 'b', 'c']);
      await client.publishAsync('status', `online ${round}`, { qos: 1, retain: true });
      const expected = round === 0 ? 1 : 2 * round + 1;
      await until('will and word arrive', () => watcher.messages.length === expected);
      assert.equal(watcher.messages.at(-1)!.text, `online ${round}`);
    }
  });

  it('serves 200 clients', async () => {
    const broker = await makeBroker();
    const clients = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const made = await makeClient(broker.url, { clientId: `client-${n}` });
        await made.client.subscribeAsync([`inbox/${n}`, 'all'], { qos: 1 });
        return made;
      }),
    );
    await Promise.all(
      clients.map(({ client }, n) => client.publishAsync(`inbox/${(n + 1) % 200}`, `from ${n}`, { qos: 1 })),
    );
    await clients[0]!.client.publishAsync('all', 'hello', { qos: 1 });
    await until('everybody has both', () => clients.every(({ messages }) => messages.length === 2));
    for (const [n, made] of clients.entries()) {
      assert.deepEqual(texts(made).sort(), [`from ${(n + 199) % 200}`, 'hello']);
    }
    assert.equal(broker.statistics().connections, 200);
  });

  it('is a transport without a socket for what runs beside it', async () => {
    const broker = await makeBroker();
    const outside = await makeClient(broker.url);
    await outside.client.subscribeAsync('answers/+', { qos: 1 });
    await outside.client.publishAsync('kept', 'before', { qos: 1, retain: true });
    const inside = broker.transport();
    const heard: string[] = [];
    const stop = inside.listen((topic, payload, retained) => {
      heard.push(`${topic} ${Buffer.from(payload).toString()} ${retained}`);
      if (topic === 'asks/1') void inside.publish('answers/1', Buffer.from('42'), { qos: 1 });
    });
    await inside.subscribe(['asks/+', 'kept'], 1);
    await outside.client.publishAsync('asks/1', '?', { qos: 1 });
    await until('the answer arrives', () => outside.messages.length === 1);
    assert.deepEqual(heard, ['kept before true', 'asks/1 ? false']);
    await inside.unsubscribe(['asks/+']);
    stop();
    await outside.client.publishAsync('asks/1', 'unheard', { qos: 1 });
    await inside.close();
    assert.equal(await inside.closed, undefined);
    await assert.rejects(inside.publish('x', Buffer.from('y'), { qos: 0 }), { code: 'MESH_UNREACHABLE' });
    await assert.rejects(broker.transport().publish('$SYS/x', Buffer.from('y'), { qos: 0 }), {
      code: 'MESH_TOPIC_INVALID',
    });
    assert.equal(heard.length, 2);
  });

  it('knows nothing of other options than its own', async () => {
    await assert.rejects(makeBroker({ port: 1 } as object), { code: 'MESH_CONFIG_INVALID' });
    assert.ok(account.username);
  });
});
