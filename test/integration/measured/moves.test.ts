import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JobSpecInput } from '@foremesh/node-runtime/contract';
import type { MeshClient } from '@foremesh/node-runtime/sdk';
import { History } from '../../../node-runtime/shell/history/history.ts';
import { makeCgroup, type RealCgroup } from '../../support/cgroups.ts';
import { skip } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { Fleet } from '../mesh/fleet.ts';
import { foremesh } from '../mesh/processes.ts';

const cores = 0.4;
const steps = 40;
const stepLength = 1e6;

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

/** So short that some are sent to a node before it has a slot for them. */
const shortTasks = 40;
const double = `export default (task) => {
  let value = 0;
  for (let i = 0; i < 1e5; i += 1) value = (value + i) % 1000003;
  return task.parameters.number * 2 + value * 0;
}`;
const sum = 'export default (task) => task.needs.double.reduce((sum, value) => sum + value, 0)';

const lines = Array.from({ length: 40 }, (_, number) => `line ${number}`);
/** Gives back what it reads, line by line, the slow way. */
const slowEcho = `export default async (task) => {
  const read = [];
  for await (const line of task.input) {
    for (let i = 0; i < 1e7; i += 1);
    read.push(line);
    task.progress(read.length / (task.parameters.lines + 1));
  }
  return read;
}`;
const flatten = 'export default (task) => task.parts.flat()';

