// What the engine costs a leader: fleets of 10 to 10,000 nodes of three series, one value and one refresh of all curves a minute.
import { spawnSync } from 'node:child_process';
import { arimaChallenger, createForesight, standardMembers } from '@foremesh/models';
import { loadAverage, residentMiB } from './spine/proc.ts';
import { round } from './spine/statistics.ts';

const fleets = [10, 100, 1_000, 10_000];
const steps = 30;
/** As a leader has them (`arimaSeriesPerKind`). */
const members = [...standardMembers, arimaChallenger({ kinds: ['cpu', 'memory'], seriesMost: 64 })];
const minuteMs = 60_000;
const kinds = [
  { kind: 'cpu', range: { low: 0, high: 100 } },
  { kind: 'memory', range: { low: 0, high: 100 } },
  { kind: 'network', range: { low: 0, high: Number.POSITIVE_INFINITY } },
];
/** Rounds before the measured ones: all windows are full then, and all memory is taken but that of coarser history and of seasons. */
const warmRounds = 350;
/** Beyond this many nodes the warm-up is cut, since windows that fill cost no less than full ones. */
const warmNodesMost = 1_000;
const measuredRounds = 20;
const lstmReason = 'the LSTM is measured by `bench lstm`';

interface Cost {
  /** Of one core, at one refresh a minute: values taken in, members scored, all curves. */
  readonly cpuShare: number;
  /** Of the process, after its garbage was collected. */
  readonly residentMiB: number;
  readonly refreshMs: number;
  /** To fit the pooled models of all kinds once, in pieces; and the longest piece. */
  readonly learnMs: number;
  readonly longestPieceMs: number;
  readonly lstm: null;
  readonly lstmReason: string;
}

function measure(nodes: number): Cost {
  const foresight = createForesight({ steps, members });
  const keys: string[] = [];
  for (const { kind, range } of kinds)
    for (let node = 0; node < nodes; node += 1) {
      keys.push(`${node}/${kind}`);
      foresight.open({ key: `${node}/${kind}`, kind, intervalMs: minuteMs, range });
    }
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
  const levels = keys.map(() => 80 * next());
  const observe = () =>
    foresight.observeAll(
      keys.map((key, index) => {
        levels[index] = Math.min(100, Math.max(0, levels[index]! + 6 * (next() - 0.5)));
        return [key, levels[index]! + (next() < 0.05 ? 20 : 0)];
      }),
    );
  let learnMs = 0;
  let longestPieceMs = 0;
  const warm = nodes > warmNodesMost ? Math.ceil((warmRounds * warmNodesMost) / nodes) : warmRounds;
  for (let round = 0; round < warm; round += 1) {
    observe();
    // The last fit is the one that is measured: on as much as the engine keeps.
    if (!foresight.learningDue || round < 10) continue;
    learnMs = 0;
    longestPieceMs = 0;
    const pieces = foresight.learn();
    for (let done = false; !done; ) {
      const begun = process.cpuUsage();
      done = pieces.next().done === true;
      const { user, system } = process.cpuUsage(begun);
      learnMs += (user + system) / 1_000;
      longestPieceMs = Math.max(longestPieceMs, (user + system) / 1_000);
    }
  }
  const begun = process.cpuUsage();
  for (let refresh = 0; refresh < measuredRounds; refresh += 1) {
    observe();
    foresight.forecastAll(steps);
  }
  const { user, system } = process.cpuUsage(begun);
  const refreshMs = (user + system) / 1_000 / measuredRounds;
  // The second one begins when what the first one found has been given back.
  globalThis.gc?.();
  globalThis.gc?.();
  return {
    cpuShare: refreshMs / minuteMs,
    residentMiB: residentMiB(process.pid),
    refreshMs,
    learnMs,
    longestPieceMs,
    lstm: null,
    lstmReason,
  };
}

/** Each fleet in a process of its own, so that none is measured with the memory of another. */
function measureApart(nodes: number): Cost {
  process.stderr.write(`${nodes} nodes ...\n`);
  const options = ['--expose-gc', '--conditions=mesh-source', '--import=tsx'];
  const { status, stdout } = spawnSync(process.execPath, [...options, import.meta.filename, '--nodes', `${nodes}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`the measurement of ${nodes} nodes ended with ${status}`);
  return JSON.parse(stdout) as Cost;
}

const at = process.argv.indexOf('--nodes');
if (at !== -1) {
  process.stdout.write(JSON.stringify(measure(Number(process.argv[at + 1]))));
} else {
  const notes = [`load average at the start: ${loadAverage()}`];
  const costs = new Map(fleets.map((nodes) => [nodes, measureApart(nodes)]));
  notes.push(`load average at the end: ${loadAverage()}`);
  if (process.argv.includes('--json')) {
    const rounded = [...costs].map(([nodes, cost]) => {
      const { cpuShare, refreshMs, learnMs, longestPieceMs } = cost;
      const figures = { cpuShare: round(cpuShare, 6), residentMiB: round(cost.residentMiB, 1) };
      const more = {
        refreshMs: round(refreshMs, 2),
        learnMs: round(learnMs, 0),
        longestPieceMs: round(longestPieceMs, 1),
      };
      return [nodes, { ...figures, ...more, lstm: cost.lstm, lstmReason: cost.lstmReason }];
    });
    process.stdout.write(`${JSON.stringify({ ...Object.fromEntries(rounded), notes }, undefined, 2)}\n`);
  } else {
    process.stdout.write(
      `${'nodes'.padStart(7)} ${'of a core'.padStart(10)} ${'refresh ms'.padStart(11)} ${'MiB'.padStart(7)} ${'learn ms'.padStart(9)}\n`,
    );
    for (const [nodes, { cpuShare, refreshMs, residentMiB: resident, learnMs }] of costs)
      process.stdout.write(
        `${`${nodes}`.padStart(7)} ${`${(100 * cpuShare).toFixed(3)} %`.padStart(10)} ${refreshMs.toFixed(1).padStart(11)} ${resident.toFixed(0).padStart(7)} ${learnMs.toFixed(0).padStart(9)}\n`,
      );
    process.stdout.write(`${notes.join('\n')}\n`);
  }
}
