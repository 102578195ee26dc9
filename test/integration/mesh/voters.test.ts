import assert from 'node:assert/strict';
import type { MeshClient } from '@foremesh/node-runtime/sdk';
import { until } from '../../support/until.ts';
import { Fleet } from './fleet.ts';
import { outputOf, squaresJob, sumOfSquares, untilMidJob } from './jobs.ts';

/** Resolves with who leads and who votes, once so many do. */
async function untilVoters(client: MeshClient, count: number, among?: readonly string[]) {
  return until(
    `${count} nodes vote`,
    async () => {
      const { voters, term } = await client.voters();
      const counted = voters.filter(({ role, awayMs }) => (role === 'leader' || role === 'voter') && awayMs === undefined);
      if (voters.length !== count || counted.length !== count) return undefined;
      const names = counted.map(({ node }) => node);
      if (among !== undefined && !names.every((name) => among.includes(name))) return undefined;
      return { term, names, leader: voters.find(({ role }) => role === 'leader')!.node };
    },
    60_000,
  );
}

describe('a mesh that any of its voters can lead', function () {
  this.timeout(180_000);
  let fleet: Fleet;
  let client: MeshClient;
  beforeEach(async () => {
    fleet = await Fleet.start('--profile', 'lan');
    client = await fleet.client();
    for (const name of ['bob', 'cyd', 'dan']) await fleet.startNode(name);
  });
  afterEach(() => fleet.stop());

  async function kill(node: string): Promise<void> {
    await fleet.nodes.get(node)!.kill('SIGKILL');
    fleet.nodes.delete(node);
  }

  it('takes voters in, goes on under another leader when one dies, and gives its seat to the fourth node', async () => {
    await client.setVoters({ count: 3, settleMs: 500, replaceAfterMs: 3_000 });
    const before = await untilVoters(client, 3);
    assert.equal(before.leader, 'ada');
    const handle = client.submit(squaresJob(240, 24, 200_000), { id: 'led-on' });
    await untilMidJob(client, handle, 'ada', 4);
    await kill('ada');
    const result = await handle.result();
    assert.equal(result.phase, 'done');
    assert.equal(outputOf(result), sumOfSquares(240));
    const others = ['bob', 'cyd', 'dan'];
    const after = await untilVoters(client, 3, others);
    assert.ok(after.term > before.term);
    // The founder comes back: it finds its job done, and no seat.
    await fleet.startNode('ada');
    assert.equal(outputOf(await client.submit(squaresJob(240, 24, 200_000), { id: 'led-on' }).result()), sumOfSquares(240));
    assert.deepEqual((await untilVoters(client, 3, others)).names.sort(), others);
  });
});
