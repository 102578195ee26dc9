import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import type { Transport } from '@foremesh/node-runtime/contract';
import { generate, parser } from 'mqtt-packet';
import { Link, type LinkOptions } from '../../../node-runtime/shell/link.ts';
import { connectMqtt } from '../../../node-runtime/shell/mqtt-transport.ts';
import { freePort } from '../mesh/fleet.ts';
import {
  account,
  endAll,
  hearAll,
  later,
  makeBroker,
  makeHome,
  makeTransport,
  meshError,
  spawnScript,
  until,
} from './support.ts';

const empty = new Uint8Array();

/** A broker that accepts and then says nothing; `pause` stops reading too. */
async function makeSilentBroker(): Promise<{ url: string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    const packets = parser();
    packets.on('packet', ({ cmd }: { cmd: string }) => {
      if (cmd === 'connect') socket.write(generate({ cmd: 'connack', returnCode: 0, sessionPresent: false }));
    });
    socket.on('data', (bytes) => packets.parse(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  later(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`, sockets };
}

describe('connectMqtt', () => {
  afterEach(endAll);

  it('says that nothing listens, and what to do', async () => {
    const url = `mqtt://127.0.0.1:${await freePort()}`;
    await assert.rejects(connectMqtt({ url, clientId: 'a' }), meshError('MESH_UNREACHABLE', '`foremesh broker`'));
    await assert.rejects(connectMqtt({ url, clientId: 'a' }), meshError('MESH_UNREACHABLE', url));
  });

  it('says that a host does not exist', async () => {
    await assert.rejects(
      connectMqtt({ url: 'mqtt://no-such-host.invalid:1883', clientId: 'a' }),
      meshError('MESH_UNREACHABLE'),
    );
  });

  it('gives up on a peer that accepts and says nothing', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    later(() => server.close());
    await until('it listens', () => server.listening);
    const url = `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`;
    await assert.rejects(connectMqtt({ url, clientId: 'a', connectTimeoutMs: 200 }), meshError('MESH_UNREACHABLE'));
  });

  it('says that the password is wrong', async () => {
    const { urls } = await makeBroker();
    const wrong = connectMqtt({ url: urls[0]!, clientId: 'a', username: account.username, password: 'wrong' });
    await assert.rejects(wrong, meshError('MESH_NOT_AUTHORIZED', 'connection string'));
    await assert.rejects(connectMqtt({ url: urls[0]!, clientId: 'a' }), meshError('MESH_NOT_AUTHORIZED'));
  });

  it('says which subscription was refused', async () => {
    const { urls } = await makeBroker();
    const transport = await makeTransport(urls[0]!);
    await assert.rejects(transport.subscribe(['good', '$SYS/#'], 1), meshError('MESH_NOT_AUTHORIZED', '$SYS/#'));
  });

  it('carries messages both ways, retained ones too, until a listener is removed', async () => {
    const { urls } = await makeBroker();
    const [a, b] = [await makeTransport(urls[0]!), await makeTransport(urls[0]!)];
    await a.publish('kept', Buffer.from('1'), { qos: 1, retain: true });
    const heard = await hearAll(b, '#');
    const retained: boolean[] = [];
    const stop = b.listen((_, __, flag) => retained.push(flag));
    await until('the retained message', () => heard.length === 1);
    for (const qos of [0, 1] as const) await a.publish(`q${qos}`, new Uint8Array([104, 105]), { qos });
    await until('both', () => heard.length === 3);
    assert.deepEqual(
      heard.map(({ topic, text }) => `${topic}=${text}`),
      ['kept=1', 'q0=hi', 'q1=hi'],
    );
    assert.deepEqual(retained, [true, false, false]);
    stop();
    await b.unsubscribe(['#']);
    await a.publish('after', empty, { qos: 1 });
    assert.equal(retained.length, 3);
  });

  it('ends in order without a will; a process that dies leaves one', async () => {
    const { urls } = await makeBroker();
    const heard = await hearAll(await makeTransport(urls[0]!), 'wills/+');
    const will = { topic: 'wills/closed', payload: Buffer.from('gone'), qos: 1, retain: true } as const;
    const closing = await makeTransport(urls[0]!, { will });
    await closing.close();
    assert.equal(await closing.closed, undefined);
    await closing.close();
    const child = spawnScript('will-process.ts', urls[0]!, account.username, account.password, 'wills/killed');
    await until('it is connected', () => child.lines.includes('connected'));
    await child.kill('SIGKILL');
    await until('the will', () => heard.length > 0);
    assert.deepEqual(heard, [{ topic: 'wills/killed', text: 'gone' }]);
  });

  describe('on a connection that dies', () => {
    it('whatever waits is rejected: QoS 1 in flight, QoS 0 behind a full socket, a subscription', async () => {
      const { url, sockets } = await makeSilentBroker();
      const transport = await makeTransport(url);
      await until('the socket', () => sockets.length === 1);
      sockets[0]!.pause();
      const waiting = [
        transport.publish('a', Buffer.from('x'), { qos: 1 }),
        transport.subscribe(['b'], 1),
        transport.unsubscribe(['b']),
      ];
      // More than the kernel's buffers take: the write waits for a drain that never comes.
      for (let i = 0; i < 100; i += 1) waiting.push(transport.publish('c', Buffer.alloc(200_000), { qos: 0 }));
      const settled = Promise.allSettled(waiting);
      sockets[0]!.destroy();
      const results = await settled;
      for (const [index, result] of results.entries()) {
        if (index < 3 || result.status === 'rejected') {
          assert.equal(result.status, 'rejected', `${index}`);
          meshError('MESH_UNREACHABLE')((result as PromiseRejectedResult).reason);
        }
      }
      assert.equal(results.at(-1)!.status, 'rejected');
      assert.ok((await transport.closed) instanceof Error);
      await assert.rejects(transport.publish('a', empty, { qos: 1 }), meshError('MESH_UNREACHABLE'));
      await assert.rejects(transport.publish('a', empty, { qos: 0 }), meshError('MESH_UNREACHABLE'));
      await assert.rejects(transport.subscribe(['a'], 1), meshError('MESH_UNREACHABLE'));
      await transport.unsubscribe(['a']);
    });

    it('a peer that answers no ping is noticed', async () => {
      const { url } = await makeSilentBroker();
      const transport = await makeTransport(url, { keepaliveSeconds: 1 });
      const publishing = transport.publish('a', empty, { qos: 1 });
      await assert.rejects(publishing, meshError('MESH_UNREACHABLE'));
      assert.ok((await transport.closed) instanceof Error);
    });

    it('closing takes a bounded time, with a message in flight too, and rejects it', async () => {
      const { url } = await makeSilentBroker();
      const transport = await makeTransport(url);
      const publishing = transport.publish('a', empty, { qos: 1 });
      await Promise.all([assert.rejects(publishing, meshError('MESH_UNREACHABLE')), transport.close()]);
    });
  });
});

