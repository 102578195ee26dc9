// Failover: the leader of a mesh of five nodes, three of which vote, is killed again and again while jobs run.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FleetUnderFire } from './failover/fleet.ts';
import { JobStream } from './failover/jobs.ts';
import { loadAverage } from './spine/proc.ts';
import { quantile, round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
const kills = numberOf('--kills', 50);
/** A kill comes at a random moment within this after the mesh is whole again. */
const calmMs = 2_000;
const limits = { lan: 3_000, edge: 15_000 } as const;

type Profile = keyof typeof limits;
const only = process.argv.indexOf('--profile');
const profiles = (['lan', 'edge'] as const).filter((name) => only === -1 || process.argv[only + 1] === name);

function numberOf(option: string, otherwise: number): number {
  const at = process.argv.indexOf(option);
  if (at === -1) return otherwise;
  const value = Number(process.argv[at + 1]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} takes a number from 1`);
  return value;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function measure(profile: Profile) {
  const directory = await mkdtemp(join(tmpdir(), 'foremesh-failover-'));
  const fleet = await FleetUnderFire.start(directory, profile);
  const jobs = new JobStream(fleet.client, fleet.watch);
  const dispatchesMs: number[] = [];
  try {
    await fleet.whole();
    jobs.start();
    for (let kill = 1; kill <= kills; kill += 1) {
      await jobs.untilRunning();
      await sleep(Math.random() * calmMs);
      const { node, dispatchMs } = await fleet.killLeader();
      dispatchesMs.push(dispatchMs);
      const { done, wrong, duplicated } = jobs;
      const bar = '#'.repeat(Math.round((30 * kill) / kills)).padEnd(30, '.');
      say(
        `${profile} [${bar}] ${kill}/${kills} ${node} killed, next dispatch after ${Math.round(dispatchMs)} ms; ${done} jobs done, ${wrong} wrong, ${duplicated} twice`,
      );
      await fleet.restart(node);
      await fleet.whole();
    }
    await jobs.finish();
  } finally {
    await fleet.end();
    await rm(directory, { recursive: true, force: true });
  }
  return { dispatchesMs, jobs };
}

const notes = [`load average at the start: ${loadAverage()}`, `${kills} kills per profile`];
const figures: Record<string, number> = {};
const counts = { lost: 0, wrong: 0, duplicated: 0, done: 0 };
for (const profile of profiles) {
  const { dispatchesMs, jobs } = await measure(profile);
  figures[`failover.${profile}.msP50`] = round(quantile(dispatchesMs, 0.5), 0);
  figures[`failover.${profile}.msP99`] = round(quantile(dispatchesMs, 0.99), 0);
  counts.lost += jobs.lost;
  counts.wrong += jobs.wrong;
  counts.duplicated += jobs.duplicated;
  counts.done += jobs.done;
}
notes.push(`load average at the end: ${loadAverage()}`);
const report = {
  ...figures,
  'jobs.done': counts.done,
  'jobs.lost': counts.lost,
  'results.wrong': counts.wrong,
  'results.duplicated': counts.duplicated,
};
if (json) process.stdout.write(`${JSON.stringify({ ...report, notes })}\n`);
else {
  for (const [key, value] of Object.entries(report)) process.stdout.write(`${key.padEnd(24)}${value}\n`);
  for (const profile of profiles) process.stdout.write(`limit of ${profile}: p99 ${limits[profile]} ms\n`);
  for (const note of notes) process.stdout.write(`${note}\n`);
}
const isBroken = counts.lost + counts.wrong + counts.duplicated > 0;
const isSlow = profiles.some((profile) => figures[`failover.${profile}.msP99`]! > limits[profile]);
process.exitCode = isBroken || isSlow ? 1 : 0;
