// The closed loop, live: the same jobs on four devices, one of which is busy with its own work again and again, led by what is free now and by what will be.
import { setTimeout as sleep } from 'node:timers/promises';
import { jobList, jobOf, type PlannedJob } from './foresight-live/job-list.ts';
import { busyDevice, OwnWork, type Policy, ScopedMesh } from './foresight-live/mesh.ts';
import { type Difference, pairedDifference } from './foresight-live/paired.ts';
import { type RunJob, runJobs } from './foresight-live/run-jobs.ts';
import { loadAverage } from './spine/proc.ts';
import { median, round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
const pairs = numberOf('--pairs', 6);
const seed = numberOf('--seed', 1);
const idleMs = 12_000;
const busyMs = 12_000;
/** Seen before anything is measured; of the last of them it is taken what the own work gets alone. */
const learnedPeriods = 7;
const alonePeriods = 2;
/** Before that, one after the other; it counts what they take in the middle. */
const idleJobs = 5;
/** The jobs of a run come over nearly two periods, at something over half of what the devices can do; in the third the other policy takes over. */
const spanMs = 1.9 * (idleMs + busyMs);
const everyMs = 7_500;
const chunkLines = 24;
/** A job may take half again as long as one of as many lines takes on idle devices. */
const deadlineFactor = 1.5;

const policies = ['reactive', 'predictive'] as const satisfies readonly Policy[];

const keys = ['finishSecondsMean', 'missedDeadlines', 'busyProcessCpuLostSeconds', 'moves'] as const;
type Figures = Readonly<Record<(typeof keys)[number], number>>;

interface Run extends Figures {
  /** In the order of the list. */
  readonly jobs: readonly RunJob[];
}

/** What is known before anything is measured. */
interface Learned {
  /** Of a busy time, what CPU time the own work gets when it has the device to itself. */
  readonly aloneMs: number;
  /** How long a job takes on idle devices for each of its lines. */
  readonly idleSecondsPerLine: number;
}

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
  { aloneMs, idleSecondsPerLine }: Learned,
  jobs: readonly PlannedJob[],
  title: string,
): Promise<Run> {
  say(`${title}: the forecast of ${busyDevice} rises by ${round(await foreseen(mesh, own), 2)}`);
  const fromMs = own.idleFrom(Date.now());
  await sleep(fromMs - Date.now());
  const secondsPerLineMost = deadlineFactor * idleSecondsPerLine;
  const results = await runJobs(mesh.client, jobs, fromMs, secondsPerLineMost, (done, job) => {
    const { finishSeconds, deadlineSeconds = Number.NaN, tasksByNode } = job;
    const bar = '#'.repeat(Math.round((30 * done) / jobs.length)).padEnd(30, '.');
    const where = Object.entries(tasksByNode).map(([node, tasks]) => `${node} ${tasks}`);
    const atSeconds = round((Date.now() - fromMs) / 1_000, 1);
    const took = `${round(finishSeconds, 1)} s of ${round(deadlineSeconds, 1)}`;
    say(`${title} [${bar}] ${done}/${jobs.length} jobs done; ${atSeconds} s: ${took} (${where.join(', ')})`);
  });
  const got = await own.between(fromMs, Date.now());
  return {
    finishSecondsMean: mean(results.map(({ finishSeconds }) => finishSeconds)),
    missedDeadlines: results.filter(({ missed }) => missed).length,
    busyProcessCpuLostSeconds: got.reduce((sum, each) => sum + aloneMs - each, 0) / 1_000,
    moves: results.reduce((sum, { moves }) => sum + moves, 0),
    jobs: results,
  };
}

/** How long a job takes for each of its lines while no device has work of its own, and processes for tasks are there, as they are when jobs come one after the other. */
async function learnJobs({ client }: ScopedMesh): Promise<number> {
  say(`what a job takes on idle devices is learned first`);
  const secondsPerLine: number[] = [];
  for (let job = 0; job <= idleJobs; job += 1) {
    const [done] = await runJobs(client, [jobOf(0, chunkLines)], Date.now(), undefined, () => undefined);
    say(
      `  ${done!.lines} lines: ${round(done!.finishSeconds, 1)} s${job === 0 ? ', with the start of processes' : ''}`,
    );
    if (job > 0) secondsPerLine.push(done!.finishSeconds / done!.lines);
  }
  return median(secondsPerLine);
}

