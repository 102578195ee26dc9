// The closed loop, live: the same jobs on four devices, one of which is busy with its own work again and again, led by what is free now and by what will be.
import { setTimeout as sleep } from 'node:timers/promises';
import { jobList, type PlannedJob } from './foresight-live/job-list.ts';
import { busyDevice, OwnWork, type Policy, ScopedMesh } from './foresight-live/mesh.ts';
import { type Difference, pairedDifference } from './foresight-live/paired.ts';
import { runJobs } from './foresight-live/run-jobs.ts';
import { loadAverage } from './spine/proc.ts';
import { round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
const pairs = numberOf('--pairs', 6);
const seed = numberOf('--seed', 1);
const idleMs = 12_000;
const busyMs = 12_000;
/** Seen before anything is measured; of the last of them it is taken what the own work gets alone. */
const learnedPeriods = 7;
const alonePeriods = 2;
/** The jobs of a run come over nearly two periods, at something over half of what the devices can do; in the third the other policy takes over. */
const spanMs = 1.9 * (idleMs + busyMs);
const everyMs = 7_500;
const chunkLines = 24;
const deadlineSeconds = 11;

const policies = ['reactive', 'predictive'] as const satisfies readonly Policy[];

interface Run {
  readonly finishSecondsMean: number;
  readonly missedDeadlines: number;
  readonly busyProcessCpuLostSeconds: number;
  readonly moves: number;
}
const keys = ['finishSecondsMean', 'missedDeadlines', 'busyProcessCpuLostSeconds', 'moves'] as const;

function numberOf(option: string, otherwise: number): number {
  const at = process.argv.indexOf(option);
  if (at === -1) return otherwise;
  const value = Number(process.argv[at + 1]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} takes a whole number from 1`);
  return value;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** How much busier the forecast says that the device will be in its busy times than in its idle times. */
async function foreseen(mesh: ScopedMesh, own: OwnWork): Promise<number> {
  const forecast = await mesh.client.forecast(busyDevice);
  const { originWallMs = 0, intervalMs = 1, resources = [] } = forecast ?? {};
  const curve = resources.find(({ resource }) => resource === 'cpu')?.own.q50 ?? [];
  const shares = (isBusy: boolean) =>
    mean(curve.filter((_, step) => own.isBusy(originWallMs + (step + 0.5) * intervalMs) === isBusy));
  return shares(true) - shares(false);
}

async function measure(
  mesh: ScopedMesh,
  own: OwnWork,
  aloneMs: number,
  jobs: readonly PlannedJob[],
  title: string,
): Promise<Run> {
  say(`${title}: the forecast of ${busyDevice} rises by ${round(await foreseen(mesh, own), 2)}`);
  const fromMs = own.idleFrom(Date.now());
  await sleep(fromMs - Date.now());
  const results = await runJobs(mesh.client, jobs, fromMs, deadlineSeconds, (done, { finishSeconds, tasksByNode }) => {
    const bar = '#'.repeat(Math.round((30 * done) / jobs.length)).padEnd(30, '.');
    const where = Object.entries(tasksByNode).map(([node, tasks]) => `${node} ${tasks}`);
    const atSeconds = round((Date.now() - fromMs) / 1_000, 1);
    say(
      `${title} [${bar}] ${done}/${jobs.length} jobs done; ${atSeconds} s: ${round(finishSeconds, 1)} s (${where.join(', ')})`,
    );
  });
  const got = await own.between(fromMs, Date.now());
  return {
    finishSecondsMean: mean(results.map(({ finishSeconds }) => finishSeconds)),
    missedDeadlines: results.filter(({ missed }) => missed).length,
    busyProcessCpuLostSeconds: got.reduce((sum, each) => sum + aloneMs - each, 0) / 1_000,
    moves: results.reduce((sum, { moves }) => sum + moves, 0),
  };
}

async function learn(mesh: ScopedMesh, own: OwnWork): Promise<number> {
  say(`${learnedPeriods} periods of ${(idleMs + busyMs) / 1_000} s are learned first, and what a task takes`);
  const fromMs = own.idleFrom(Date.now());
  await sleep(fromMs - Date.now());
  // In the idle time of the first period, on all devices.
  await runJobs(
    mesh.client,
    jobList(seed, idleMs / 2, 3_000, chunkLines / 2),
    fromMs,
    deadlineSeconds,
    () => undefined,
  );
  const untilMs = fromMs + learnedPeriods * own.periodMs;
  await sleep(untilMs - Date.now());
  return mean(await own.between(untilMs - alonePeriods * own.periodMs, untilMs));
}

async function measureAll(mesh: ScopedMesh, own: OwnWork) {
  const aloneMs = await learn(mesh, own);
  const runs: Record<Policy, Run[]> = { reactive: [], predictive: [] };
  for (let pair = 1; pair <= pairs; pair += 1) {
    const jobs = jobList(seed + pair, spanMs, everyMs, chunkLines);
    // Each is the first as often as the other.
    for (const policy of pair % 2 === 1 ? policies : policies.toReversed()) {
      await mesh.leadBy(policy);
      const run = await measure(mesh, own, aloneMs, jobs, `pair ${pair} of ${pairs}, ${policy}`);
      say(`  ${JSON.stringify(run)}`);
      runs[policy].push(run);
    }
  }
  return { runs, aloneMs };
}

function summaryOf(runs: readonly Run[]): Run {
  const of = (key: keyof Run) => runs.map((run) => run[key]);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    finishSecondsMean: round(mean(of('finishSecondsMean')), 3),
    missedDeadlines: sum(of('missedDeadlines')),
    busyProcessCpuLostSeconds: round(sum(of('busyProcessCpuLostSeconds')), 3),
    moves: sum(of('moves')),
  };
}

function differencesOf({ reactive, predictive }: Record<Policy, Run[]>): Record<keyof Run, Difference> {
  const of = (runs: readonly Run[], key: keyof Run) => runs.map((run) => run[key]);
  return Object.fromEntries(
    keys.map((key) => [key, pairedDifference(of(reactive, key), of(predictive, key))]),
  ) as Record<keyof Run, Difference>;
}

function table(summaries: Record<Policy, Run>, differences: Record<keyof Run, Difference>): string {
  const cell = (value: unknown) => String(value).padStart(12);
  const shown = ({ mean: middle, interval95 }: Difference) => {
    const edges = interval95 === null ? '' : ` (${interval95.map((edge) => round(edge, 2)).join(' to ')})`;
    return `  ${round(middle, 2)}${edges}`;
  };
  const change = ({ reactive, predictive }: Record<Policy, number>) =>
    reactive === 0 ? '-' : `${round(100 * (predictive / reactive - 1), 0)} %`;
  const rows = keys.map((key) => {
    const values = { reactive: summaries.reactive[key], predictive: summaries.predictive[key] };
    const cells = [values.reactive, values.predictive, change(values)].map(cell);
    return `${key.padEnd(28)}${cells.join('')}${shown(differences[key])}`;
  });
  return [`${''.padEnd(28)}${[...policies, 'change'].map(cell).join('')}  difference per run (95 %)`, ...rows].join(
    '\n',
  );
}

const notes = [`load average at the start: ${loadAverage()}`];
const mesh = await ScopedMesh.start();
let own: OwnWork | undefined;
const finish = async () => {
  await own?.process.end();
  await mesh.end();
};
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void finish().then(() => process.exit(1)));
try {
  own = await OwnWork.start(mesh.scope(busyDevice), busyMs, idleMs);
  const { runs, aloneMs } = await measureAll(mesh, own);
  const summaries = { reactive: summaryOf(runs.reactive), predictive: summaryOf(runs.predictive) };
  const differences = differencesOf(runs);
  notes.push(`${pairs} pairs; alone the own work gets ${round(aloneMs / 1_000, 2)} s of CPU in ${busyMs / 1_000} s`);
  notes.push(`load average at the end: ${loadAverage()}`);
  if (json) process.stdout.write(`${JSON.stringify({ ...summaries, differences, pairs: runs, notes })}\n`);
  else
    process.stdout.write(`\n${[table(summaries, differences), '', ...notes.map((note) => `* ${note}`)].join('\n')}\n`);
  const isWon = keys.slice(0, 3).every((key) => summaries.predictive[key] < summaries.reactive[key]);
  process.exitCode = isWon ? 0 : 1;
} finally {
  await finish();
}
