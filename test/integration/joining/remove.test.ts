import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConnection } from '@foremesh/node-runtime/contract';
import { brokerOf, connectMqtt } from '../../../node-runtime/shell/mqtt-transport.ts';
import { until } from '../../support/until.ts';
import type { Network } from './network.ts';
import { meshAcrossNetwork } from './secured-mesh.ts';

describe('removing a node', function () {
  this.timeout(180_000);
  const { network, mesh } = meshAcrossNetwork();

  const nodeWords = (name: string) => ['node', '--home', mesh.home(name), '--json', '--log-level', 'warn'];
  const names = async () => {
    const { nodes } = JSON.parse(await mesh.succeed('nodes', '--home', mesh.home('hub'), '--json'));
    return nodes.map(({ status }: { status: { node: string } }) => status.node).sort();
  };
  const joined = async (name: string, at?: Network) => {
    const text = await mesh.invite();
    const { code, stderr } = await mesh.run(['join', text, '--home', mesh.home(name), '--name', name], at?.prefix);
    assert.equal(code, 0, stderr);
    const node = await mesh.startAt(at, ...nodeWords(name), '--slots', '1');
    await until(`${name} is there`, async () => (await names()).includes(name));
    return node;
  };
  const remove = (name: string) => mesh.run(['nodes', 'remove', name, '--home', mesh.home('hub'), '--json']);

  it('drops it, takes it out of the mesh, and never lets it in again', async () => {
    const pi = await joined('pi-4', network);
    const { code, stdout, stderr } = await remove('pi-4');
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { node: 'pi-4', removed: true, isRevoked: true });
    // The running node hears why, and ends.
    assert.equal((await pi.exited).code, 2);
    assert.match(pi.stderr, /MESH_NODE_REMOVED/);
    assert.deepEqual(await names(), ['hub']);

    // Started again it does not come in; nor does it join again; nor after the broker was restarted.
    const again = await mesh.run(nodeWords('pi-4'), network.prefix);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /MESH_NODE_REMOVED/);
    await mesh.restartBroker();
    const rejoin = await mesh.run(['join', await mesh.invite(), '--home', mesh.home('pi-4')], network.prefix);
    assert.equal(rejoin.code, 2);
    assert.match(rejoin.stderr, /the owner has removed this node.*MESH_NODE_REMOVED/);
    const third = await mesh.run(nodeWords('pi-4'), network.prefix);
    assert.match(third.stderr, /MESH_NODE_REMOVED/);
  });

  it('leaves no status of it at the broker', async () => {
    const connection = parseConnection(await readFile(join(mesh.home('hub'), 'connection'), 'utf8'));
    const { account: username, password } = connection;
    const client = await connectMqtt({ ...brokerOf(connection), clientId: 'look', username, password });
    const retained: string[] = [];
    client.listen((topic, payload, isRetained) => isRetained && payload.length > 0 && retained.push(topic));
    const prefix = `foremesh/v1/${connection.mesh}/nodes`;
    await client.subscribe([`${prefix}/+/status`], 1);
    await until('the status of the hub comes', () => retained.includes(`${prefix}/hub/status`));
    assert.deepEqual(retained, [`${prefix}/hub/status`]);
    await client.close();
  });

  it('makes room for a new node of its name', async () => {
    const text = await mesh.invite();
    const words = ['join', text, '--home', mesh.home('pi-4-new'), '--name', 'pi-4'];
    const { code, stderr } = await mesh.run(words, network.prefix);
    assert.equal(code, 0, stderr);
    await mesh.startAt(network, ...nodeWords('pi-4-new'), '--slots', '1');
    assert.equal(await mesh.runJob(), 'pi-4');
    assert.equal((await remove('pi-4')).code, 0);
  });

  it('that votes takes its seat from it first, and the mesh goes on', async () => {
    await mesh.succeed('voters', '--home', mesh.home('hub'), '--settle', '100ms');
    const [one] = [await joined('pi-1'), await joined('pi-2')];
    const voters = async () => {
      const there = JSON.parse(await mesh.succeed('voters', '--home', mesh.home('hub'), '--json'));
      return there.voters.map(({ node, role }: { node: string; role: string }) => `${node} ${role}`).sort();
    };
    await until('three vote', async () => (await voters()).join() === 'hub leader,pi-1 voter,pi-2 voter', 90_000);
    const { code, stderr } = await remove('pi-1');
    assert.equal(code, 0, stderr);
    assert.equal((await one.exited).code, 2);
    assert.deepEqual(await names(), ['hub', 'pi-2']);
    assert.deepEqual(await voters(), ['hub leader', 'pi-2 voter']);
    assert.equal(await mesh.runJob(), 'pi-2');
  });

  it('is refused for the leader, and for a node that nobody knows', async () => {
    const hub = await remove('hub');
    assert.equal(hub.code, 2);
    assert.match(hub.stderr, /MESH_NODE_LEADS/);
    const nobody = await remove('nobody');
    assert.equal(nobody.code, 2);
    assert.match(nobody.stderr, /MESH_NODE_UNKNOWN/);
  });

  it('is for the hub: elsewhere nothing is half removed', async () => {
    const connection = (await readFile(join(mesh.home('hub'), 'connection'), 'utf8')).trim();
    const words = ['nodes', 'remove', 'pi-2', '--home', mesh.home('elsewhere'), '--connection', connection];
    const { code, stderr } = await mesh.run(words);
    assert.equal(code, 2);
    assert.match(stderr, /"pi-2" has a certificate, which only its hub can refuse/);
    assert.ok((await names()).includes('pi-2'));
  });
});
