import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker } from '@foremesh/broker';
import {
  formatInvitation,
  type Invitation,
  localPlaces,
  localRecords,
  localService,
  parseInvitation,
} from '@foremesh/node-runtime/contract';
import { type LinkPacket, type LocalLink, localPort, openLocalLink } from '@foremesh/node-runtime/data';
import fc from 'fast-check';
import { Announcer } from '../../../broker/joining/announcer.ts';
import { brokerLimits } from '../../../broker/limits.ts';
import { Incidents } from '../../../broker/log.ts';
import { searchLocally } from '../../../node-runtime/shell/joining/local-search.ts';
import { connectPinned } from '../../../node-runtime/shell/pinned-tls.ts';
import { until } from '../../support/until.ts';
import { meshAcrossNetwork } from './secured-mesh.ts';

const netmask = '255.255.255.0';

/** Hears what is said on a link, from the first word on. */
class Listener {
  readonly packets: LinkPacket[] = [];
  link!: LocalLink;

  static async open(address: string): Promise<Listener> {
    const listener = new Listener();
    const onProblem = (error: Error) => assert.fail(error);
    const onPacket = (packet: LinkPacket) => listener.packets.push(packet);
    listener.link = await openLocalLink({ address, netmask }, { onPacket, onProblem });
    return listener;
  }

  /** Where a broker said that the mesh is. */
  places(mesh: Pick<Invitation, 'meshId' | 'ca'>) {
    return this.packets.filter(({ isQuery }) => !isQuery).flatMap(({ records }) => localPlaces(records, mesh));
  }

  /** The life that a broker gave its own record last. */
  lastTtl({ meshId, ca }: Invitation): unknown {
    const [pointer] = localRecords({ meshId, ca }, { host: '0.0.0.0', port: 1 });
    const said = this.packets.flatMap(({ isQuery, records }) => (isQuery ? [] : records));
    return said.findLast(({ type, data }) => type === 'PTR' && data === pointer!.data)?.ttl;
  }
}

