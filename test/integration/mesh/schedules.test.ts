import assert from 'node:assert/strict';
import type { JobState } from '@foremesh/node-runtime/contract';
import { until } from '../../support/until.ts';
import { Fleet } from './fleet.ts';
import { foremesh } from './processes.ts';

describe('schedules of a mesh of real processes', function () {
  this.timeout(120_000);
  let fleet: Fleet;
  before(async () => {
    fleet = await Fleet.start('--profile', 'lan');
  });
  after(() => fleet.stop());

  it('start each occurrence once, though the leader is killed while they are due; then a cancel ends them', async () => {
    const client = await fleet.client();
    await Promise.all(['bob', 'cyd'].map((name) => fleet.startNode(name)));
    await client.setVoters({ count: 3, settleMs: 500, replaceAfterMs: 60_000 });
    await until(
      'three vote',
      async () => (await client.voters()).voters.filter(({ role }) => role !== 'joining').length === 3,
      60_000,
    );
    const code = { inline: 'export default () => 7' };
    const handle = client.submit({ schedule: '*/2 * * * * *', stages: { main: { code } } }, { id: 'often' });
    assert.equal((await handle.accepted()).phase, 'scheduled');
    const occurrences = async (): Promise<JobState[]> => {
      const { rows } = await client.jobs();
      return rows.filter(({ occurrence }) => occurrence?.schedule === 'often');
    };
    await until(
      'two have ended',
      async () => (await occurrences()).filter(({ phase }) => phase === 'done').length >= 2,
      30_000,
    );
    const before = (await occurrences()).length;
    await fleet.nodes.get('ada')!.kill('SIGKILL');
    fleet.nodes.delete('ada');
    const killedMs = Date.now();
    // Those that were due while nobody led come too: late by less than a minute, none is left out.
    await until(
      'four more have come',
      async () => {
        const all = await occurrences().catch(() => []);
        return all.length >= before + 4 && all.some(({ occurrence }) => occurrence!.atMs > killedMs + 6_000);
      },
      60_000,
    );
    const state = await handle.cancel('enough');
    assert.equal(state.phase, 'cancelled');
    const times = await until(
      'all have ended',
      async () => {
        const all = await occurrences();
        if (!all.every(({ phase }) => phase === 'done')) return undefined;
        return all.map(({ occurrence }) => occurrence!.atMs).sort((a, b) => a - b);
      },
      30_000,
    );
    // No gap, and none twice.
    assert.deepEqual(
      times,
      times.map((_, index) => times[0]! + 2_000 * index),
    );
    assert.equal(state.schedule!.started, times.length);
    assert.equal(state.schedule!.skipped, 0);
    const shown = await foremesh('job', 'often', '--connection', fleet.connectionString);
    assert.match(shown.stdout, /schedule \*\/2 \* \* \* \* \* \(UTC\), catch up none, overlap allow/);
  });
});
