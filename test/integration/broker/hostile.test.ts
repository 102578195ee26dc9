import assert from 'node:assert/strict';
import { limits } from '@foremesh/node-runtime/contract';
import mqttPacket from 'mqtt-packet';
import { until } from '../../support/until.ts';
import {
  account,
  endAll,
  loginBytes,
  loginCode,
  makeBroker,
  makeClient,
  rawPeer,
  type TestBroker,
  whenClosed,
} from './support.ts';

const connectBytes = loginBytes({ keepalive: 60 });

async function connectRaw(broker: TestBroker) {
  const peer = await rawPeer(broker.tcpPort);
  peer.socket.write(connectBytes);
  await until('CONNACK', () => peer.received().length >= 4);
  assert.deepEqual([...peer.received().subarray(0, 4)], [0x20, 2, 0, 0]);
  return peer;
}

/** The broker still serves others. */
async function assertServes(broker: TestBroker): Promise<void> {
  const { client, messages } = await makeClient(broker.url);
  await client.subscribeAsync('alive');
  await client.publishAsync('alive', 'yes', { qos: 1 });
  await until('the broker serves', () => messages.length === 1);
}

describe('broker: hostile and broken clients', () => {
  afterEach(endAll);

  it('ends a connection whose PUBLISH only declares more than may be sent', async () => {
    const broker = await makeBroker();
    const peer = await connectRaw(broker);
    // 268,435,455 bytes: the most that MQTT can declare. Nothing of them is sent.
    peer.socket.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
    await peer.ended;
    await until('it is logged', () =>
      /PUBLISH may have \d+ bytes, declares at least/.test(JSON.stringify(broker.lines)),
    );
    await assertServes(broker);
  });

  it('takes the largest payload and not one byte more', async () => {
    const broker = await makeBroker();
    const topic = 't'.repeat(limits.topicBytes);
    const { client, messages } = await makeClient(broker.url);
    await client.subscribeAsync(topic);
    await client.publishAsync(topic, Buffer.alloc(limits.payloadBytes, 'x'), { qos: 1 });
    await until('it arrives', () => messages[0]?.text.length === limits.payloadBytes);
    const closed = whenClosed(client);
    client.publish(topic, Buffer.alloc(limits.payloadBytes + 4, 'x'), { qos: 0 });
    await closed;
    await until('it is counted', () => broker.statistics().incidents.packet === 1);
  });

  it('ends a connection that begins with a CONNECT larger than a stranger may send', async () => {
    const broker = await makeBroker();
    const peer = await rawPeer(broker.tcpPort);
    peer.socket.write(Buffer.from([0x10, 0xff, 0xff, 0x7f]));
    await peer.ended;
    await until('it is logged', () => /CONNECT may have/.test(JSON.stringify(broker.lines)));
  });

  for (const [what, bytes] of [
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['zeros', Buffer.alloc(1024)],
    ['all ones', Buffer.alloc(1024, 0xff)],
    ['a SUBSCRIBE before CONNECT', Buffer.from([0x82, 6, 0, 1, 0, 1, 0x61, 0])],
    ['a CONNECT of garbage', Buffer.concat([Buffer.from([0x10, 200, 1]), Buffer.alloc(200, 0xa5)])],
  ] as const) {
    it(`ends a connection that begins with ${what}`, async () => {
      const broker = await makeBroker();
      const peer = await rawPeer(broker.tcpPort);
      peer.socket.write(bytes);
      await peer.ended;
      await assertServes(broker);
    });
  }

  it('survives random bytes after a good CONNECT', async () => {
    const broker = await makeBroker();
    let seed = 12_345;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
      return seed >> 16;
    };
    for (let round = 0; round < 60; round += 1) {
      const peer = await rawPeer(broker.tcpPort);
      const garbage = Buffer.from(Array.from({ length: 200 }, () => random() & 0xff));
      // Packet types that a client may send, so that the parsers behind the gate get their share.
      garbage[0] = [0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x82, 0xa2][round % 8]!;
      garbage[1] = garbage[0] === 0x40 || garbage[0] === 0x50 || garbage[0] === 0x62 ? 2 : 60;
      peer.socket.end(Buffer.concat([connectBytes, garbage]));
      await peer.ended;
    }
    await assertServes(broker);
    await until('all are gone', () => broker.statistics().connections === 1);
  });

  it('ends a connection that does not complete its CONNECT in time', async () => {
    const broker = await makeBroker({ limits: { connectTimeoutMs: 100 } });
    const half = await rawPeer(broker.tcpPort);
    half.socket.write(connectBytes.subarray(0, 10));
    const silent = await rawPeer(broker.tcpPort);
    await Promise.all([half.ended, silent.ended]);
    await until('it is counted', () => broker.statistics().incidents.connectTimeoutMs === 2);
  });

  it('ends a WebSocket that does not complete its handshake or its CONNECT in time', async () => {
    const broker = await makeBroker({ webSocket: { port: 0 }, limits: { connectTimeoutMs: 100 } });
    const half = await rawPeer(broker.webSocketPort!);
    half.socket.write('GET /mqtt HTTP/1.1\r\nHost: x\r\n');
    const silent = new WebSocketPeer(broker.webSocketPort!);
    await Promise.all([half.ended, silent.closed]);
  });

  it('serves nothing but /mqtt over HTTP, whatever is asked', async () => {
    const broker = await makeBroker({ webSocket: { port: 0 } });
    const upgrade = 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n';
    for (const [request, status] of [
      ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '426'],
      ['GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n', '426'],
      [`GET // HTTP/1.1\r\nHost: x\r\n${upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`, '404'],
      [`GET http://[ HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`, '404'],
      [`GET /mqtt HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`, '400'],
      [`GET /mqtt HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, '431'],
      ['\u0000\u0001 nonsense\r\n\r\n', '400'],
    ] as const) {
      const peer = await rawPeer(broker.webSocketPort!);
      peer.socket.write(request);
      await peer.ended;
      assert.equal(peer.received().toString('latin1').split(' ')[1], status, request.slice(0, 40));
    }
    await makeClient(broker.urls[1]!);
  });

  it('ends a client that is silent for longer than its keepalive, and publishes its will', async () => {
    const broker = await makeBroker();
    const watcher = await makeClient(broker.url);
    await watcher.client.subscribeAsync('wills/+');
    const peer = await rawPeer(broker.tcpPort);
    const will = { topic: 'wills/raw', payload: Buffer.from('gone'), qos: 0 as const, retain: false };
    peer.socket.write(loginBytes({ clientId: 'quiet', keepalive: 1, will }));
    await peer.ended;
    await until('the will arrives', () => watcher.messages.some(({ text }) => text === 'gone'));
    await until('it is counted', () => broker.statistics().incidents.keepalive === 1);
  });

  it('ends who publishes to $SYS, to a wildcard, too deep or too long; others may not hear it', async () => {
    const broker = await makeBroker();
    const topics = ['$SYS/broker/version', '$anything', 'a/+', 'a/#', Array(11).fill('x').join('/'), 't'.repeat(201)];
    for (const topic of topics) {
      const peer = await connectRaw(broker);
      peer.socket.write(
        mqttPacket.generate({ cmd: 'publish', topic: 'x', payload: 'first', qos: 0, dup: false, retain: false }),
      );
      // Written by hand: the generator refuses some of these.
      const name = Buffer.from(topic);
      const body = Buffer.concat([Buffer.from([name.length >> 8, name.length & 0xff]), name, Buffer.from('boo')]);
      const length = body.length < 128 ? [body.length] : [(body.length & 0x7f) | 0x80, body.length >> 7];
      peer.socket.write(Buffer.concat([Buffer.from([0x30, ...length]), body]));
      await peer.ended;
    }
    await assertServes(broker);
  });

  it('refuses a last will on a forbidden topic at CONNECT', async () => {
    const broker = await makeBroker();
    const will = { payload: Buffer.from('x'), qos: 1 as const, retain: true };
    assert.equal(await loginCode(broker.url, { ...account, will: { ...will, topic: '$SYS/x' } }), 5);
    assert.equal(await loginCode(broker.url, { ...account, will: { ...will, topic: 'a/#' } }), 5);
    assert.equal(await loginCode(broker.url, { ...account, clientId: 'c'.repeat(129) }), 2);
  });

  it('grants no subscription to $SYS, to $share, too deep, or beyond the limit', async () => {
    const broker = await makeBroker({ limits: { subscriptionsPerClient: 2 } });
    const { client } = await makeClient(broker.url);
    const deep = Array(11).fill('+').join('/');
    for (const filter of ['$SYS/#', '$share/group/a', deep]) {
      await assert.rejects(client.subscribeAsync(filter), /Subscribe error|Unspecified/i);
    }
    await client.subscribeAsync('a');
    await client.subscribeAsync('b');
    await assert.rejects(client.subscribeAsync('c'));
    await client.unsubscribeAsync('a');
    await client.subscribeAsync('c');
    await until('it is counted', () => broker.statistics().incidents.subscription === 4);
  });

  it('has as many connections as it may and refuses the next', async () => {
    const broker = await makeBroker({ limits: { connections: 2 } });
    const first = await makeClient(broker.url);
    await makeClient(broker.url);
    await assert.rejects(makeClient(broker.url));
    await until('it is counted', () => broker.statistics().incidents.connections === 1);
    await first.client.endAsync();
    await until('there is room', () => broker.statistics().connections === 1);
    await makeClient(broker.url);
  });

  it('keeps nothing of clients that go while they are being admitted', async () => {
    const broker = await makeBroker();
    for (let round = 0; round < 100; round += 1) {
      const peer = await rawPeer(broker.tcpPort);
      peer.socket.write(connectBytes);
      if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      peer.socket.resetAndDestroy();
    }
    await until('all are gone', () => broker.statistics().connections === 0);
    // The id still belongs to whoever comes with it.
    const { client } = await makeClient(broker.url, { clientId: 'raw' });
    assert.equal(client.connected, true);
    await assertServes(broker);
  });

  it('ends a QoS 2 publisher that opens handshakes and never completes them', async () => {
    const broker = await makeBroker({ limits: { exactlyOnceInFlightPerClient: 5 } });
    const peer = await connectRaw(broker);
    for (let messageId = 1; messageId <= 6; messageId += 1) {
      peer.socket.write(
        mqttPacket.generate({ cmd: 'publish', topic: 'x', payload: 'y', qos: 2, messageId, dup: false, retain: false }),
      );
    }
    await peer.ended;
    await until('it is counted', () => broker.statistics().incidents.exactlyOnceInFlightPerClient === 1);
  });
});

/** A WebSocket that says nothing after its handshake. */
class WebSocketPeer {
  readonly closed: Promise<void>;

  constructor(port: number) {
    this.closed = rawPeer(port).then((peer) => {
      peer.socket.write(
        'GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
      );
      return peer.ended;
    });
  }
}
