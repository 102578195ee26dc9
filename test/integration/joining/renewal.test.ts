import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrokerOptions, createAccount, type RunningBroker, startBroker } from '@foremesh/broker';
import { type Connection, type MeshEvent, parseInvitation } from '@foremesh/node-runtime/contract';
import { foundMesh, openHome, openIdentity, startNode } from '@foremesh/node-runtime/shell';
import pino from 'pino';
import { createAuthority } from '../../../broker/joining/authority.ts';
import { inviteDevice } from '../../../broker/joining/invite.ts';
import { joinMesh } from '../../../node-runtime/shell/joining/join.ts';
import { type Membership, placeOf, readMembership } from '../../../node-runtime/shell/joining/membership.ts';
import { MembershipKeeper } from '../../../node-runtime/shell/joining/membership-keeper.ts';
import { until } from '../../support/until.ts';
import { freePort } from '../mesh/fleet.ts';

const dayMs = 86_400_000;
const log = pino({ level: 'silent' });

describe('the certificate of a node', function () {
  this.timeout(60_000);
  let directory: string;
  let connection: Connection;
  let broker: RunningBroker;
  const ends: (() => Promise<unknown>)[] = [];
  const homeOf = (name: string) => openHome(join(directory, name), {});

  const start = async (limits: NonNullable<BrokerOptions['limits']> = {}) => {
    const tls = { host: '127.0.0.1', port: connection.port };
    broker = await startBroker({ home: homeOf('hub').directory, listen: { port: 0 }, webSocket: false, tls, limits });
  };
  const joined = async (name: string): Promise<Membership> => {
    const { text } = await inviteDevice(homeOf('hub').directory, { ttlMs: 60_000, uses: 1, mayLead: true });
    return (await joinMesh({ home: homeOf(name), invitation: parseInvitation(text), name })).membership;
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'foremesh-renewal-'));
    connection = await foundMesh({
      home: homeOf('hub'),
      node: 'hub',
      port: await freePort(),
      createAccount: async (at, name) => (await createAccount(at, name)).password,
      createAuthority,
    });
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
    await broker.close();
    await rm(directory, { recursive: true });
  });

  it('is renewed by the running node before it ends; the connection stays', async () => {
    await start();
    const startPi = async (membership: Membership) => {
      const at = { home: homeOf('pi'), connection: placeOf(membership), membership };
      const node = await startNode({ ...at, log, slots: 0 });
      ends.push(() => node.stop());
      await node.online;
      return node;
    };
    // The first start measures the machine, which may take longer than the certificate of this test lives.
    await (await startPi(await joined('pi'))).stop();
    await rm(homeOf('pi').membershipFile);
    await broker.close();
    await start({ nodeCertificateMs: 6_000, accountsCheckMs: 20 });
    const membership = await joined('pi');
    await startPi(membership);
    await until('its first certificate has ended, and been looked at', () => Date.now() > membership.endsAtMs + 500);
    const renewed = (await readMembership(homeOf('pi')))!;
    assert.ok(renewed.endsAtMs > Date.now());
    assert.equal(broker.statistics().connections, 1);
    assert.equal(broker.statistics().incidents.nodeRemoved, undefined);

    // And it comes back with the new one: the first would no longer do.
    await broker.close();
    await start({ nodeCertificateMs: 60_000 });
    await until('it is connected again', () => broker.statistics().connections === 1);
    assert.equal(broker.statistics().incidents.login, undefined);
  });

  it('that has ended ends the node, with what to do; to join anew gives the same node another', async () => {
    await start({ nodeCertificateMs: 1_000, accountsCheckMs: 20 });
    const membership = await joined('pi');
    await until('it has ended', () => Date.now() > membership.endsAtMs);
    const node = await startNode({ home: homeOf('pi'), connection: placeOf(membership), membership, log, slots: 0 });
    ends.push(() => node.stop());
    const failure = await node.failed;
    assert.equal(failure.code, 'MESH_CERTIFICATE_ENDED');
    assert.match(failure.mend!, /join anew/);
    const again = await joined('pi');
    assert.equal(again.node, 'pi');
    assert.ok(again.endsAtMs > membership.endsAtMs);
  });

  it('warns 30, 7 and 1 days before an end that nobody puts off, once each', async () => {
    await start();
    const membership = await joined('pi');
    await broker.close();
    const told: Omit<MeshEvent, 'v' | 'source'>[] = [];
    const failed: string[] = [];
    let days = 0;
    const identity = await openIdentity(homeOf('pi'), undefined);
    const counting = Object.assign(Object.create(log), { warn: (line: string) => failed.push(line) });
    const keeper = new MembershipKeeper({
      home: homeOf('pi'),
      identity,
      membership,
      log: counting,
      tell: (event) => told.push(event),
      onOut: (error) => assert.fail(error.toLine()),
      nowMs: () => membership.issuedAtMs + days * dayMs,
    });
    ends.push(() => keeper.close());
    const lookOn = async (day: number) => {
      days = day;
      const before = failed.length;
      keeper.look();
      await until(`it has tried on day ${day}`, () => failed.length > before);
    };
    for (const day of [60, 60.5, 70, 83, 83.5, 89, 89.5]) await lookOn(day);
    assert.deepEqual(
      told.map(({ kind, severity, text }) => [kind, severity, /within ([^(]*) \(/.exec(text)?.[1]]),
      [
        ['certificate-ends', 'warning', '30 days'],
        ['certificate-ends', 'error', '7 days'],
        ['certificate-ends', 'error', 'a day'],
      ],
    );
    await start();
  });
});
