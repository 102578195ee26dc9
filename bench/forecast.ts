// Forecasts of real series by PROTOCOL.md of the data folder: every model and the engine, or one model's predictions for given windows.
import { parseArgs } from 'node:util';
import { type Estimate, type Judgement, judge } from './forecast/judge.ts';
import { contestants, engine, modelNames } from './forecast/models.ts';
import { readWindows, writePredictions } from './forecast/predictions.ts';
import { type Origins, type Simulated, simulate } from './forecast/simulate.ts';
import { readSet, type SetName, setNames, type TraceSet, tracesFolder } from './forecast/traces.ts';
import { loadAverage } from './spine/proc.ts';

const usage = `usage: npm run -s bench -- forecast [--json] [--data DIR] [--set SET] [--model NAME]
       npm run -s bench -- forecast --data DIR --set SET --windows windows.csv --out preds.csv [--model NAME]
sets: ${setNames.join(', ')}; models: ${modelNames.join(', ')}
`;

function fail(text: string): never {
  process.stderr.write(`${text}\n${usage}`);
  process.exit(2);
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        data: { type: 'string' },
        set: { type: 'string' },
        windows: { type: 'string' },
        out: { type: 'string' },
        model: { type: 'string' },
      },
    });
    return values;
  } catch (error) {
    return fail((error as Error).message);
  }
}

const asked = options();
const folder = asked.data ?? tracesFolder() ?? fail('the traces are absent: set FOREMESH_DATA, or give --data DIR');
const set = setNames.find((name) => name === asked.set);
if (asked.set !== undefined && set === undefined) fail(`there is no set ${asked.set}`);
if (asked.model !== undefined && !modelNames.includes(asked.model)) fail(`there is no model ${asked.model}`);
if ((asked.windows === undefined) !== (asked.out === undefined)) fail('--windows and --out belong together');

function say(label: string): (share: number) => void {
  return (share) => {
    const bar = '#'.repeat(Math.round(24 * share)).padEnd(24, '.');
    process.stderr.write(`\r${label.padEnd(28)} [${bar}] ${share === 1 ? '\n' : ''}`);
  };
}

async function predict(name: SetName, windows: string, out: string): Promise<void> {
  const traces = readSet(folder, name);
  const origins = readWindows(windows, traces);
  const [contestant] = contestants(traces, [asked.model ?? engine]);
  if (contestant === undefined) fail(`${asked.model} needs longer series than those of ${name}`);
  const simulated = await simulate(traces, contestant, origins, say(`${name} ${contestant.name}`));
  const lines = writePredictions(out, origins, simulated);
  process.stderr.write(`${out}: ${lines} predictions\n`);
}

function originsOf({ series, originsOf }: TraceSet): Origins {
  const all = [...series].map(([key, values]) => [key, originsOf(values.length)] as const);
  return new Map(all.filter(([, list]) => list.length > 0));
}

type Row = Judgement & Pick<Simulated, 'learnMs' | 'fitMs' | 'forecastMs'>;

async function compare(name: SetName): Promise<Map<string, Row>> {
  const traces = readSet(folder, name);
  const origins = originsOf(traces);
  const rows = new Map<string, Row>();
  for (const contestant of contestants(traces, asked.model === undefined ? modelNames : ['last', asked.model])) {
    const simulated = await simulate(traces, contestant, origins, say(`${name} ${contestant.name}`));
    const { learnMs, fitMs, forecastMs } = simulated;
    rows.set(contestant.name, { ...judge(traces, origins, simulated), learnMs, fitMs, forecastMs });
  }
  return rows;
}

const digits = (value: number, count = 4) => Number(value.toFixed(count));

function figures(name: SetName, rows: ReadonlyMap<string, Row>): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [model, row] of rows) {
    const key = `forecast.${name}.${model}`;
    for (const measure of ['mae', 'mase', 'pb', 'coverage', 'coverageHalf'] as const) {
      found[`${key}.${measure}`] = digits(row[measure].mean, 5);
      found[`${key}.${measure}Error`] = digits(row[measure].error, 5);
    }
    found[`${key}.windows`] = row.windows;
    found[`${key}.learnMs`] = digits(row.learnMs, 0);
    found[`${key}.fitMs`] = digits(row.fitMs, 2);
    found[`${key}.forecastMs`] = digits(row.forecastMs);
  }
  return found;
}

function table(name: SetName, rows: ReadonlyMap<string, Row>): string {
  const show = ({ mean, error }: Estimate, count: number) => `${mean.toFixed(count)} +-${error.toFixed(count)}`;
  const lines = [...rows].map(([model, row]) =>
    [
      model.padEnd(12),
      show(row.mae, 3).padStart(18),
      show(row.mase, 3).padStart(16),
      show(row.pb, 4).padStart(18),
      show(row.coverage, 3).padStart(15),
      show(row.coverageHalf, 3).padStart(15),
      (row.learnMs / 1_000).toFixed(1).padStart(8),
      row.fitMs.toFixed(1).padStart(9),
      row.forecastMs.toFixed(3).padStart(9),
    ].join(' '),
  );
  const windows = rows.values().next().value?.windows;
  const head = `${'model'.padEnd(12)} ${'MAE'.padStart(18)} ${'MASE'.padStart(16)} ${'PB'.padStart(18)} ${'80 %, edges in'.padStart(15)} ${'edges half'.padStart(15)} ${'learn s'.padStart(8)} ${'fit ms'.padStart(9)} ${'fore. ms'.padStart(9)}`;
  return [`${name}: ${windows} windows (+- two standard errors, clustered by series)`, head, ...lines, ''].join('\n');
}

if (asked.windows !== undefined && asked.out !== undefined) {
  try {
    await predict(set ?? fail('--windows needs --set'), asked.windows, asked.out);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(1);
  }
} else {
  const report: Record<string, number | string[]> = { notes: [`load average at the start: ${loadAverage()}`] };
  for (const name of set === undefined ? setNames : [set]) {
    const rows = await compare(name);
    Object.assign(report, figures(name, rows));
    if (!asked.json) process.stdout.write(`${table(name, rows)}\n`);
  }
  if (asked.json) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
}
