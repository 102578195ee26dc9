// The spine of a mesh: tasks per second and latency beside Dask distributed, what an idle device pays, what it installs.
import { mkdtemp, rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DaskUnderTest, findPython } from './spine/dask.ts';
import { installDevice } from './spine/install.ts';
import { MeshUnderTest } from './spine/mesh.ts';
import { cpuShares, loadAverage, residentMiB, treeOf } from './spine/proc.ts';
import { slowDisk, slowDiskMs } from './spine/slow-disk.ts';
import { median, quantile, round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
/** Only what a single task costs: a matter of seconds. */
const latencyOnly = process.argv.includes('--latency');
const rounds = 5;
const slowRounds = 3;
const tasksPerJob = 4_096;
const latencyJobsPerRound = 50;
/** Of both sides: from then on neither becomes faster. */
const warmLatencyJobs = 600;
/** The sandbox processes of a node end ten seconds after the last task. */
const poolEndsMs = 12_000;
const idleSeconds = 25;

interface Side {
  throughput(tasks: number): Promise<number>;
  latencies(jobs: number): Promise<number[]>;
}

/** What one side did, round by round. */
class Figures {
  readonly #tasksPerSecond: number[] = [];
  readonly #latenciesMs: number[] = [];

  async round(name: string, number: number, side: Side): Promise<void> {
    const did: string[] = [];
    if (!latencyOnly) {
      const tasksPerSecond = (tasksPerJob * 1000) / (await side.throughput(tasksPerJob));
      this.#tasksPerSecond.push(tasksPerSecond);
      did.push(`${Math.round(tasksPerSecond)} tasks/s`);
    }
    const latenciesMs = await side.latencies(latencyJobsPerRound);
    this.#latenciesMs.push(...latenciesMs);
    did.push(`p50 ${quantile(latenciesMs, 0.5).toFixed(2)} ms`);
    say(`round ${number}, ${name}: ${did.join(', ')}`);
  }

  summary() {
    return {
      tasksPerSecond: latencyOnly ? null : round(median(this.#tasksPerSecond), 1),
      latencyMsP50: round(quantile(this.#latenciesMs, 0.5), 2),
      latencyMsP99: round(quantile(this.#latenciesMs, 0.99), 2),
    };
  }
}

const unmeasured = { node: undefined, leader: undefined, broker: undefined };
const absent = { tasksPerSecond: null, latencyMsP50: null, latencyMsP99: null };

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function measure(directory: string) {
  const notes = [`load average at the start: ${loadAverage()}`];
  say('installing the device product');
  const { sizeMiB, command } = await installDevice(directory);
  const python = findPython();
  if (python === undefined)
    notes.push('Dask: null, since no python3 here has distributed (Debian: python3-distributed)');
  say('starting the processes');
  const mesh = await MeshUnderTest.start({ directory, deviceCommand: command });
  try {
    const meshFigures = new Figures();
    const daskFigures = new Figures();
    const dask = python === undefined ? undefined : await DaskUnderTest.start(python);
    try {
      if (dask !== undefined) notes.push(`Dask distributed ${dask.version}`);
      // The mesh last: it gives its memory back when it rests, and a device that rested is slower for some dozen jobs.
      for (const side of dask === undefined ? [mesh] : [dask, mesh]) {
        await side.throughput(tasksPerJob); // warm
        await side.latencies(warmLatencyJobs);
      }
      for (let number = 1; number <= rounds; number += 1) {
        await meshFigures.round('mesh', number, mesh);
        if (dask !== undefined) await daskFigures.round('dask', number, dask);
      }
    } finally {
      await dask?.end();
    }
    notes.push(`load average after the rounds: ${loadAverage()}`);
    const slow = await measureSlowDisk(directory, command, notes);
    const idle = latencyOnly ? unmeasured : await measureIdle(mesh);
    const tls = latencyOnly ? unmeasured : await measureSecured(directory, command, notes);
    const meshSide = meshFigures.summary();
    const daskSide = dask === undefined ? undefined : daskFigures.summary();
    return {
      mesh: meshSide,
      dask: daskSide ?? absent,
      ratio:
        daskSide === undefined
          ? { tasksPerSecond: null, latencyP50: null }
          : {
              tasksPerSecond:
                meshSide.tasksPerSecond === null || daskSide.tasksPerSecond === null
                  ? null
                  : round(meshSide.tasksPerSecond / daskSide.tasksPerSecond, 2),
              latencyP50: round(meshSide.latencyMsP50 / daskSide.latencyMsP50, 2),
            },
      slowDisk: slow,
      ...idle,
      tls,
      install: { sizeMiB: round(sizeMiB, 2) },
      notes,
    };
  } finally {
    await mesh.end();
  }
}

/** The same on a disk that is as slow as an SD card; beside the mesh of before, on whose disk it is. */
async function measureSlowDisk(directory: string, deviceCommand: string, notes: string[]) {
  const environment = slowDisk(directory);
  if (environment === undefined) {
    notes.push('slow disk: null, since there is no C compiler here (Debian: gcc)');
    return absent;
  }
  say(`the same with ${slowDiskMs} ms more for every fsync`);
  const mesh = await MeshUnderTest.start({ directory: join(directory, 'slow'), deviceCommand, environment });
  try {
    if (!latencyOnly) await mesh.throughput(tasksPerJob); // warm
    const figures = new Figures();
    for (let number = 1; number <= slowRounds; number += 1) await figures.round('slow disk', number, mesh);
    return figures.summary();
  } finally {
    await mesh.end();
  }
}

/** The same at rest when everything goes over TLS. */
async function measureSecured(directory: string, deviceCommand: string, notes: string[]) {
  const outer = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const host = outer.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  if (host === undefined) {
    notes.push('TLS: null, since this machine has no address but loopback');
    return unmeasured;
  }
  say('the same over TLS');
  const mesh = await MeshUnderTest.start({ directory: join(directory, 'tls'), deviceCommand, host });
  try {
    await mesh.throughput(tasksPerJob);
    await mesh.latencies(latencyJobsPerRound);
    return await measureIdle(mesh);
  } finally {
    await mesh.end();
  }
}

/** The same processes at rest, after all that work. */
async function measureIdle({ broker, founder, follower }: MeshUnderTest) {
  say(`idle: ${poolEndsMs / 1000 + idleSeconds} s`);
  await sleep(poolEndsMs);
  const [node, leader, ofBroker] = await cpuShares([follower.pid, founder.pid, broker.pid], idleSeconds);
  if (treeOf(follower.pid).length !== 1) throw new Error('the idle node has processes beside its own');
  const of = ({ pid }: { pid: number }, share: number) => ({
    residentMiB: round(residentMiB(pid), 1),
    cpuShare: round(share, 4),
  });
  return { node: of(follower, node!), leader: of(founder, leader!), broker: of(broker, ofBroker!) };
}

function table(figures: Awaited<ReturnType<typeof measure>>): string {
  const { mesh, dask, ratio, slowDisk: slow, node, leader, broker, tls, install, notes } = figures;
  const cell = (value: unknown) => String(value ?? '-').padStart(10);
  const row = (name: string, ...values: unknown[]) => `${name.padEnd(26)}${values.map(cell).join('')}`;
  const target = (name: string, value: number | undefined, most: number, unit: string) =>
    `${name.padEnd(26)}${cell(value)} ${unit} (at most ${most})${value === undefined || value <= most ? '' : '  OVER'}`;
  const percent = (share: number | undefined) => (share === undefined ? undefined : round(share * 100, 2));
  return [
    row('', 'mesh', 'dask', 'mesh/dask'),
    row('no-op tasks per second', mesh.tasksPerSecond, dask.tasksPerSecond, ratio.tasksPerSecond),
    row('latency p50, ms', mesh.latencyMsP50, dask.latencyMsP50, ratio.latencyP50),
    row('latency p99, ms', mesh.latencyMsP99, dask.latencyMsP99),
    '',
    row(`fsync + ${slowDiskMs} ms`, 'slow disk', 'this disk'),
    row('no-op tasks per second', slow.tasksPerSecond, mesh.tasksPerSecond),
    row('latency p50, ms', slow.latencyMsP50, mesh.latencyMsP50),
    '',
    target('idle node, resident', node?.residentMiB, 80, 'MiB'),
    target('idle node, CPU', percent(node?.cpuShare), 1, '% of a core'),
    target('idle broker, resident', broker?.residentMiB, 96, 'MiB'),
    target('the same over TLS, node', tls.node?.residentMiB, 80, 'MiB'),
    target('  CPU', percent(tls.node?.cpuShare), 1, '% of a core'),
    target('  broker, resident', tls.broker?.residentMiB, 96, 'MiB'),
    target('device, installed', install.sizeMiB, 20, 'MiB'),
    row('idle leader, MiB, % CPU', leader?.residentMiB, percent(leader?.cpuShare)),
    '',
    ...notes.map((note) => `* ${note}`),
  ].join('\n');
}

const directory = await mkdtemp(join(tmpdir(), 'foremesh-bench-spine-'));
try {
  const figures = await measure(directory);
  process.stdout.write(json ? `${JSON.stringify(figures)}\n` : `\n${table(figures)}\n`);
} finally {
  await rm(directory, { recursive: true, force: true });
}