/** What the own work gets alone in a busy time, milliseconds of CPU. */
async function learnOwnWork(own: OwnWork): Promise<number> {
  say(`${learnedPeriods} periods of ${(idleMs + busyMs) / 1_000} s are learned`);
  const untilMs = own.idleFrom(Date.now()) + learnedPeriods * own.periodMs;
  await sleep(untilMs - Date.now());
  return mean(await own.between(untilMs - alonePeriods * own.periodMs, untilMs));
}

async function measureAll(mesh: ScopedMesh, own: OwnWork, learned: Learned): Promise<Record<Policy, Run[]>> {
  const runs: Record<Policy, Run[]> = { reactive: [], predictive: [] };
  for (let pair = 1; pair <= pairs; pair += 1) {
    const jobs = jobList(seed + pair, spanMs, everyMs, chunkLines);
    // Each is the first as often as the other.
    for (const policy of pair % 2 === 1 ? policies : policies.toReversed()) {
      await mesh.leadBy(policy);
      const run = await measure(mesh, own, learned, jobs, `pair ${pair} of ${pairs}, ${policy}`);
      say(`  ${keys.map((key) => `${key} ${round(run[key], 2)}`).join(', ')}`);
      runs[policy].push(run);
    }
  }
  return runs;
}

function summaryOf(runs: readonly Run[]): Figures {
  const of = (key: keyof Figures) => runs.map((run) => run[key]);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    finishSecondsMean: round(mean(of('finishSecondsMean')), 3),
    missedDeadlines: sum(of('missedDeadlines')),
    busyProcessCpuLostSeconds: round(sum(of('busyProcessCpuLostSeconds')), 3),
    moves: sum(of('moves')),
  };
}

function differencesOf({ reactive, predictive }: Record<Policy, Run[]>): Record<keyof Figures, Difference> {
  const of = (runs: readonly Run[], key: keyof Figures) => runs.map((run) => run[key]);
  return Object.fromEntries(
    keys.map((key) => [key, pairedDifference(of(reactive, key), of(predictive, key))]),
  ) as Record<keyof Figures, Difference>;
}

function table(summaries: Record<Policy, Figures>, differences: Record<keyof Figures, Difference>): string {
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
  const idleSecondsPerLine = await learnJobs(mesh);
  own = await OwnWork.start(mesh.scope(busyDevice), busyMs, idleMs);
  const aloneMs = await learnOwnWork(own);
  const runs = await measureAll(mesh, own, { aloneMs, idleSecondsPerLine });
  const summaries = { reactive: summaryOf(runs.reactive), predictive: summaryOf(runs.predictive) };
  const differences = differencesOf(runs);
  notes.push(`${pairs} pairs; alone the own work gets ${round(aloneMs / 1_000, 2)} s of CPU in ${busyMs / 1_000} s`);
  const { lines } = jobOf(0, chunkLines);
  const idleSeconds = round(lines * idleSecondsPerLine, 2);
  notes.push(
    `a job of ${lines} lines takes ${idleSeconds} s on idle devices, and may take ${deadlineFactor} times that`,
  );
  notes.push(`load average at the end: ${loadAverage()}`);
  if (json) process.stdout.write(`${JSON.stringify({ ...summaries, differences, pairs: runs, notes })}\n`);
  else
    process.stdout.write(`\n${[table(summaries, differences), '', ...notes.map((note) => `* ${note}`)].join('\n')}\n`);
  const isWon = keys.slice(0, 3).every((key) => summaries.predictive[key] < summaries.reactive[key]);
  process.exitCode = isWon ? 0 : 1;
} finally {
  await finish();
}
