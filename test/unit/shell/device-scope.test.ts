import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { MeshError } from '../../../node-runtime/contract/index.ts';
import { parseCpuTimes } from '../../../node-runtime/shell/machine.ts';
import { Cgroup } from '../../../node-runtime/shell/scope/cgroup.ts';
import { parseCpuList } from '../../../node-runtime/shell/scope/cpu-list.ts';
import { openDeviceScope } from '../../../node-runtime/shell/scope/device-scope.ts';
import { endAll, meshError, scratch } from './scratch.ts';

const mounts1 = `tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
`;
const mounts2 = 'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot 0 0\n';

/** As `memory.stat` says it, shortened. */
const memoryStat = 'anon 104857600\nfile 209715200\ninactive_file 157286400\nactive_file 52428800\n';

async function tree(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await scratch();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  return root;
}

/** A Raspberry Pi OS of today, with a unit that was given half a core and 512 MiB by systemd. */
function version2(more: Readonly<Record<string, string>> = {}): Promise<string> {
  const group = 'sys/fs/cgroup/edge.slice/a';
  return tree({
    'proc/self/mounts': mounts2,
    'proc/self/cgroup': '0::/user.slice/user-1000.slice/session-1.scope\n',
    [`${group}/cgroup.procs`]: '812\n813\n',
    [`${group}/cpu.stat`]:
      'usage_usec 12345678\nuser_usec 10000000\nsystem_usec 2345678\nnr_periods 0\nnr_throttled 0\n',
    [`${group}/cpu.max`]: '50000 100000\n',
    [`${group}/cpuset.cpus.effective`]: '0-3\n',
    [`${group}/memory.max`]: 'max\n',
    [`${group}/memory.current`]: '314572800\n',
    [`${group}/memory.stat`]: memoryStat,
    'sys/fs/cgroup/edge.slice/memory.max': '536870912\n',
    'sys/fs/cgroup/edge.slice/cpu.max': 'max 100000\n',
    ...more,
  });
}

describe('Cgroup', () => {
  afterEach(endAll);

  it('reads version 2: quota, the limit of the slice above, what is used less what the kernel would give back', async () => {
    const cgroup = await Cgroup.find('edge.slice/a', await version2());
    assert.equal(cgroup.version, 2);
    assert.deepEqual(await cgroup.capacity(), { cores: 0.5, memoryBytes: 536_870_912 });
    assert.deepEqual(await cgroup.read(), { cpuMs: 12_345.678, memoryUsedBytes: 157_286_400 });
  });

  it('takes the cpuset of version 2 when there is no quota, and does without controllers that are not enabled', async () => {
    const group = 'sys/fs/cgroup/edge.slice/a';
    const free = await Cgroup.find('edge.slice/a', await version2({ [`${group}/cpu.max`]: 'max 100000\n' }));
    assert.equal((await free.capacity()).cores, 4);
    const bare = await tree({
      'proc/self/mounts': mounts2,
      'proc/self/cgroup': '0::/\n',
      [`${group}/cgroup.procs`]: '',
      [`${group}/cpu.stat`]: 'usage_usec 5000\nuser_usec 5000\nsystem_usec 0\n',
    });
    const counted = await Cgroup.find('edge.slice/a', bare);
    assert.deepEqual(await counted.capacity(), {});
    assert.deepEqual(await counted.read(), { cpuMs: 5 });
  });

  it('reads version 1, whose controllers have directories of their own, below the cgroup of this process first', async () => {
    const cpu = 'sys/fs/cgroup/cpu,cpuacct/docker/77/a';
    const memory = 'sys/fs/cgroup/memory/docker/77/a';
    const files = {
      'proc/self/mounts': mounts1,
      'proc/self/cgroup': '4:memory:/docker/77\n3:cpuset:/\n2:cpu,cpuacct:/docker/77\n1:name=systemd:/x\n0::/\n',
      [`${cpu}/cgroup.procs`]: '',
      [`${cpu}/cpuacct.usage`]: '7000000000\n',
      [`${cpu}/cpu.cfs_quota_us`]: '150000\n',
      [`${cpu}/cpu.cfs_period_us`]: '100000\n',
      'sys/fs/cgroup/cpu,cpuacct/a/cgroup.procs': '',
      [`${memory}/cgroup.procs`]: '',
      [`${memory}/memory.limit_in_bytes`]: '9223372036854771712\n',
      [`${memory}/memory.usage_in_bytes`]: '300\n',
      [`${memory}/memory.stat`]: 'inactive_file 1\ntotal_inactive_file 100\n',
    };
    const cgroup = await Cgroup.find('a', await tree(files));
    assert.equal(cgroup.version, 1);
    assert.deepEqual(await cgroup.capacity(), { cores: 1.5 });
    assert.deepEqual(await cgroup.read(), { cpuMs: 7_000, memoryUsedBytes: 200 });
    files[`${cpu}/cpu.cfs_quota_us`] = '-1\n';
    assert.deepEqual(await (await Cgroup.find('a', await tree(files))).capacity(), {});
  });

  it('says where it looked, and what would make it', async () => {
    await assert.rejects(Cgroup.find('edge.slice/b', await version2()), (error: MeshError) => {
      assert.equal(error.code, 'MESH_CONFIG_INVALID');
      assert.match(error.where!, /session-1\.scope\/edge\.slice\/b, .*sys\/fs\/cgroup\/edge\.slice\/b$/);
      assert.match(error.mend!, /^make it: mkdir .*\/sys\/fs\/cgroup\/edge\.slice\/b$/);
      return true;
    });
    for (const name of ['../b', '/b', 'a//b', '', 'a b'])
      await assert.rejects(Cgroup.find(name, await version2()), meshError('MESH_CONFIG_INVALID'));
    const nothing = await tree({ 'proc/self/mounts': 'proc /proc proc rw 0 0\n' });
    await assert.rejects(Cgroup.find('a', nothing), /no cgroup/);
  });
});

