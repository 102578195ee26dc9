import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { JobSpecInput } from '@foremesh/node-runtime/contract';
import type { MeshClient } from '@foremesh/node-runtime/sdk';
import { makeCgroup, type RealCgroup } from '../../support/cgroups.ts';
import { skip } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { Fleet } from '../mesh/fleet.ts';

const cores = 0.4;
const steps = 60;
const stepLength = 4e6;

/** What the task below computes, by this process. */
function expected(): number {
  let value = 7;
  for (let step = 0; step < steps; step += 1)
    for (let i = 0; i < stepLength; i += 1) value = (value * 31 + i) % 1_000_003;
  return value;
}
const compute = `export default (task) => {
  let value = 7;
  for (let step = 0; step < ${steps}; step += 1) {
    for (let i = 0; i < ${stepLength}; i += 1) value = (value * 31 + i) % 1000003;
    task.progress((step + 1) / ${steps + 1});
  }
  return value;
}`;
/** Says that it is nearly done, and then goes on for ever. */
const lingering = 'export default (task) => { task.progress(0.9); for (;;); }';
const specOf = (inline: string, label: string): JobSpecInput => ({
  stages: { main: { labels: [label], estimate: '300s', limits: { memoryMiB: 64 }, code: { inline } } },
});

describe('moves, with real devices that become busy', function () {
  this.timeout(300_000);
  let fleet: Fleet;
  let client: MeshClient;
  const cgroups = new Map<string, RealCgroup>();
  before(function () {
    for (const name of ['bob', 'cyd', 'dan']) {
      const cgroup = makeCgroup(`foremesh-test-${process.pid}-${name}`, { cores });
      if (cgroup === undefined) skip(this, 'no control groups of version 1 can be made here');
      cgroups.set(name, cgroup);
    }
  });
  beforeEach(async () => {
    fleet = await Fleet.start();
    client = await fleet.client();
  });
  afterEach(() => fleet.stop());
  after(async () => {
    for (const cgroup of cgroups.values()) await cgroup.remove();
  });

  const start = (name: string, label: string) =>
    fleet.startNode(name, '--device-scope', `cgroup:${cgroups.get(name)!.name}`, '--labels', label, '--share', '100%');

  const submit = async (id: string, spec: JobSpecInput) => {
    const job = client.submit(spec, { id });
    fleet.later(async () => void (await job.cancel()));
    await job.accepted();
    return job;
  };
  const taskOf = async (id: string) => (await client.job(id)).tasks[0]!;
  const runs = (id: string, progressLeast = 0, node?: string) =>
    until(
      `${id} runs${node === undefined ? '' : ` on ${node}`}`,
      async () => {
        const task = await taskOf(id);
        if (task.state !== 'running' || task.progress < progressLeast) return false;
        return node === undefined || task.node === node;
      },
      60_000,
    );

  /** The device's own work, of a process that is not ours: all the CPU that its scope has, once it is woken. */
  async function bringWork(name: string): Promise<() => void> {
    const file = fileURLToPath(new URL('busy-process.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', file, '1e9', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    fleet.later(async () => {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    });
    await once(child.stdout, 'data');
    child.kill('SIGSTOP');
    cgroups.get(name)!.add(child.pid!);
    return () => void child.kill('SIGCONT');
  }

  it('begin a task elsewhere when its device becomes busy early on, with the right result, and say why', async () => {
    const devices = ['bob', 'cyd'];
    const wake = new Map<string, () => void>();
    for (const name of devices) {
      await start(name, 'work');
      wake.set(name, await bringWork(name));
    }
    const job = await submit('early', specOf(compute, 'work'));
    await runs('early');
    const from = (await taskOf('early')).node!;
    const to = devices.find((name) => name !== from)!;
    wake.get(from)!();
    await runs('early', 0, to);
    const { move, text } = await client.why('main-0', 'early');
    assert.equal(text, `runs on ${to}`);
    assert.deepEqual([move?.decision, move?.from], ['moved', from]);
    const [way] = move!.alternatives;
    assert.deepEqual([way!.kind, way!.to], ['restart', [to]]);
    assert.ok(way!.gainSeconds > way!.chargeSeconds, JSON.stringify(way));
    const result = await job.result();
    assert.deepEqual(result.outputs?.main, { encoding: 'json', value: expected() });
    assert.deepEqual(job.state?.moves, { restart: 1 });
  });

  it('leave a task that is nearly done where it is, and say that it would not pay', async () => {
    await start('dan', 'work');
    const wake = await bringWork('dan');
    await submit('late', specOf(lingering, 'work'));
    await runs('late', 0.9);
    await start('cyd', 'work');
    wake();
    await until(
      'the leader has found that it would not pay',
      async () =>
        (await client.why('main-0', 'late')).move?.text === 'dan is busy; no move would gain more than it costs',
      60_000,
    );
    assert.equal((await taskOf('late')).attempts, 1);
  });
});