describe('mDNS', function () {
  this.timeout(120_000);
  const { network, mesh } = meshAcrossNetwork();
  /** What an old invitation says: no way leads to the first address from the other machine, and the name is nobody's. */
  const stale = (invitation: Invitation) =>
    formatInvitation({ ...invitation, host: '10.212.0.1', others: [{ host: 'nowhere.invalid', port: mesh.port }] });

  const joinThere = (text: string, ...options: string[]) => mesh.run(['join', text, ...options], network.prefix);
  const membershipOf = async (name: string) =>
    JSON.parse(await readFile(join(mesh.home(name), 'membership.json'), 'utf8')) as { addresses: { host: string }[] };

  describe('when the addresses of an invitation lead nowhere', () => {
    let used: Invitation;

    it('finds the broker, says so, and lets the node in, which keeps the address', async () => {
      used = parseInvitation(await mesh.invite());
      const { code, stdout, stderr } = await joinThere(stale(used), '--home', mesh.home('pi'), '--name', 'pi');
      assert.equal(code, 0, stderr);
      const at = `${network.here}:${mesh.port}`;
      assert.match(
        stderr,
        new RegExp(`the addresses in the invitation did not answer; found the mesh at ${at} by mDNS`),
      );
      assert.match(stdout, /^\* reached {2}\* CA matches {2}\* pi joined; offers/);
      const { addresses } = await membershipOf('pi');
      assert.deepEqual(
        addresses.map(({ host }) => host),
        [network.here, '10.212.0.1', 'nowhere.invalid'],
      );
      const node = ['node', '--home', mesh.home('pi'), '--slots', '0', '--json', '--log-level', 'warn'];
      const running = await mesh.startAt(network, ...node);
      await running.kill('SIGTERM');
    });

    it('mends the address of a node that has joined, with the invitation that was used', async () => {
      const file = join(mesh.home('pi'), 'membership.json');
      const before = JSON.parse(await readFile(file, 'utf8'));
      await writeFile(file, JSON.stringify({ ...before, addresses: [{ host: '10.212.0.1', port: 1 }] }));
      const { code, stdout, stderr } = await joinThere(stale(used), '--home', mesh.home('pi'), '--json');
      assert.equal(code, 0, stderr);
      const { isNew, foundAt } = JSON.parse(stdout);
      assert.deepEqual([isNew, foundAt], [false, `${network.here}:${mesh.port}`]);
      assert.equal((await membershipOf('pi')).addresses[0]!.host, network.here);
    });

    it('gives the reason of the broker that was found', async () => {
      const { code, stderr } = await joinThere(stale(used), '--home', mesh.home('late'));
      assert.notEqual(code, 0);
      assert.match(stderr, /has been used.*\(MESH_INVITATION_USED\)/);
    });

    it('is not asked when somebody has answered, whoever it was', async () => {
      const server = createServer((socket) => socket.end('220 mail.example\r\n')).listen(0, network.here);
      await once(server, 'listening');
      const { port } = server.address() as { port: number };
      const listener = await Listener.open(network.here);
      const text = formatInvitation({ ...used, host: network.here, port });
      const { code, stderr } = await joinThere(text, '--home', mesh.home('mail'));
      assert.notEqual(code, 0);
      assert.match(stderr, /\(MESH_TLS_FAILED\)/);
      assert.deepEqual(
        listener.packets.filter(({ isQuery }) => isQuery),
        [],
      );
      await listener.link.close();
      server.close();
    });

    it('has the rest of the time: an address that swallows everything is given up before', async () => {
      const dead = { host: network.here.replace(/1$/, '77'), port: 8883 };
      await assert.rejects(connectPinned({ addresses: [dead], ca: used.ca }, { timeoutMs: 60_000, reachMs: 100 }), {
        code: 'MESH_UNREACHABLE',
        message: /no answer in time/,
      });
    });
  });

  describe('of the broker', () => {
    it('outlives what strangers send, and answers as before', async () => {
      const { meshId, ca } = parseInvitation(await mesh.invite());
      const socket = createSocket({ type: 'udp4', reuseAddr: true });
      await new Promise<void>((resolve) => socket.bind(0, network.here, resolve));
      socket.setMulticastInterface(network.here);
      const send = (bytes: Uint8Array) =>
        new Promise<void>((resolve) => socket.send(bytes, localPort, '224.0.0.251', () => resolve()));
      for (const packet of hostilePackets()) await send(packet);
      // A packet that passes what one datagram may have is refused by the system, a large one by the broker.
      await send(Buffer.alloc(60_000, '_foremesh'));
      const listener = await Listener.open(network.here);
      await until('it answers', async () => {
        await listener.link.ask(localService);
        return listener.places({ meshId, ca }).length > 0;
      });
      assert.deepEqual(listener.places({ meshId, ca })[0], { host: network.here, port: mesh.port });
      assert.equal(mesh.broker.child.exitCode, null);
      assert.doesNotMatch(mesh.broker.stderr, /"level":(50|60)/);
      // A plain resolver asks from a port of its own, and is answered there, with its number.
      const answer = once(socket, 'message') as Promise<[Buffer]>;
      await send(question(4_711));
      const [bytes] = await answer;
      assert.equal(bytes.readUInt16BE(0), 4_711);
      assert.ok(bytes.includes(`ca=${ca}`));
      socket.close();
      await listener.link.close();
    });

    it('says goodbye when the broker ends, and nothing when it is started with --no-announce', async () => {
      const invitation = parseInvitation(await mesh.invite());
      const listener = await Listener.open(network.here);
      await mesh.broker.kill('SIGTERM');
      await until('it says goodbye', () => listener.lastTtl(invitation) === 0);
      await mesh.restartBroker(['--no-announce']);
      listener.packets.length = 0;
      assert.deepEqual(await searchLocally(invitation, 500), { places: [], problem: undefined });
      assert.equal(listener.lastTtl(invitation), undefined);
      await listener.link.close();
    });
  });

  describe('of somebody else', () => {
    /** Answers whoever looks for a mesh, as a broker would. */
    const impostor = async (said: { meshId: string; ca: string }, port: number): Promise<LocalLink> => {
      const at = { address: network.here, netmask };
      const link: LocalLink = await openLocalLink(at, {
        onProblem: (error) => assert.fail(error),
        onPacket: ({ isQuery }) => {
          if (isQuery) void link.answer(localRecords(said, { host: network.here, port }));
        },
      });
      return link;
    };

    it('is not listened to when it is another mesh, or has another CA', async () => {
      const { meshId, ca } = parseInvitation(await mesh.invite());
      const strangers = [
        { meshId: 'A'.repeat(43), ca },
        { meshId, ca: 'A'.repeat(43) },
      ];
      const links = [];
      for (const each of strangers) links.push(await impostor(each, mesh.port));
      const listener = await Listener.open(network.here);
      assert.deepEqual(await searchLocally({ meshId, ca }, 500), { places: [], problem: undefined });
      for (const each of strangers) assert.ok(listener.places(each).length > 0, 'it said nothing');
      for (const link of [...links, listener.link]) await link.close();
    });

    it('is told nothing when it calls itself by this mesh and its CA, and is certified by another', async () => {
      const home = await mkdtemp(join(tmpdir(), 'foremesh-impostor-'));
      await writeFile(
        join(home, 'mesh.json'),
        JSON.stringify({ v: 1, mesh: parseInvitation(await mesh.invite()).mesh }),
      );
      const listen = { host: '127.0.0.1', port: 0 };
      const tls = { host: network.here, port: 0 };
      const other = await startBroker({ home, listen, tls, webSocket: false });
      const text = await mesh.invite();
      const link = await impostor(parseInvitation(text), other.tlsPort!);
      const { code, stderr } = await joinThere(stale(parseInvitation(text)), '--home', mesh.home('fooled'));
      assert.notEqual(code, 0);
      const at = `${network.here}:${other.tlsPort}`;
      assert.match(
        stderr,
        new RegExp(`what mDNS names in its place is not it: ${at}: who answers is not certified by this`),
      );
      await link.close();
      await other.close();
      await rm(home, { recursive: true });
      // Its secret was not spent.
      const after = await joinThere(text, '--home', mesh.home('fooled'), '--json');
      assert.equal(after.code, 0, after.stderr);
    });
  });

  // Last: it takes the cable away.
  describe('of a broker whose machine moves', () => {
    it('follows the addresses of the machine', async () => {
      const said = { meshId: 'B'.repeat(43), ca: 'C'.repeat(43) };
      const incidents = new Incidents(undefined, 10, 1_000);
      const limits = { ...brokerLimits, announceLookMs: 50 };
      const announcer = new Announcer({ mesh: said, host: '0.0.0.0', port: 8_883, limits, incidents });
      const another = network.here.replace('10.213.', '10.214.');
      await network.addAddress(another);
      const listener = await Listener.open(another);
      await until('it is announced there', () => listener.places(said).some(({ host }) => host === another));
      assert.ok(
        listener.places(said).every(({ host }) => host === another),
        'an address of another network was named',
      );
      await listener.link.close();
      await network.removeAddress(another);

      await network.unplug();
      await network.plug();
      const again = await Listener.open(network.here);
      await until('it answers on the cable that has come back', async () => {
        await again.link.ask(localService);
        return again.places(said).some(({ host }) => host === network.here);
      });
      await announcer.close();
      await until('it says goodbye there', () =>
        again.packets.some(({ records }) => records.some(({ ttl }) => ttl === 0)),
      );
      await again.link.close();
    });
  });
});

