import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { bodyOf, brokerUrl, decode, type MetricSample, nodeMetrics, Topics } from '@foremesh/node-runtime/contract';
import { connectMqtt } from '@foremesh/node-runtime/shell';
import { Cgroup } from '../../../node-runtime/shell/scope/cgroup.ts';
import { makeCgroup, type RealCgroup } from '../../support/cgroups.ts';
import { skip, skipWithout } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { Fleet } from '../mesh/fleet.ts';

const endless = (label: string) => ({
  stages: { burn: { labels: [label], code: { inline: 'export default () => { for (;;); }' } } },
});

/** Takes all the CPU it is given. */
function burn(): ChildProcess {
  return spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
}

describe('device scopes', function () {
  this.timeout(180_000);
  let fleet: Fleet;
  let samples: Map<string, MetricSample[]>;
  const children: ChildProcess[] = [];
  const cgroups: RealCgroup[] = [];
  beforeEach(async () => {
    fleet = await Fleet.start();
    samples = new Map();
    const { account, password, mesh } = fleet.connection;
    const who = { url: brokerUrl(fleet.connection), clientId: 'watcher', username: account, password };
    const transport = await connectMqtt(who);
    fleet.later(() => transport.close());
    transport.listen((_topic, payload) => {
      const { node, samples: more } = decode(nodeMetrics, bodyOf(payload));
      samples.set(node, [...(samples.get(node) ?? []), ...more]);
    });
    const topics = new Topics(mesh);
    await transport.subscribe([topics.nodeMetrics('bob'), topics.nodeMetrics('cyd')], 0);
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await fleet.stop();
    for (const cgroup of cgroups.splice(0)) await cgroup.remove();
  });

  /** The samples of both nodes from now on, once each has given as many; the first may still hold what was before. */
  async function next(count: number): Promise<{ bob: MetricSample[]; cyd: MetricSample[] }> {
    samples.clear();
    const of = (node: string) => (samples.get(node) ?? []).slice(1, count + 1);
    await until('both nodes have measured', () => of('bob').length >= count && of('cyd').length >= count, 60_000);
    return { bob: of('bob'), cyd: of('cyd') };
  }

  /** Has both run a task that takes all it is given. */
  async function occupy(): Promise<void> {
    const client = await fleet.client();
    const jobs = ['bob', 'cyd'].map((name) => client.submit(endless(name), { id: `burn-${name}` }));
    fleet.later(async () => void (await Promise.all(jobs.map((job) => job.cancel()))));
    const running = async () => (await client.nodes()).rows.filter((row) => row.running > 0).length === 2;
    await until('both run a task', running);
  }

  it('of control groups: two nodes are two devices, each with its quota and its own work', async function () {
    for (const name of ['bob', 'cyd']) {
      const cgroup = makeCgroup(`foremesh-test-${process.pid}-${name}`, { cores: 0.5, memoryBytes: 2 * 1024 ** 3 });
      if (cgroup === undefined) skip(this, 'no control groups of version 1 can be made here');
      cgroups.push(cgroup);
      await fleet.startNode(name, '--device-scope', `cgroup:${cgroup.name}`, '--share', '100%', '--labels', name);
    }
    const { rows } = await (await fleet.client()).nodes();
    for (const { status } of rows.filter((row) => row.status.node !== 'ada')) {
      assert.equal(status.cores, 0.5);
      assert.equal(status.memoryBytes, 2 * 1024 ** 3);
      assert.equal(status.slots, 1);
    }
    await occupy();
    const quiet = await next(2);
    for (const each of [...quiet.bob, ...quiet.cyd]) {
      assert.ok(each.cpuShare > 0.5, `the task takes its device: ${JSON.stringify(quiet)}`);
      assert.ok(each.cpuBackgroundShare < 0.25, `the task is not counted: ${JSON.stringify(quiet)}`);
    }
    const child = burn();
    children.push(child);
    cgroups[0]!.add(child.pid!);
    const busy = await next(2);
    // It wants all, and is not taken for work that wants the half that a task leaves it.
    for (const each of busy.bob) assert.ok(each.cpuBackgroundShare > 0.7, JSON.stringify(busy));
    for (const each of busy.cyd) assert.ok(each.cpuBackgroundShare < 0.25, JSON.stringify(busy));
    for (const each of samples.get('cyd')!) assert.ok(each.memoryAvailableBytes < 2 * 1024 ** 3);
  });

  it('of processors: two nodes are two devices, each with its own', async function () {
    skipWithout(this, 'taskset', 'util-linux');
    if (availableParallelism() < 2) skip(this, 'there is one processor here');
    for (const [cpu, name] of ['bob', 'cyd'].entries())
      await fleet.startNode(name, '--device-scope', `cpus:${cpu}`, '--share', '100%', '--labels', name);
    await occupy();
    const child = burn();
    children.push(child);
    // Whatever else this machine does: where the process is, there is more of it.
    for (const [cpu, busy, other] of [
      ['0', 'bob', 'cyd'],
      ['1', 'cyd', 'bob'],
    ] as const) {
      execFileSync('taskset', ['-a', '-p', '-c', cpu, String(child.pid)], { stdio: 'ignore' });
      await until(
        `${busy} has more work of its own than ${other}`,
        async () => {
          const measured = await next(1);
          const [mine, others] = [measured[busy][0]!, measured[other][0]!];
          for (const each of [mine, others])
            assert.ok(
              each.cpuBackgroundShare < each.cpuShare - 0.02,
              `the task is not counted: ${JSON.stringify(each)}`,
            );
          return mine.cpuBackgroundShare > others.cpuBackgroundShare + 0.2;
        },
        90_000,
      );
    }
  });

  it('of a real group of version 2, where this system has one', async function () {
    const mount = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((each) => existsSync(`${each}/cgroup.controllers`));
    const name = `foremesh-test-${process.pid}-v2`;
    if (mount === undefined) skip(this, 'no control groups of version 2 are mounted here');
    try {
      mkdirSync(`${mount}/${name}`);
    } catch (error) {
      skip(this, `no control group can be made here: ${(error as Error).message}`);
    }
    try {
      const cgroup = await Cgroup.find(name);
      assert.equal(cgroup.version, 2);
      const child = burn();
      children.push(child);
      writeFileSync(`${mount}/${name}/cgroup.procs`, String(child.pid));
      await until('it has counted what the process took', async () => (await cgroup.read()).cpuMs > 200);
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('close', resolve));
    } finally {
      rmdirSync(`${mount}/${name}`);
    }
  });
});
