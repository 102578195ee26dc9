import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeRow, PreferencesHeld } from '@foremesh/node-runtime/contract';
import type { MeshClient } from '@foremesh/node-runtime/sdk';
import { makeCgroup, type RealCgroup } from '../../support/cgroups.ts';
import { skip } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { Fleet } from '../mesh/fleet.ts';
import { coresOf, foremesh, sandboxesOf } from '../mesh/processes.ts';

/** Burns CPU until it is stopped; only on the node that is said, if one is. */
const endless = (labels: string[] = []) => ({
  stages: { burn: { labels, code: { inline: 'export default () => { for (;;); }' } } },
});

describe("the owner's limits", function () {
  this.timeout(180_000);
  let fleet: Fleet;
  let client: MeshClient;
  /** How `foremesh` is told whether it is about the machine itself, or through the mesh. */
  const here = ['--home', ''];
  const mesh = ['--connection', ''];
  const children: ChildProcess[] = [];
  const cgroups: RealCgroup[] = [];
  beforeEach(async () => {
    fleet = await Fleet.start();
    client = await fleet.client();
    here[1] = fleet.home('bob');
    mesh[1] = fleet.connectionString;
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await fleet.stop();
    for (const cgroup of cgroups.splice(0)) await cgroup.remove();
  });

  const cgroupOf = (context: Mocha.Context, limits: Parameters<typeof makeCgroup>[1]): RealCgroup => {
    const cgroup = makeCgroup(`foremesh-test-${process.pid}-bob`, limits);
    if (cgroup === undefined) skip(context, 'no control groups of version 1 can be made here');
    cgroups.push(cgroup);
    return cgroup;
  };
  const start = (...options: string[]) => fleet.startNode('bob', '--labels', 'bob', ...options);
  const rowOf = async (node: string): Promise<NodeRow> =>
    (await client.nodes()).rows.find((row) => row.status.node === node)!;
  const submit = (id: string, ...labels: string[]) => {
    const job = client.submit(endless(labels), { id });
    fleet.later(async () => void (await job.cancel()));
    return job;
  };
  const runs = (count: number, node = 'bob') =>
    until(`${node} runs ${count}`, async () => {
      const { tasks } = await tasksOf();
      return tasks.filter((task) => task.node === node && task.state === 'running').length === count;
    });
  const tasksOf = async () => {
    const { rows } = await client.jobs();
    const jobs = await Promise.all(rows.map(({ job }) => client.job(job)));
    return { tasks: jobs.flatMap(({ tasks }) => tasks) };
  };
  const withheld = (reason: string | undefined) =>
    until(`bob ${reason === undefined ? 'takes work' : `is withheld: ${reason}`}`, async () => {
      const { status } = await rowOf('bob');
      return status.withheld?.reason === reason && (status.slots === 0) === (reason !== undefined);
    });
  const share = async (...words: string[]): Promise<PreferencesHeld> => {
    const { code, stdout, stderr } = await foremesh(...words, '--json');
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as PreferencesHeld;
  };

  const tasksOfBob = () => sandboxesOf(fleet.nodes.get('bob')!.pid).map(({ pid }) => pid);

  it('share: tasks are slowed down to it, live, and what was said on the machine holds against the mesh', async function () {
    const cgroup = cgroupOf(this, { cores: 1 });
    await start('--device-scope', `cgroup:${cgroup.name}`, '--slots', '2', '--share', '100%');
    submit('a', 'bob');
    submit('b', 'bob');
    await runs(2);
    const whole = await coresOf(tasksOfBob);
    assert.ok(whole > 0.5 && whole < 1.1, `all of the scope: ${whole}`);

    assert.equal((await share('share', 'bob', '30%', ...mesh)).holds.share, 0.3);
    const third = await coresOf(tasksOfBob);
    assert.ok(third > 0.2 && third < 0.36, `30 % of one core: ${third}`);
    assert.equal((await rowOf('bob')).status.share, 0.3);

    assert.equal((await share('share', '10%', ...here)).holds.share, 0.1);
    const tenth = await coresOf(tasksOfBob);
    assert.ok(tenth > 0.05 && tenth < 0.15, `10 % of one core: ${tenth}`);
    assert.equal((await share('share', 'bob', '80%', ...mesh)).holds.share, 0.1, 'the machine has the last word');

    await share('share', '100%', ...here);
    const again = await coresOf(tasksOfBob);
    assert.ok(again > 0.5, `80 % of one core: ${again}`);
    // The device's own work goes first.
    const child = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
    children.push(child);
    cgroup.add(child.pid!);
    await until('the own work of the device goes first', async () => (await coresOf(() => [child.pid!], 1_000)) > 0.8);
    assert.equal((await tasksOf()).tasks.length, 2, 'nothing was lost');
  });

  it('pause: what runs goes elsewhere, and counts against nobody; resume: it takes work again', async () => {
    await start('--share', '100%');
    submit('a');
    submit('b');
    await runs(1);
    assert.equal((await share('pause', 'bob', ...mesh)).holds.mode, 'paused');
    await withheld('paused');
    await until('no sandbox of it runs', async () => (await coresOf(tasksOfBob, 300)) < 0.02);
    const { tasks } = await tasksOf();
    assert.deepEqual(tasks.map((task) => [task.state, task.node ?? '', task.problem]).sort(), [
      ['ready', '', undefined],
      ['running', 'ada', undefined],
    ]);
    await share('resume', 'bob', ...mesh);
    await withheld(undefined);
    await runs(1);
  });

  it('pause on the machine itself holds without the mesh, and nobody else can lift it', async () => {
    await start('--share', '100%');
    submit('a', 'bob');
    await runs(1);
    await fleet.broker.kill('SIGKILL');
    const { code, stdout } = await foremesh('pause', ...here);
    assert.equal(code, 0);
    assert.match(stdout, /^this machine: share 100 %; paused$/m);
    await until('nothing of it runs', async () => (await coresOf(tasksOfBob, 300)) < 0.02);
    await fleet.startBroker();
    await withheld('paused');
    assert.match((await rowOf('bob')).status.withheld!.text, /on the machine itself/);
    assert.equal((await share('resume', 'bob', ...mesh)).holds.mode, 'paused');
    const job = await client.job('a');
    assert.match(job.state.problem?.message ?? '', /bob: paused on the machine itself/);
    await share('resume', ...here);
    await withheld(undefined);
    await runs(1);
  });

  it('drain: what runs is finished, what waits goes elsewhere', async () => {
    await start('--share', '100%');
    const count = 'export default () => { let n = 0; for (let i = 0; i < 6e7; i++) n += i % 7; return n; }';
    const spec = { stages: { count: { labels: ['bob'], code: { inline: count } } } };
    const first = client.submit(spec, { id: 'first' });
    await runs(1);
    const second = client.submit(spec, { id: 'second' });
    await share('drain', ...here);
    await withheld('draining');
    const { tasksByNode } = await first.result();
    assert.deepEqual(tasksByNode, { bob: 1 });
    assert.equal((await client.job('first')).tasks[0]!.attempts, 1);
    assert.equal((await client.job('second')).tasks[0]!.state, 'ready');
    await share('resume', ...here);
    assert.deepEqual((await second.result()).tasksByNode, { bob: 1 });
  });

  it('memory: a process of the device takes it, and tasks leave until enough stays available', async function () {
    const cgroup = cgroupOf(this, { cores: 1, memoryBytes: 1024 ** 3 });
    const scope = ['--device-scope', `cgroup:${cgroup.name}`];
    await start(...scope, '--slots', '2', '--share', '100%', '--keep-memory', '500MB');
    submit('a', 'bob');
    submit('b', 'bob');
    await runs(2);
    const eater = spawn(process.execPath, [
      '-e',
      'globalThis.kept = Buffer.alloc(6e8, 1); setInterval(() => {}, 1e6);',
    ]);
    children.push(eater);
    cgroup.add(eater.pid!);
    await withheld('memory');
    await until('its tasks have left', async () => (await coresOf(tasksOfBob, 300)) < 0.02);
    await runs(0);
    eater.kill('SIGKILL');
    await withheld(undefined);
    await runs(2);
  });

  it('hours: outside of them nothing runs', async () => {
    await start('--share', '100%');
    submit('a', 'bob');
    await runs(1);
    const hour = (more: number) => `${String((new Date().getHours() + more) % 24).padStart(2, '0')}:00`;
    await share('share', 'bob', '--hours', `${hour(2)}-${hour(4)}`, ...mesh);
    await withheld('hours');
    await runs(0);
    await share('share', 'bob', '--hours', 'any', ...mesh);
    await withheld(undefined);
    await runs(1);
  });

  it('network: what a task reads passes the budget, and no more is taken, after a restart too', async () => {
    await start('--share', '100%', '--network', '2MB');
    const input = await client.put(randomBytes(3e6));
    const spec = {
      stages: {
        read: { labels: ['bob'], input, code: { inline: 'export default (task) => task.input.bytes().length;' } },
      },
    };
    const read = client.submit(spec, { id: 'read' });
    await withheld('network');
    await fleet.stopNode('bob');
    await start();
    await withheld('network');
    await share('share', 'bob', '--network', 'any', ...mesh);
    await withheld('network'); // it was said on the machine itself, at its start
    await share('share', '--network', 'any', ...here);
    await withheld(undefined);
    assert.deepEqual((await read.result()).outputs?.read, { encoding: 'json', value: 3e6 });
  });

  it('temperature and battery, from recorded files: it slows down and takes no more; below the charge it leaves', async () => {
    const sensors = join(fleet.directory, 'sensors');
    const zone = join(sensors, 'sys/class/thermal/thermal_zone0');
    const battery = join(sensors, 'sys/class/power_supply/BAT0');
    for (const folder of [zone, battery]) await mkdir(folder, { recursive: true });
    await writeFile(join(zone, 'type'), 'cpu-thermal\n');
    await writeFile(join(zone, 'temp'), '51540\n');
    await writeFile(join(battery, 'type'), 'Battery\n');
    await writeFile(join(battery, 'status'), 'Discharging\n');
    await writeFile(join(battery, 'capacity'), '64\n');
    const limits = ['--temperature', '70', '--battery', '30%'];
    await start('--share', '50%', '--sensors', sensors, ...limits);
    submit('a', 'bob');
    await runs(1);
    const cool = await coresOf(tasksOfBob);
    await writeFile(join(zone, 'temp'), '74500\n');
    await withheld('temperature');
    const hot = await coresOf(tasksOfBob);
    assert.ok(hot < cool * 0.7, `${cool} cores cool, ${hot} hot`);
    await writeFile(join(zone, 'temp'), '60000\n');
    await withheld(undefined);
    await runs(1);
    await writeFile(join(battery, 'capacity'), '29\n');
    await withheld('battery');
    await runs(0);
    await writeFile(join(battery, 'status'), 'Charging\n');
    await withheld(undefined);
    await runs(1);
  });

  it('labels: only tasks that ask for one of those of its owner', async () => {
    await start('--share', '100%', '--slots', '2');
    await share('share', 'bob', '--only', 'bob', ...mesh);
    await until('the mesh knows', async () => (await rowOf('bob')).status.onlyLabels?.[0] === 'bob');
    submit('any-1');
    submit('any-2');
    submit('mine', 'bob');
    await runs(1, 'ada');
    await runs(1);
    await share('share', '--only', 'camera', ...here);
    await runs(0);
  });

  it('says what is wrong, and keeps what was said while no node runs', async () => {
    const wrong = await foremesh('share', 'nobody', '50%', ...mesh);
    assert.match(wrong.stderr, /MESH_NODE_UNKNOWN/);
    const usage = await foremesh('share', '150%', ...here);
    assert.equal(usage.code, 2);
    assert.match(usage.stderr, /no share of a machine/);
    const hours = await foremesh('share', '--hours', '25:00-07:00', ...here);
    assert.equal(hours.code, 2);
    await start();
    await fleet.stopNode('bob');
    const { stdout, stderr } = await foremesh('share', '20%', '--hours', 'Mon-Sun 00:00-24:00', ...here);
    assert.match(stdout, /^this machine: share 20 %; only Mon-Sun 00:00-24:00$/m);
    assert.match(stderr, /from its next start/);
    await start();
    await until('it offers so much', async () => (await rowOf('bob')).status.share === 0.2);
    await fleet.stopNode('bob');
    await writeFile(join(fleet.home('bob'), 'preferences.json'), '{"v":1,"device":{"share":2},"mesh":{}}');
    const { code, stderr: said } = await foremesh('node', '--home', fleet.home('bob'));
    assert.equal(code, 2);
    assert.match(said, /preferences\.json: device\.share/);
  });
});
