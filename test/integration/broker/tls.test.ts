import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { createAccount } from '@foremesh/broker';
import { ensureAuthority } from '../../../broker/joining/authority.ts';
import { issueNode, issueServer } from '../../../broker/joining/issue.ts';
import { brokerLimits } from '../../../broker/limits.ts';
import { brokerOf, connectMqtt } from '../../../node-runtime/shell/mqtt-transport.ts';
import { until } from '../../support/until.ts';
import { account, endAll, loginBytes, loginCode, makeBroker, makeHome, type TestBroker } from './support.ts';

async function secureBroker(options: Parameters<typeof makeBroker>[0] = {}): Promise<TestBroker & { ca: string }> {
  const home = options.home ?? (await makeHome());
  await writeFile(join(home, 'mesh.json'), JSON.stringify({ v: 1, mesh: 'secured' }));
  const broker = await makeBroker({ tls: { port: 0 }, ...options, home });
  return { ...broker, ca: (await ensureAuthority(home, 'secured')).fingerprint };
}

const login = { ...account, clientId: 'one' };

describe('broker: TLS', function () {
  this.timeout(20_000);
  afterEach(endAll);

  const place = ({ tlsPort, ca }: { tlsPort: number | undefined; ca: string }) => ({
    host: '127.0.0.1',
    port: tlsPort!,
    mesh: 'secured',
    ca,
  });

  it('serves MQTT, WebSocket and HTTPS on one port, to clients that know the CA', async () => {
    const broker = await secureBroker();
    const ca = await readFile(join(broker.home, 'ca.pem'));
    for (const url of [`mqtts://localhost:${broker.tlsPort}`, `wss://127.0.0.1:${broker.tlsPort}/mqtt`]) {
      assert.equal(await loginCode(url, { ...account, ca }), 0, url);
      assert.equal(await loginCode(url, { ...account, ca, password: 'a wrong secret' }), 4, url);
    }
    const { get } = await import('node:https');
    const request = get(`https://127.0.0.1:${broker.tlsPort}/runtime.tgz`, { ca });
    const [answer] = await once(request, 'response');
    assert.equal(answer.statusCode, 404);
    answer.resume();
  });

  it('is known by the fingerprint of its CA, and hears no password when it has another', async () => {
    const broker = await secureBroker();
    const shown: string[] = [];
    const transport = await connectMqtt({
      ...brokerOf(place(broker)),
      ...login,
      onAuthority: (authority) => shown.push(authority),
    });
    await transport.subscribe(['a'], 1);
    const heard = new Promise((resolve) => transport.listen((_, payload) => resolve(payload.length)));
    await transport.publish('a', new Uint8Array(200_000), { qos: 1 });
    assert.equal(await heard, 200_000);
    await transport.close();
    assert.deepEqual(shown, [await readFile(join(broker.home, 'ca.pem'), 'utf8')]);

    const other = await secureBroker();
    const before = other.statistics().incidents.login;
    await assert.rejects(connectMqtt({ ...brokerOf({ ...place(other), ca: broker.ca }), ...login }), {
      code: 'MESH_CA_MISMATCH',
    });
    assert.equal(other.statistics().incidents.login, before);
  });

  it('is found at whichever of its addresses answers', async () => {
    const broker = await secureBroker();
    const others = [{ host: '127.0.0.1', port: broker.tlsPort! }];
    const nowhere = { ...place(broker), host: 'nowhere.invalid', port: 1, others };
    await (await connectMqtt({ ...brokerOf(nowhere), ...login })).close();
  });

  it('says how far one came who does not get in: name, TCP, TLS', async () => {
    const broker = await secureBroker();
    const failed = async (host: string, port: number) => {
      const target = brokerOf({ ...place(broker), host, port });
      return connectMqtt({ ...target, ...login, connectTimeoutMs: 2_000 }).then(
        () => 'connected',
        (error: { code: string }) => error.code,
      );
    };
    assert.equal(await failed('nowhere.invalid', 1), 'MESH_NAME_UNKNOWN');
    assert.equal(await failed('127.0.0.1', 1), 'MESH_UNREACHABLE');
    assert.equal(await failed('127.0.0.1', broker.tcpPort), 'MESH_TLS_FAILED');
  });

  it('is not taken from somebody who is certified by the CA as something else than the broker', async () => {
    const broker = await secureBroker();
    const authority = await ensureAuthority(broker.home, 'secured');
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const key = publicKey.export({ format: 'jwk' }).x!;
    const node = await issueNode(authority, { node: 'liar', publicKey: key, mayLead: true }, Date.now() + 60_000);
    const { createServer } = await import('node:tls');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    const server = createServer({ key: pem, cert: node + authority.certificate }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await assert.rejects(connectMqtt({ ...brokerOf({ ...place(broker), port }), ...login }), {
      code: 'MESH_CA_MISMATCH',
    });
    server.close();
  });

  it('takes a certificate of its CA as the login of that node; one of another CA not, even beside a right password', async () => {
    const broker = await secureBroker();
    const other = await secureBroker();
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const node = { node: 'pi', publicKey: publicKey.export({ format: 'jwk' }).x!, mayLead: true };
    const own = async (home: string, endsAtMs = Date.now() + 60_000) => {
      const authority = await ensureAuthority(home, 'secured');
      return { key, certificate: await issueNode(authority, node, endsAtMs) };
    };
    const enter = async (shown: { key: string; certificate: string }, more = {}) =>
      connectMqtt({ ...brokerOf(place(broker), shown), clientId: 'pi', ...more });
    await (await enter(await own(broker.home))).close();
    for (const more of [{}, account]) {
      await assert.rejects(enter(await own(other.home), more), { code: 'MESH_NOT_AUTHORIZED' });
    }
    await assert.rejects(enter(await own(broker.home, Date.now() - 1_000)), { code: 'MESH_NOT_AUTHORIZED' });
    // Without a certificate TLS alone is no login.
    await assert.rejects(connectMqtt({ ...brokerOf(place(broker)), clientId: 'pi' }), { code: 'MESH_NOT_AUTHORIZED' });
  });

  it('keeps its certificate over a restart, and makes another for other names and near its end', async () => {
    const home = await makeHome();
    const file = join(home, 'broker', 'server.pem');
    const first = await secureBroker({ home });
    const made = await readFile(file, 'utf8');
    await first.close();
    await (await secureBroker({ home })).close();
    assert.equal(await readFile(file, 'utf8'), made);

    const authority = await ensureAuthority(home, 'secured');
    const old = await issueServer(authority, ['localhost'], Date.now() + brokerLimits.serverCertificateMs);
    await writeFile(file, old.key + old.certificate);
    await (await secureBroker({ home })).close();
    const names = new X509Certificate((await readFile(file, 'utf8')).replace(/^.*(?=-----BEGIN CERT)/s, ''));
    assert.ok(names.checkIP('127.0.0.1'));
  });

  it('renews its certificate while it runs, at two thirds of its life', async () => {
    // Of four seconds a certificate is old after 2.7: connections that come later see another.
    const broker = await secureBroker({ limits: { serverCertificateMs: 4_000, certificateCheckMs: 50 } });
    const serialNumber = async () => {
      const socket = connectTls({ port: broker.tlsPort!, host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const shown = socket.getPeerX509Certificate()!.serialNumber;
      socket.destroy();
      return shown;
    };
    const first = await serialNumber();
    await until('another certificate is shown', async () => (await serialNumber()) !== first);
    await (await connectMqtt({ ...brokerOf(place(broker)), ...login })).close();
  });

  it('drops who says nothing after the handshake, and who never shakes hands', async () => {
    const broker = await secureBroker({ limits: { connectTimeoutMs: 300 } });
    const silent = connectTls({ port: broker.tlsPort!, host: '127.0.0.1', rejectUnauthorized: false });
    silent.on('error', () => undefined);
    const mute = connectTcp(broker.tlsPort!, '127.0.0.1').on('error', () => undefined);
    mute.resume();
    silent.resume();
    await Promise.all([once(silent, 'close'), once(mute, 'close')]);
  });

  it('drops a client that reads nothing, over TLS too', async () => {
    // What waits shall not be too much before it has been still for long enough.
    const limits = { frozenMs: 300, outgoingBytesPerClient: 2 ** 30, outgoingMessagesPerClient: 100_000 };
    const broker = await secureBroker({ limits });
    const frozen = connectTls({ port: broker.tlsPort!, host: '127.0.0.1', rejectUnauthorized: false });
    frozen.on('error', () => undefined);
    await once(frozen, 'secureConnect');
    const { generate } = await import('mqtt-packet');
    frozen.write(loginBytes());
    frozen.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] }));
    await once(frozen, 'data');
    frozen.pause();
    const talker = await connectMqtt({ ...brokerOf(place(broker)), ...login });
    let isDropped = false;
    frozen.once('close', () => {
      isDropped = true;
    });
    const bytes = new Uint8Array(200_000);
    while (broker.statistics().incidents.frozenMs === undefined) await talker.publish('a', bytes, { qos: 1 });
    frozen.resume();
    await until('it is dropped', () => isDropped);
    await talker.close();
  });

  it('waits for no question longer than it may take, and closes those that wait', async () => {
    const broker = await secureBroker({ limits: { httpExchangeMs: 300 } });
    const ask = async () => {
      const socket = connectTls({ port: broker.tlsPort!, host: '127.0.0.1', rejectUnauthorized: false });
      socket.on('error', () => undefined);
      await once(socket, 'secureConnect');
      socket.resume().write('POST /join HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{');
      return once(socket, 'close');
    };
    await Promise.all(Array.from({ length: 3 }, ask));
    const patient = await secureBroker();
    const waiting = connectTls({ port: patient.tlsPort!, host: '127.0.0.1', rejectUnauthorized: false });
    waiting.on('error', () => undefined);
    await once(waiting, 'secureConnect');
    waiting.resume().write('GET / HTTP/1.1\r\n');
    const closed = once(waiting, 'close');
    await patient.close();
    await closed;
  });

  it('does not start on a damaged CA, and makes no other in its place', async () => {
    const home = await makeHome();
    await (await secureBroker({ home })).close();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const other = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })).export({
      type: 'pkcs8',
      format: 'pem',
    });
    await writeFile(join(home, 'ca.key'), other);
    await assert.rejects(secureBroker({ home }), { code: 'MESH_CONFIG_INVALID', where: join(home, 'ca.pem') });
  });

  it('needs a mesh, whose CA it is', async () => {
    const home = await makeHome();
    await createAccount(home, 'more');
    await assert.rejects(makeBroker({ home, tls: { port: 0 } }), { code: 'MESH_CONFIG_INVALID', where: home });
  });
});