describe('Link', () => {
  afterEach(endAll);

  function makeLink(url: () => string, options: Partial<LinkOptions> = {}) {
    const told = { up: [] as Transport[], down: 0, trouble: [] as string[], clientIds: [] as string[] };
    const link = new Link({
      connectOptions: () => {
        told.clientIds.push(`link-${told.clientIds.length}`);
        return { url: url(), clientId: told.clientIds.at(-1)!, ...account };
      },
      onUp: async (transport) => {
        told.up.push(transport);
      },
      onDown: () => {
        told.down += 1;
      },
      onTrouble: (error) => told.trouble.push(error.code),
      backoffMs: { least: 5, most: 20 },
      ...options,
    });
    later(() => link.close());
    return { link, told };
  }

  it('comes back after the broker did, with a fresh client, and flushes nothing of before', async () => {
    const home = await makeHome();
    const first = await makeBroker(home);
    const { tcpPort: port, urls } = first;
    const { link, told } = makeLink(() => urls[0]!);
    await until('up', () => link.transport);
    const before = link.transport!;
    await first.close();
    await until('down', () => told.down === 1);
    assert.equal(link.transport, undefined);
    for (const qos of [0, 1] as const)
      await assert.rejects(before.publish('stale', empty, { qos }), meshError('MESH_UNREACHABLE'));

    const second = await makeBroker(home, port);
    const heard = await hearAll(await makeTransport(second.urls[0]!), '#');
    const after = await until('up again', () => link.transport);
    assert.notEqual(after, before);
    assert.equal(new Set(told.clientIds).size, told.clientIds.length);
    await after.publish('fresh', empty, { qos: 1 });
    await until('the fresh message', () => heard.length > 0);
    assert.deepEqual(
      heard.map(({ topic }) => topic),
      ['fresh'],
    );
    assert.ok(told.trouble.every((code) => code === 'MESH_UNREACHABLE'));
  });

  it('goes on trying while the password is wrong, and reports the first and every tenth time', async () => {
    const { urls } = await makeBroker();
    let tries = 0;
    const reported: [number, string][] = [];
    makeLink(() => urls[0]!, {
      connectOptions: () => {
        tries += 1;
        return { url: urls[0]!, clientId: `x${tries}`, username: account.username, password: 'wrong' };
      },
      onTrouble: ({ code }) => reported.push([tries, code]),
    });
    await until('eleven tries have failed', () => reported.length === 2);
    assert.deepEqual(reported, [
      [1, 'MESH_NOT_AUTHORIZED'],
      [11, 'MESH_NOT_AUTHORIZED'],
    ]);
  });

  it('takes what fails while it comes up as a failed try', async () => {
    const { urls } = await makeBroker();
    let tries = 0;
    const { link, told } = makeLink(() => urls[0]!, {
      onUp: async (transport) => {
        tries += 1;
        if (tries === 1) throw new Error('not yet');
        // The connection is lost before the link is up.
        if (tries === 2) await Promise.all([transport.close(), new Promise(() => undefined)]);
      },
    });
    await until('third time lucky', () => tries === 3 && link.transport);
    assert.equal(told.trouble.length, 1);
    assert.equal(told.down, 0);
  });

  it('is closed at once while it waits for the next try', async () => {
    const port = await freePort();
    const { link, told } = makeLink(() => `mqtt://127.0.0.1:${port}`, { backoffMs: { least: 1e6, most: 1e7 } });
    await until('a failed try', () => told.trouble.length === 1);
    await link.close();
    assert.equal(told.down, 0);
  });

  it('publishes no will when it is closed', async () => {
    const { urls } = await makeBroker();
    const heard = await hearAll(await makeTransport(urls[0]!), '#');
    const will = { topic: 'will', payload: Buffer.from('gone'), qos: 1, retain: false } as const;
    const { link } = makeLink(() => urls[0]!, {
      connectOptions: () => ({ url: urls[0]!, clientId: 'w', ...account, will }),
    });
    const transport = await until('up', () => link.transport);
    await transport.publish('last', empty, { qos: 1 });
    await link.close();
    await until('the last word', () => heard.length > 0);
    await (await makeTransport(urls[0]!)).publish('end', empty, { qos: 1 });
    await until('the end', () => heard.length > 1);
    assert.deepEqual(
      heard.map(({ topic }) => topic),
      ['last', 'end'],
    );
  });
});
