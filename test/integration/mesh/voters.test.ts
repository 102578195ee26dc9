import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bodyOf, brokerUrl, decodeUnchecked, Topics } from '@foremesh/node-runtime/contract';
import type { MeshClient } from '@foremesh/node-runtime/sdk';
import { connectMqtt } from '@foremesh/node-runtime/shell';
import { until } from '../../support/until.ts';
import { Fleet } from './fleet.ts';
import { outputOf, squaresJob, sumOfSquares, untilMidJob } from './jobs.ts';
import { foremesh } from './processes.ts';

/** Resolves with who leads and who votes, once so many do. */
async function untilVoters(client: MeshClient, count: number, among?: readonly string[]) {
  return until(
    `${count} nodes vote`,
    async () => {
      const { voters, term } = await client.voters();
      const counted = voters.filter(
        ({ role, awayMs }) => (role === 'leader' || role === 'voter') && awayMs === undefined,
      );
      if (voters.length !== count || counted.length !== count) return undefined;
      const names = counted.map(({ node }) => node);
      if (among !== undefined && !names.every((name) => among.includes(name))) return undefined;
      return { term, names, leader: voters.find(({ role }) => role === 'leader')!.node };
    },
    60_000,
  );
}

interface Word {
  readonly topic: string;
  readonly term: number;
}

/** What a node says as a leader: to nodes, to clients, of itself. */
async function listenTo(node: string, fleet: Fleet): Promise<Word[]> {
  const { account: username, password, mesh } = fleet.connection;
  const transport = await connectMqtt({ url: brokerUrl(fleet.connection), clientId: 'listener', username, password });
  fleet.later(() => transport.close());
  const words: Word[] = [];
  transport.listen((topic, payload, retained) => {
    if (retained || payload.length === 0) return;
    const message = decodeUnchecked(bodyOf(payload)) as { from?: string; node?: string; term?: number };
    const isState = topic.includes('/jobs/');
    // A state does not say whose it is; its term does: nobody else has led in it.
    if (message.term !== undefined && (isState || message.from === node || message.node === node))
      words.push({ topic, term: message.term });
  });
  const { prefix } = new Topics(mesh);
  await transport.subscribe([`${prefix}nodes/+/inbox`, `${prefix}jobs/+/+/state`, `${prefix}leader`], 1);
  return words;
}