describe('openDeviceScope', () => {
  afterEach(endAll);

  it('is the whole machine unless said otherwise', async () => {
    const { cores, machine } = await openDeviceScope(undefined);
    assert.equal(cores, availableParallelism());
    assert.ok((await machine.read()).cpuTotalMs > 0);
  });

  it('offers and measures what is in the cgroup, and leaves the network to the machine', async () => {
    const group = 'sys/fs/cgroup/edge.slice/a';
    const root = await version2();
    const { cores, memoryBytes, machine } = await openDeviceScope('cgroup:edge.slice/a', root);
    assert.equal(cores, 0.5);
    assert.equal(memoryBytes, 536_870_912);
    const times = [performance.now()];
    const before = await machine.read();
    times.push(performance.now());
    assert.equal(before.memoryAvailableBytes, 536_870_912 - 157_286_400);
    await writeFile(join(root, `${group}/cpu.stat`), 'usage_usec 12445678\n');
    times.push(performance.now());
    const after = await machine.read();
    times.push(performance.now());
    assert.ok(Math.abs(after.cpuBusyMs - before.cpuBusyMs - 100) < 0.01);
    // Half a core for as long as it was between the two looks.
    const totalMs = after.cpuTotalMs - before.cpuTotalMs;
    assert.ok(totalMs >= (times[2]! - times[1]!) / 2 - 0.01, `${totalMs} of ${times}`);
    assert.ok(totalMs <= (times[3]! - times[0]!) / 2 + 0.01, `${totalMs} of ${times}`);
  });

  it('refuses what is no scope, or names processors that are not there', async () => {
    for (const text of ['cpu:0', 'cpus:', 'cpus:0-', 'cpus:3-1', 'cpus:9999', 'group:a'])
      await assert.rejects(openDeviceScope(text), meshError('MESH_CONFIG_INVALID'), text);
  });

  it('reads lists of processors as the kernel writes them', () => {
    assert.deepEqual(parseCpuList('0-2,5\n'), [0, 1, 2, 5]);
    assert.deepEqual(parseCpuList('3,1,1'), [1, 3]);
    assert.equal(parseCpuList(''), undefined);
  });

  it('counts the listed processors alone', () => {
    const stat =
      'cpu  9 9 9 9\ncpu0 100 0 50 800 50 0 0 0 0 0\ncpu1 1 0 0 9 0 0 0 0 0 0\ncpu10 5 0 5 0 0 0 0 0 0 0\nintr 1\n';
    assert.deepEqual(parseCpuTimes(stat, [0, 10]), { cpuBusyMs: 1_600, cpuTotalMs: 10_100 });
    assert.throws(() => parseCpuTimes(stat, [2]), /no cpu2/);
  });
});
