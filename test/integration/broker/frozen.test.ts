import assert from 'node:assert/strict';
import mqttPacket from 'mqtt-packet';
import { until } from '../../support/until.ts';
import { endAll, loginBytes, makeBroker, makeClient, rawPeer, spawnSubscriber, type TestBroker } from './support.ts';

/** Three clients that publish to each other and to the frozen one's topic stopped. */
async function exchange(broker: TestBroker) {
  const clients = await Promise.all(
    [0, 1, 2].map(async (n) => {
      const made = await makeClient(broker.url, { clientId: `peer-${n}` });
      await made.client.subscribeAsync('talk/+', { qos: 1 });
      return made;
    }),
  );
  let running = true;
  let paddedBytes = 0;
  const sent: string[] = [];
  const talks = clients.map(async ({ client }, n) => {
    // Several at once: Aedes reads no more of a publisher while all that one read brought waits for a subscriber.
    for (let round = 0; running; round += 8) {
      const texts = Array.from({ length: 8 }, (_, i) => `${n}:${round + i}`);
      const padding = Math.min(paddedBytes / 8, 50_000);
      paddedBytes -= padding * 8;
      await Promise.all(texts.map((text) => client.publishAsync(`talk/${n}`, text.padEnd(padding), { qos: 1 })));
      sent.push(...texts);
    }
  });
  return {
    clients,
    sent,
    /** The next messages carry so many bytes of padding together. */
    pad(bytes: number) {
      paddedBytes = bytes;
    },
    async stop() {
      running = false;
      await Promise.all(talks);
    },
  };
}

describe('broker: subscribers that do not read', () => {
  afterEach(endAll);

  it('drops a stopped subscriber, while three others exchange messages and lose none', async () => {
    const broker = await makeBroker({ limits: { frozenMs: 4_000, outgoingMessagesPerClient: 1_000_000 } });
    const frozen = await spawnSubscriber(broker.url, 'talk/#');
    const { clients, sent, pad, stop } = await exchange(broker);
    await until('they talk', () => sent.length > 30);
    frozen.kill('SIGSTOP');
    // More than the kernels hold for the stopped one.
    pad(14_000_000);
    // From here to the drop nobody else must stand still: the longest silence between two messages is measured.
    let lastCount = sent.length;
    let lastMs = performance.now();
    let silenceMs = 0;
    await until('the frozen one is dropped', () => {
      if (sent.length !== lastCount) {
        lastCount = sent.length;
        lastMs = performance.now();
      }
      silenceMs = Math.max(silenceMs, performance.now() - lastMs);
      return broker.statistics().incidents.frozenMs === 1;
    });
    // With Aedes alone everyone waits for the drop, four seconds after the socket was full.
    assert.ok(silenceMs < 2_500, `nobody spoke for ${silenceMs} ms`);
    const atDrop = sent.length;
    await until('they go on', () => sent.length > atDrop + 30);
    await stop();
    await until('all has arrived', () => clients.every(({ messages }) => messages.length === sent.length));
    for (const { messages } of clients) {
      for (const n of [0, 1, 2]) {
        const rounds = messages.filter(({ topic }) => topic === `talk/${n}`).map(({ text }) => text.trim());
        assert.deepEqual(
          rounds,
          rounds.map((_, round) => `${n}:${round}`),
        );
      }
    }
    assert.equal(broker.statistics().connections, 3);
    frozen.kill('SIGKILL');
  });

  it('drops one that never reads when little is sent but nothing moves', async () => {
    const broker = await makeBroker({ limits: { frozenMs: 300 } });
    const peer = await subscribeRaw(broker, 'fill');
    peer.socket.pause();
    const { client } = await makeClient(broker.url);
    await until('it is dropped', async () => {
      await client.publishAsync('fill', Buffer.alloc(100_000), { qos: 1 });
      return broker.statistics().incidents.frozenMs === 1;
    });
    assert.match(JSON.stringify(broker.lines), /it has read nothing for 300 ms/);
  });

  it('drops one for whom too many bytes wait, before it counts as frozen', async () => {
    const broker = await makeBroker({ limits: { frozenMs: 60_000, outgoingBytesPerClient: 1_000_000 } });
    const peer = await subscribeRaw(broker, 'fill');
    peer.socket.pause();
    const { client } = await makeClient(broker.url);
    await until('it is dropped', async () => {
      await client.publishAsync('fill', Buffer.alloc(100_000), { qos: 1 });
      return broker.statistics().incidents.outgoingBytesPerClient === 1;
    });
    peer.socket.resume();
    await peer.ended;
  });

  it('drops one for whom too many small messages wait', async () => {
    const broker = await makeBroker({ limits: { frozenMs: 60_000, outgoingMessagesPerClient: 500 } });
    const peer = await subscribeRaw(broker, 'fill');
    peer.socket.pause();
    const { client } = await makeClient(broker.url);
    // 10 MB fill what the kernels hold for it; then small ones pile up, 16 MiB of which would be half a million.
    for (let n = 0; n < 100; n += 1) await client.publishAsync('fill', Buffer.alloc(100_000), { qos: 1 });
    await until('it is dropped', async () => {
      await Promise.all(Array.from({ length: 50 }, () => client.publishAsync('fill', 'x', { qos: 1 })));
      return broker.statistics().incidents.outgoingMessagesPerClient === 1;
    });
    peer.socket.resume();
    await peer.ended;
  });

  it('keeps one that reads slowly but reads', async () => {
    const broker = await makeBroker({ limits: { frozenMs: 250 } });
    const payload = Buffer.alloc(250_000);
    const { client } = await makeClient(broker.url);
    for (let n = 0; n < 60; n += 1) await client.publishAsync(`kept/${n}`, payload, { qos: 1, retain: true });
    const peer = await subscribeRaw(broker, 'kept/#');
    // 15 MB of retained messages, read in sips: all the time bytes wait for this one, and all the time it takes some.
    const sips = setInterval(() => {
      peer.socket.resume();
      setImmediate(() => peer.socket.pause());
    }, 20);
    await until('it has read all', () => peer.received().length > 60 * payload.length, 50_000);
    clearInterval(sips);
    assert.equal(broker.statistics().incidents.frozenMs, undefined);
    assert.equal(broker.statistics().connections, 2);
  });
});

async function subscribeRaw(broker: TestBroker, topic: string) {
  const peer = await rawPeer(broker.tcpPort);
  peer.socket.write(loginBytes());
  await until('CONNACK', () => peer.received().length >= 4);
  peer.socket.write(mqttPacket.generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] }));
  await until('SUBACK', () => peer.received().length >= 9);
  return peer;
}
