// What forecasts cost a leader: fleets of 10 to 10,000 nodes, one value of each series and one refresh of all curves a minute.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { FleetCost, FleetOrder } from './forecast-cost/cost.ts';
import { loadAverage } from './spine/proc.ts';
import { round } from './spine/statistics.ts';

/** Rounds before the measured ones: all windows are full then, and all memory is taken but that of coarser history and of seasons. */
const fullAge = { warmRounds: 350, measuredRounds: 20 };
/** Enough for a learned model to be asked; windows that fill cost no less than full ones. */
const youngAge = { warmRounds: 50, measuredRounds: 10 };
/** A day of minutes, and a season of six hours in all series, seen for the fourth time. */
const dayAge = { warmRounds: 1_440, measuredRounds: 20, seasonSteps: 360 };
/** Beyond so many nodes the warm-up is cut, unless it is asked for: a quarter of an hour for each model with 10,000. */
const fullAgeNodesMost = 1_000;

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    nodes: { type: 'string', default: '10,100,1000,10000' },
    full: { type: 'boolean', default: false },
    day: { type: 'boolean', default: false },
    series: { type: 'string', default: '3' },
  },
});
const fleets = options.nodes.split(',').map(Number);
const series = ([3, 4] as const).find((each) => `${each}` === options.series);
if (series === undefined || fleets.some((nodes) => !Number.isInteger(nodes) || nodes < 1)) {
  process.stderr.write(
    'usage: npm run -s bench -- forecast-cost [--json] [--nodes 10,100,...] [--series 3|4] [--full] [--day]\n',
  );
  process.exit(2);
}
const root = join(import.meta.dirname, '..');
const lstmReason = reasonWithoutLstm();

/** Why the LSTM cannot be measured, if it cannot: TensorFlow.js is not installed, or our packages are not built. */
function reasonWithoutLstm(): string | undefined {
  const args = ['--input-type=module', '--eval', "import '@foremesh/models/lstm'"];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? undefined : (/^Error.*$/m.exec(stderr)?.[0] ?? stderr);
}

function run(args: readonly string[]): string {
  const { status, signal, stdout } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status ?? signal}`);
  return stdout;
}

/** Each fleet in a process of its own, so that none is measured with the memory of another. */
function measure(folder: string, { nodes, series, model }: Pick<FleetOrder, 'nodes' | 'series' | 'model'>): FleetCost {
  process.stderr.write(`${nodes} nodes with ${model} ...\n`);
  const age = options.day ? dayAge : options.full || nodes <= fullAgeNodesMost ? fullAge : youngAge;
  const order: FleetOrder = { nodes, series, model, weights: join(folder, model), ...age };
  return JSON.parse(run([join(folder, 'leader.mjs'), JSON.stringify(order)])) as FleetCost;
}

function rounded(cost: FleetCost) {
  const { cpuShare, refreshMs, ...rest } = cost;
  const figures = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, round(value, 1)]));
  return { cpuShare: round(cpuShare, 6), refreshMs: round(refreshMs, 2), ...figures };
}

const notes = [`load average at the start: ${loadAverage()}`];
// Beside our packages, so that what is loaded at run time is found: the LSTM, compiled.
const folder = mkdtempSync(join(root, 'node_modules/.forecast-cost-'));
const costs: [nodes: number, model: string, cost: FleetCost][] = [];
try {
  run([join(import.meta.dirname, 'forecast-cost/bundle.mjs'), folder]);
  for (const nodes of fleets)
    for (const model of lstmReason === undefined ? (['ridge', 'lstm'] as const) : (['ridge'] as const))
      costs.push([nodes, model, measure(folder, { nodes, series, model })]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
notes.push(`load average at the end: ${loadAverage()}`);

if (options.json) {
  const report: Record<string, unknown> = {};
  for (const nodes of fleets) {
    const of = (wanted: string) => costs.find(([own, model]) => own === nodes && model === wanted)?.[2];
    const lstm = of('lstm');
    report[nodes] = {
      ...rounded(of('ridge')!),
      ...(lstm === undefined ? { lstm: null, lstmReason } : { lstm: rounded(lstm) }),
    };
  }
  process.stdout.write(`${JSON.stringify({ ...report, notes }, undefined, 2)}\n`);
} else {
  const columns = ['nodes', 'learned', 'of a core', 'refresh ms', 'MiB', 'at end', 'learn ms', 'train ms'];
  process.stdout.write(`${columns.map((column) => column.padStart(10)).join(' ')}\n`);
  for (const [nodes, model, cost] of costs) {
    const { cpuShare, refreshMs, residentMiB, residentMiBAtEnd, learnMs, trainMs } = cost;
    const figures = [
      refreshMs.toFixed(1),
      ...[residentMiB, residentMiBAtEnd, learnMs, trainMs].map((each) => each.toFixed(0)),
    ];
    const row = [`${nodes}`, model, `${(100 * cpuShare).toFixed(3)} %`, ...figures];
    process.stdout.write(`${row.map((each) => each.padStart(10)).join(' ')}\n`);
  }
  process.stdout.write(`${[...(lstmReason === undefined ? [] : [`lstm: ${lstmReason}`]), ...notes].join('\n')}\n`);
}