/** A device that is busy for so long, and idle for as long, as it remembers; by its history it is busy again in so long. */
const halfMs = 20 * 60_000;
const busyInMs = 2 * 60_000;
const periods = 8;

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

  /** The share of its CPU that a device's own work takes, as its leader has heard it last. */
  const ownOf = async (name: string) => {
    const { rows } = await client.nodes();
    return rows.find(({ status }) => status.node === name)?.latest?.cpuBackgroundShare ?? 0;
  };

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

  it('take back what waits at a device that has become busy, and say why', async () => {
    await start('bob', 'work,bob');
    await start('cyd', 'work');
    const wake = await bringWork('bob');
    await submit('long', specOf('export default () => { for (;;); }', 'bob'));
    await runs('long', 0, 'bob');
    wake();
    await until('it is measured that bob is busy', async () => (await ownOf('bob')) > 0.5, 60_000);
    const numbers = Array.from({ length: shortTasks }, (_, number) => number);
    const limits = { memoryMiB: 64 };
    const job = await submit('short', {
      stages: {
        double: { labels: ['work'], limits, matrix: { number: numbers }, code: { inline: double } },
        // Nobody can take it yet: so the job is open for as long as we look at it.
        sum: { labels: ['dan'], limits, needs: ['double'], code: { inline: sum } },
      },
    });
    await until('what waited there went elsewhere', () => (job.state?.moves?.reassign ?? 0) > 0, 120_000);
    const { tasks } = await client.job('short');
    const answers = await Promise.all(tasks.map(({ task }) => client.why(task, 'short')));
    const move = answers.find((answer) => answer.move?.decision === 'moved')?.move;
    assert.deepEqual([move?.from, move?.text], ['bob', 'bob is busy']);
    assert.deepEqual([move?.alternatives[0]?.kind, move?.alternatives[0]?.to], ['reassign', ['cyd']]);
    await start('dan', 'dan');
    const { outputs } = await job.result();
    assert.deepEqual(outputs?.sum, { encoding: 'json', value: numbers.reduce((all, number) => all + 2 * number, 0) });
  });

  it('split what runs on a device that becomes busy anew, for two others, with every line once', async () => {
    const others = ['cyd', 'dan'];
    for (const name of ['bob', ...others]) await start(name, 'work');
    const wake = await bringWork('bob');
    const setAll = (mode: 'paused' | null) => Promise.all(others.map((name) => client.setPreferences(name, { mode })));
    await setAll('paused');
    const offering = async () => (await client.nodes()).rows.filter(({ status }) => status.slots > 0).length;
    await until('bob is alone', async () => (await offering()) === 2);
    const job = await submit('lines', {
      stages: {
        main: {
          labels: ['work'],
          // So wrong that all of it is one piece.
          estimate: '0.01s',
          limits: { memoryMiB: 64 },
          input: { inline: lines.map((line) => `${line}\n`).join('') },
          split: { by: 'lines' },
          parameters: { lines: lines.length },
          code: { inline: slowEcho },
          merge: { inline: flatten },
        },
      },
    });
    await until(
      'bob has begun',
      async () => (await client.job('lines')).tasks.some(({ progress }) => progress > 0),
      60_000,
    );
    assert.equal((await client.job('lines')).tasks.filter(({ state }) => state !== 'waiting').length, 1, 'one piece');
    await setAll(null);
    await until('both others are there', async () => (await offering()) === 4);
    wake();
    await until('it was split anew', () => job.state?.moves?.resplit === 1, 120_000);
    const old = await client.why('main-0', 'lines');
    const [, first, second] = /^its records were split anew: they are in (main-\d+), (main-\d+)$/.exec(old.text) ?? [];
    assert.equal(old.reason, 'cancelled');
    for (const part of [first!, second!]) {
      const { move } = await client.why(part, 'lines');
      assert.deepEqual([move?.decision, move?.from, move?.alternatives[0]?.kind], ['moved', 'bob', 'resplit']);
      assert.match(move!.text, /^bob is (busy|late)$/);
    }
    const result = await job.result();
    assert.deepEqual(result.outputs?.main, { encoding: 'json', value: lines });
    assert.equal(job.state?.moves?.resplit, 1);
  });

  it('leave a device that is idle because it will be busy, by what it remembers', async () => {
    await remember('bob');
    await start('bob', 'work');
    // Its author asks for an early end alone: that bob will be needed by its owner is no reason to wait.
    const weights = { contention: 0 };
    await submit('foreseen', { ...specOf('export default () => { for (;;); }', 'work'), weights });
    await runs('foreseen', 0, 'bob');
    await start('cyd', 'work');
    await runs('foreseen', 0, 'cyd');
    const { move } = await client.why('main-0', 'foreseen');
    assert.deepEqual([move?.decision, move?.from, move?.alternatives[0]?.kind], ['moved', 'bob', 'restart']);
    const [, seconds] = /^bob will be busy in (\d+) s$/.exec(move!.text) ?? assert.fail(move!.text);
    assert.ok(Number(seconds) > 0 && Number(seconds) <= busyInMs / 1_000 + 60, seconds);
    const own = await ownOf('bob');
    assert.ok(own < 0.3, `it is idle still: ${own}`);
    const said = await foremesh('why', 'foreseen/main-0', '--home', fleet.home('ada'));
    assert.match(said.stdout, /moved from bob .*bob will be busy in \d+ s/);
  });

  /** What the node finds on its disk when it starts: its device was busy and idle in turn. */
  async function remember(name: string): Promise<void> {
    const directory = join(fleet.home(name), 'node', 'history');
    const sampleIntervalMs = 5_000;
    const history = await History.open({ directory, sampleIntervalMs, onProblem: (text) => assert.fail(text) });
    const nowMs = Date.now();
    const forMs = 2 * halfMs * periods;
    const cpuOf = (wallMs: number) => (Math.floor((wallMs - nowMs - busyInMs) / halfMs) % 2 === 0 ? 0.95 : 0.02);
    for (let atMs = 0; atMs < forMs; atMs += sampleIntervalMs) {
      const wallMs = nowMs - forMs + atMs;
      const cpuBackgroundShare = cpuOf(wallMs);
      const memory = { memoryAvailableBytes: 2 ** 30, memoryMeshBytes: 0 };
      const network = { networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 };
      history.add({ atMs, cpuShare: cpuBackgroundShare, cpuBackgroundShare, ...memory, ...network }, wallMs);
    }
    await history.close();
  }

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
