import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { formatInvitation, parseInvitation } from '@foremesh/node-runtime/contract';
import { openHome } from '@foremesh/node-runtime/shell';
import { joinMesh } from '../../../node-runtime/shell/joining/join.ts';
import { skipWithout } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import type { Ended } from '../mesh/processes.ts';
import { meshAcrossNetwork } from './secured-mesh.ts';

/** Bound of every refusal. */
const refusalMs = 30_000;

describe('joining a mesh from another machine', function () {
  this.timeout(120_000);
  // Silent: a broker that is announced would be found where the cases below name an address that is not its own.
  const { network, mesh } = meshAcrossNetwork(['--no-announce']);

  const joinThere = (text: string, ...options: string[]) => mesh.run(['join', text, ...options], network.prefix);

  it('shows the transcript: one string and a QR code, then what was checked and what is offered', async () => {
    const invited = await mesh.succeed('invite', '--home', mesh.home('hub'));
    const [text, empty, ...rest] = invited.split('\n');
    assert.match(
      text!,
      new RegExp(`^foremesh://${network.here}:${mesh.port}/mesh-[0-9a-f]{8}\\?id=\\S+&ca=\\S+&token=\\S+$`),
    );
    assert.equal(empty, '');
    assert.ok(rest.filter((line) => /^[█▀▄ ]{30,}$/.test(line)).length > 15, 'no QR code');
    assert.match(invited, /for 1 device, for 10 min \(until \d\d:\d\d:\d\d\)/);
    assert.ok(invited.includes(`on the device:      foremesh join '${text}'`));

    const { code, stdout, stderr } = await joinThere(text!, '--home', mesh.home('pi-4'), '--name', 'pi-4');
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^\* reached {2}\* CA matches {2}\* pi-4 joined; offers \d+ cores?, [\d.]+ [MG]B {4}start: foremesh node {3}change: foremesh share 25% {3}undo: foremesh nodes remove pi-4 \(on the hub\)\n$/,
    );
    assert.equal((await stat(join(mesh.home('pi-4'), 'membership.json'))).mode & 0o777, 0o600);
  });

  it('runs a job on the node that joined, which starts without any string', async () => {
    await mesh.startAt(network, 'node', '--home', mesh.home('pi-4'), '--slots', '1', '--json', '--log-level', 'warn');
    assert.equal(await mesh.runJob(), 'pi-4');
    const rows = JSON.parse(await mesh.succeed('nodes', '--home', mesh.home('hub'), '--json')).nodes;
    const pi = rows.find(({ status }: { status: { node: string } }) => status.node === 'pi-4');
    assert.ok(pi.status.admission.length > 43, 'it shows its certificate');
    const home = await readFile(join(mesh.home('hub'), 'connection'), 'utf8');
    assert.ok(!JSON.stringify(await readFile(join(mesh.home('pi-4'), 'membership.json'), 'utf8')).includes(home));
  });

  it('may be done again: the certificate stays, and no invitation is used', async () => {
    const file = join(mesh.home('pi-4'), 'membership.json');
    const before = await readFile(file, 'utf8');
    const text = await mesh.invite();
    const again = await joinThere(text, '--home', mesh.home('pi-4'));
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /^\* reached {2}\* CA matches {2}\* pi-4 had joined; its certificate is good until 20/);
    assert.equal(await readFile(file, 'utf8'), before);
    const other = await joinThere(text, '--home', mesh.home('unused'), '--json');
    assert.equal(other.code, 0, other.stderr);
    assert.equal(JSON.parse(other.stdout).isNew, true);
  });

  it('that was answered and the answer lost is done with the same invitation, by the same key alone', async () => {
    const text = await mesh.invite();
    const home = mesh.home('lossy');
    assert.equal((await joinThere(text, '--home', home)).code, 0);
    await rm(join(home, 'membership.json'));
    const again = await joinThere(text, '--home', home);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /joined; offers/);
  });

  describe('is refused within 30 s, with the reason,', () => {
    const refused = async (wanted: { code: string; says: RegExp; shows: string }, attempt: () => Promise<Ended>) => {
      const beganMs = performance.now();
      const { code, stdout, stderr } = await attempt();
      assert.ok(performance.now() - beganMs < refusalMs, 'it took too long');
      assert.notEqual(code, 0);
      assert.equal(stdout.trim(), wanted.shows);
      assert.ok(stderr.includes(`(${wanted.code})`), stderr);
      assert.match(stderr, wanted.says);
    };
    const trusted = '* reached  * CA matches';
    const home = () => ['--home', mesh.home(`refused-${Math.random().toString(36).slice(2)}`)];

    it('by a broker of another CA', async () => {
      const invitation = parseInvitation(await mesh.invite());
      const text = formatInvitation({ ...invitation, ca: 'A'.repeat(43) });
      await refused({ code: 'MESH_CA_MISMATCH', says: /not certified by this mesh's CA/, shows: '* reached' }, () =>
        joinThere(text, ...home()),
      );
    });

    it('with an invitation that was used', async () => {
      const text = await mesh.invite();
      assert.equal((await joinThere(text, ...home())).code, 0);
      await refused(
        { code: 'MESH_INVITATION_USED', says: /has been used\b.*\n.*foremesh invite/, shows: trusted },
        () => joinThere(text, ...home()),
      );
    });

    it('with one that has ended', async () => {
      const text = await mesh.invite('--ttl', '1ms');
      await refused({ code: 'MESH_INVITATION_EXPIRED', says: /the invitation ended 20/, shows: trusted }, () =>
        joinThere(text, ...home()),
      );
    });

    it('with one that was never made, or has another secret', async () => {
      const invitation = parseInvitation(await mesh.invite());
      const secret = 'A'.repeat(24);
      for (const token of [
        { ...invitation.token, secret },
        { id: 'nobody', secret },
      ]) {
        const text = formatInvitation({ ...invitation, token });
        await refused({ code: 'MESH_INVITATION_UNKNOWN', says: /knows no such invitation/, shows: trusted }, () =>
          joinThere(text, ...home()),
        );
      }
    });

    for (const [offset, off] of [
      ['-365d', 'behind'],
      ['+365d', 'ahead of'],
    ] as const) {
      it(`with a clock a year ${off === 'behind' ? 'back' : 'ahead'}, and the invitation is not used`, async function () {
        skipWithout(this, 'faketime', 'faketime');
        const text = await mesh.invite();
        const at = home();
        const clock = ['faketime', '-f', offset];
        const says = new RegExp(`clock is 365 days ${off} the broker's, where it is 20.*\\n.*set-ntp`);
        await refused({ code: 'MESH_CLOCK_WRONG', says, shows: trusted }, () =>
          mesh.run(['join', text, ...at], [...network.prefix, ...clock], { FAKETIME_DONT_FAKE_MONOTONIC: '1' }),
        );
        assert.equal((await joinThere(text, ...at)).code, 0);
      });
    }

    it('under a name that the mesh knows with another key: of a joined node, and of the hub', async () => {
      const text = await mesh.invite();
      for (const name of ['pi-4', 'hub']) {
        await refused({ code: 'MESH_NOT_ADMITTED', says: /knows a node ".*", with another key/, shows: trusted }, () =>
          joinThere(text, ...home(), '--name', name),
        );
      }
      const at = home();
      assert.equal((await joinThere(text, ...at, '--name', 'pi-9')).code, 0);
    });

    it('as a copy of a node that is online from another machine', async () => {
      const copy = mesh.home('copy');
      await mkdir(copy);
      for (const file of ['node.json', 'node.key']) await cp(join(mesh.home('pi-4'), file), join(copy, file));
      const says = new RegExp(`"pi-4" is online now from ${network.there}, and this is ${network.here}`);
      const text = await mesh.invite();
      await refused({ code: 'MESH_IDENTITY_CLONED', says, shows: trusted }, () =>
        mesh.run(['join', text, '--home', copy]),
      );
      // The whole card, its certificate too.
      await cp(join(mesh.home('pi-4'), 'membership.json'), join(copy, 'membership.json'));
      await refused({ code: 'MESH_IDENTITY_CLONED', says, shows: trusted }, () =>
        mesh.run(['join', text, '--home', copy]),
      );
    });

    it('where the name does not resolve, nobody listens, or something else answers', async () => {
      const invitation = parseInvitation(await mesh.invite());
      const at = (host: string, port: number) => formatInvitation({ ...invitation, host, port });
      await refused(
        {
          code: 'MESH_NAME_UNKNOWN',
          says: /"nowhere.invalid" does not resolve.*; nor does mDNS find this mesh/,
          shows: '',
        },
        () => joinThere(at('nowhere.invalid', mesh.port), ...home()),
      );
      await refused(
        { code: 'MESH_UNREACHABLE', says: /cannot reach the broker.*; nor does mDNS find this mesh/, shows: '' },
        () => joinThere(at(network.here, 1), ...home()),
      );
      const server = createServer((socket) => socket.end('220 mail.example\r\n')).listen(0, network.here);
      await until('it listens', () => server.listening);
      const { port } = server.address() as { port: number };
      await refused({ code: 'MESH_TLS_FAILED', says: /something answers, and not with TLS/, shows: '* reached' }, () =>
        joinThere(at(network.here, port), ...home()),
      );
      server.close();
    });

    it('where something takes the connection and says nothing', async () => {
      const server = createServer((socket) => socket.resume()).listen(0, network.here);
      await until('it listens', () => server.listening);
      const { port } = server.address() as { port: number };
      const invitation = { ...parseInvitation(await mesh.invite()), port };
      const [, directory] = home();
      await assert.rejects(joinMesh({ home: openHome(directory, {}), invitation, timeoutMs: 500 }), {
        code: 'MESH_TLS_FAILED',
        message: /no answer in time/,
      });
      server.close();
    });

    it('in a home that belongs to another mesh', async () => {
      const text = await mesh.invite();
      await refused({ code: 'MESH_CONFIG_INVALID', says: /was founded in this home/, shows: '' }, () =>
        mesh.run(['join', text, '--home', mesh.home('hub')]),
      );
    });
  });
});
