import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { bodyOf, brokerUrl, decode, nodeMetrics, Topics } from '@foremesh/node-runtime/contract';
import { connectMqtt } from '@foremesh/node-runtime/shell';
import { until } from '../../support/until.ts';
import { Fleet } from '../mesh/fleet.ts';
import { sandboxesOf } from '../mesh/processes.ts';

/** Burns CPU until it is cancelled. */
const endless = { stages: { burn: { code: { inline: 'export default () => { for (;;); }' } } } };

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

describe('a node as a good citizen', function () {
  this.timeout(120_000);
  let fleet: Fleet;
  beforeEach(async () => {
    fleet = await Fleet.start();
  });
  afterEach(() => fleet.stop());

  it('keeps its heartbeats, and does not count its tasks as background, while they take every core', async () => {
    await fleet.startNode('bob', '--slots', '4', '--share', '100%');
    const { account, password, mesh } = fleet.connection;
    const topics = new Topics(mesh);
    const transport = await connectMqtt({
      url: brokerUrl(fleet.connection),
      clientId: 'watcher',
      username: account,
      password,
    });
    const beats: { seq: number; cpuShare: number; background: number }[] = [];
    transport.listen((_topic, payload) => {
      const { seq, samples } = decode(nodeMetrics, bodyOf(payload));
      for (const sample of samples)
        beats.push({ seq, cpuShare: sample.cpuShare, background: sample.cpuBackgroundShare });
    });
    await transport.subscribe([topics.nodeMetrics('bob')], 0);
    const client = await fleet.client();
    const jobs = ['burn-1', 'burn-2', 'burn-3', 'burn-4', 'burn-5'].map((id) => client.submit(endless, { id }));
    await until(
      'every slot is taken',
      async () => (await client.nodes()).rows.reduce((sum, row) => sum + row.running, 0) === 5,
    );
    const begin = beats.length;
    await until('three heartbeats have come under load', () => beats.length >= begin + 3);
    const under = beats.slice(begin + 1);
    for (const { cpuShare, background } of under) assert.ok(background < cpuShare - 0.05, JSON.stringify(under));
    const { rows } = await client.nodes();
    assert.ok(
      rows.every((row) => row.status.online),
      'nobody was given up',
    );
    await Promise.all(jobs.map((job) => job.cancel()));
    await transport.close();
  });

  it('runs tasks at low priority, in processes that are gone when it is idle', async () => {
    const client = await fleet.client();
    const job = client.submit(endless, { id: 'burn' });
    const ada = fleet.nodes.get('ada')!.pid;
    const [sandbox] = await until('a sandbox runs', () => {
      const found = sandboxesOf(ada);
      return found.length > 0 && found[0]!.nice >= 10 ? found : undefined;
    });
    await job.cancel();
    await until('the pool is empty', () => sandboxesOf(ada).length === 0, 40_000);
    assert.equal(isAlive(sandbox!.pid), false);
  });

  it('leaves no sandbox behind when it is killed', async () => {
    const client = await fleet.client();
    client.submit(endless, { id: 'burn' });
    const ada = fleet.nodes.get('ada')!;
    const sandboxes = await until('a sandbox runs', () => {
      const found = sandboxesOf(ada.pid);
      return found.length > 0 ? found : undefined;
    });
    await ada.kill('SIGKILL');
    await until('its sandboxes have ended', () => sandboxes.every(({ pid }) => !isAlive(pid)));
    await fleet.startNode('ada');
    await (await fleet.client()).follow('burn').cancel();
  });
});