describe('a mesh that any of its voters can lead', function () {
  this.timeout(180_000);
  let fleet: Fleet;
  let client: MeshClient;
  beforeEach(async () => {
    fleet = await Fleet.start('--profile', 'lan');
    client = await fleet.client();
    for (const name of ['bob', 'cyd', 'dan']) await fleet.startNode(name, '--journal', journals());
  });
  afterEach(() => fleet.stop());

  const journals = () => join(fleet.directory, 'journals');

  async function kill(node: string): Promise<void> {
    await fleet.nodes.get(node)!.kill('SIGKILL');
    fleet.nodes.delete(node);
  }

  it('takes voters in, goes on under another leader when one dies, and gives its seat to the fourth node', async () => {
    await client.setVoters({ count: 3, settleMs: 500, replaceAfterMs: 3_000 });
    const before = await untilVoters(client, 3);
    assert.equal(before.leader, 'ada');
    await client.setQuota('ann', { jobs: 7, storedBytes: 1_000 });
    const handle = client.submit(squaresJob(240, 24, 200_000), { id: 'led-on' });
    await untilMidJob(client, handle, 'ada', 4);
    await kill('ada');
    const result = await handle.result();
    assert.equal(result.phase, 'done');
    assert.equal(outputOf(result), sumOfSquares(240));
    const others = ['bob', 'cyd', 'dan'];
    const after = await untilVoters(client, 3, others);
    assert.ok(after.term > before.term);
    const { jobs, storedBytes } = await client.setQuota('ann', { storedBytes: null });
    assert.deepEqual([jobs.most, storedBytes.isOwn], [7, false], 'what ann may have is remembered');
    // The founder comes back: it finds its job done, and no seat.
    await fleet.startNode('ada');
    assert.equal(
      outputOf(await client.submit(squaresJob(240, 24, 200_000), { id: 'led-on' }).result()),
      sumOfSquares(240),
    );
    assert.deepEqual((await untilVoters(client, 3, others)).names.sort(), others);
    // What they decided they decide again: those that are stopped in order, and one that is killed.
    await kill(after.leader);
    for (const name of others.filter((each) => each !== after.leader)) await fleet.stopNode(name);
    const files = await readdir(journals());
    assert.equal(files.length, 3);
    let all = 0;
    for (const file of files) {
      const { code, stdout, stderr } = await foremesh('replay', join(journals(), file), '--json');
      assert.equal(code, 0, stderr);
      const { events, effects } = JSON.parse(stdout) as { events: number; effects: number };
      assert.ok(events > 0 && effects > 0, stdout);
      all += events;
    }
    assert.ok(all > 200, String(all));
  });

  it('hears nothing of its old term from a leader that was stopped for longer than its lease', async () => {
    await client.setVoters({ count: 3, settleMs: 500 });
    const before = await untilVoters(client, 3);
    const handle = client.submit(squaresJob(480, 48, 200_000), { id: 'stopped' });
    await untilMidJob(client, handle, before.leader, 4);
    const words = await listenTo(before.leader, fleet);
    const leader = fleet.nodes.get(before.leader)!;
    leader.child.kill('SIGSTOP');
    await until('another leads', async () => (await client.voters()).term > before.term, 60_000);
    words.length = 0;
    leader.child.kill('SIGCONT');
    await until('it is there again', async () => {
      const { rows } = await client.nodes();
      return rows.some(({ status, leads }) => status.node === before.leader && status.online && !leads);
    });
    assert.equal(outputOf(await handle.result()), sumOfSquares(480));
    await until('it votes again', async () => {
      const row = (await client.voters()).voters.find(({ node }) => node === before.leader);
      return row?.role === 'voter' && row.awayMs === undefined;
    });
    assert.deepEqual(
      words.filter(({ term }) => term <= before.term),
      [],
    );
  });

  it('goes on when its broker is killed and comes back', async () => {
    await client.setVoters({ count: 3, settleMs: 500 });
    await untilVoters(client, 3);
    const handle = client.submit(squaresJob(240, 24, 200_000), { id: 'no-broker' });
    await untilMidJob(client, handle, 'ada', 4);
    await fleet.broker.kill('SIGKILL');
    await fleet.startBroker();
    assert.equal(outputOf(await handle.result()), sumOfSquares(240));
    await untilVoters(client, 3);
  });

  it('loses nothing when the power of all machines fails at once', async () => {
    await client.setVoters({ count: 3, settleMs: 500 });
    const before = await untilVoters(client, 3);
    const handle = client.submit(squaresJob(240, 24, 200_000), { id: 'blackout' });
    await untilMidJob(client, handle, before.leader, 4);
    const names = [...fleet.nodes.keys()];
    await Promise.all([fleet.broker.kill('SIGKILL'), ...names.map(kill)]);
    await fleet.startBroker();
    for (const name of names) await fleet.startNode(name);
    assert.equal(outputOf(await handle.result()), sumOfSquares(240));
    const after = await untilVoters(client, 3);
    assert.deepEqual(after.names.sort(), before.names.sort());
    assert.ok(after.term > before.term);
  });

  it('does not let a voter begin again without its log', async () => {
    await client.setVoters({ count: 3, settleMs: 500 });
    const { names } = await untilVoters(client, 3);
    const lost = names.find((name) => name !== 'ada')!;
    await kill(lost);
    await rm(join(fleet.home(lost), 'node', 'log'), { recursive: true });
    const { code, stderr } = await foremesh('node', '--home', fleet.home(lost), '--log-level', 'silent');
    assert.notEqual(code, 0);
    assert.match(stderr, /MESH_LOG_LOST.*\n.*new identity/);
  });
});
