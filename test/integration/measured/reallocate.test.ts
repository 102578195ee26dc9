import assert from 'node:assert/strict';
import type { Allocation, JobSpecInput } from '@foremesh/node-runtime/contract';
import type { MeshClient } from '@foremesh/node-runtime/sdk';
import { makeCgroup, type RealCgroup } from '../../support/cgroups.ts';
import { skip } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { meshError } from '../../unit/shell/scratch.ts';
import { Fleet } from '../mesh/fleet.ts';
import { coresOf, sandboxesOf } from '../mesh/processes.ts';

const mib = 1024 ** 2;
const specOf = (inline: string): JobSpecInput => ({
  stages: { main: { labels: ['bob'], retries: 0, limits: { memoryMiB: 64 }, code: { inline } } },
});
const endless = specOf('export default () => { for (;;); }');

describe('reallocate', function () {
  this.timeout(120_000);
  let fleet: Fleet;
  let client: MeshClient;
  const cgroups: RealCgroup[] = [];
  beforeEach(async () => {
    fleet = await Fleet.start();
    client = await fleet.client();
    await fleet.startNode('bob', '--labels', 'bob', '--share', '100%', '--slots', '2');
  });
  afterEach(async () => {
    await fleet.stop();
    for (const cgroup of cgroups.splice(0)) await cgroup.remove();
  });

  const submit = async (id: string, spec: JobSpecInput) => {
    const job = client.submit(spec, { id });
    fleet.later(async () => void (await job.cancel()));
    await job.accepted();
    return job;
  };
  const taskOf = async (id: string) => (await client.job(id)).tasks[0]!;
  const give = async (id: string, allocation: Allocation) => client.reallocate(id, (await taskOf(id)).task, allocation);
  const runs = (id: string, attempts = 1) =>
    until(`${id} runs`, async () => {
      const task = await taskOf(id);
      return task.state === 'running' && task.attempts === attempts;
    });
  const cores = () => coresOf(() => sandboxesOf(fleet.nodes.get('bob')!.pid).map(({ pid }) => pid));

  it('gives a running task another share of a core, measured, without a new attempt', async function () {
    const cgroup = makeCgroup(`foremesh-test-${process.pid}-cyd`, { cores: 1 });
    if (cgroup === undefined) skip(this, 'no control groups of version 1 can be made here');
    cgroups.push(cgroup);
    await fleet.stopNode('bob');
    await fleet.startNode('bob', '--device-scope', `cgroup:${cgroup.name}`, '--labels', 'bob', '--share', '100%');
    await submit('burn', endless);
    await runs('burn');
    assert.deepEqual(await give('burn', { cpuShare: 0.25 }), {
      cpuShare: 0.25,
      memoryBytes: 64 * mib,
      slots: 1,
    });
    const quarter = await cores();
    assert.ok(quarter > 0.12 && quarter < 0.31, `a quarter of a core: ${quarter}`);
    assert.equal((await give('burn', { cpuShare: 1 })).cpuShare, 1);
    const whole = await cores();
    assert.ok(whole > 0.4, `a whole core: ${whole}`);
    assert.equal((await taskOf('burn')).attempts, 1);
  });

  it('gives it more memory than it began with, which it can use', async () => {
    // Grows when it may, a step each half second, and says how far it came.
    const grow = `export default async (task) => {
      const kept = [];
      for (;;) {
        for (let i = 0; i < 3e6; i++);
        if (kept.length < 24) kept.push(new Uint8Array(4 * 1024 * 1024).fill(1));
        else return kept.length;
        task.progress(kept.length / 25);
      }
    }`;
    const small = await submit('small', specOf(grow));
    assert.equal((await small.result()).problem?.code, 'MESH_TASK_MEMORY');
    const large = await submit('large', specOf(grow));
    await runs('large');
    assert.equal((await give('large', { memoryBytes: 128 * mib })).memoryBytes, 128 * mib);
    assert.deepEqual((await large.result()).outputs?.main, { encoding: 'json', value: 24 });
    const { tasks } = await client.job('large');
    assert.equal(tasks[0]!.attempts, 1);
  });

  it('takes memory from it: it is given back, and begins anew with what its spec says, no failure of its own', async () => {
    const hold = `export default () => {
      const kept = new Uint8Array(24 * 1024 * 1024).fill(1);
      for (;;) kept[0]++;
    }`;
    await submit('hold', specOf(hold));
    await runs('hold');
    await give('hold', { memoryBytes: 8 * mib });
    await runs('hold', 2);
    assert.equal((await taskOf('hold')).problem, undefined);
  });

  it('gives it both slots: what comes waits; with one again it starts', async () => {
    await submit('wide', endless);
    await runs('wide');
    assert.equal((await give('wide', { slots: 2 })).slots, 2);
    await submit('next', endless);
    await until('the next is at the node', async () => (await taskOf('next')).state === 'assigned');
    assert.equal(sandboxesOf(fleet.nodes.get('bob')!.pid).length, 1);
    await give('wide', { slots: 1 });
    await runs('next');
  });

  it('says what cannot be had', async () => {
    await assert.rejects(client.reallocate('none', 'main-0', { cpuShare: 0.5 }), meshError('MESH_TASK_NOT_RUNNING'));
    await submit('burn', endless);
    await runs('burn');
    await assert.rejects(give('burn', { slots: 3 }), meshError('MESH_NODE_FULL'));
    const tooMuch = give('burn', { memoryBytes: 512 * mib });
    await assert.rejects(tooMuch, meshError('MESH_LIMIT_EXCEEDED', 'memoryRaiseMost'));
  });
});