function question(id: number, name = [Buffer.from('_foremesh'), Buffer.from('_tcp'), Buffer.from('local')]): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(1, 4);
  const labels = name.map((each) => Buffer.concat([Buffer.from([each.length & 0x3f]), each]));
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 12, 0, 1])]);
}

/** Packets that name the service, and fewer than a link takes in a second, so that they are read: cut, changed and made up, from a seed. */
function hostilePackets(): Uint8Array[] {
  const whole = question(1);
  const pointer = Buffer.concat([whole, Buffer.from('c00c00100001000000780000c00cc00cffff', 'hex')]);
  const counted = fc
    .tuple(fc.uint8Array({ minLength: 12, maxLength: 12 }), fc.uint8Array({ maxLength: 1_400 }))
    .map(([header, body]) => {
      // Few records, so that it is decoded; what they are is chance.
      header.fill(0, 4, 12);
      for (const at of [5, 7, 9, 11]) header[at] = body.length % 16;
      return Buffer.concat([header, whole.subarray(12), body]);
    });
  const flipped = fc
    .array(fc.tuple(fc.nat(pointer.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
    .map((changes) => {
      const bytes = Buffer.from(pointer);
      for (const [at, byte] of changes) bytes[at] = byte;
      return bytes;
    });
  const cut = fc.nat(pointer.length).map((length) => pointer.subarray(0, length));
  const named = fc
    .array(fc.uint8Array({ minLength: 1, maxLength: 63 }), { maxLength: 20 })
    .map((labels) => question(2, [Buffer.from('_foremesh'), ...labels.map((each) => Buffer.from(each))]));
  return [counted, flipped, cut, named].flatMap((each) => fc.sample<Uint8Array>(each, { numRuns: 24, seed: 7 }));
}
