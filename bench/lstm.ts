// Global models on the real traces: the LSTM beside ridge and the last value, each trained on what lies before a set's first origin.
import { parseArgs } from 'node:util';
import { ridgeModel, type SeriesWindow, trainRidge, type Weights } from '@foremesh/models';
import { lstmDefaults, lstmModel, trainLstm } from '@foremesh/models/lstm';
import { readSet, type SetName, setNames, tracesFolder } from './forecast/traces.ts';
import { historiesOf, predictLast, type Row, rowOf } from './lstm/rows.ts';
import { loadAverage } from './spine/proc.ts';
import { round } from './spine/statistics.ts';

/** As the protocol's ridge was trained. */
const ridgeHistory = 1_008;
const ridgeStride = (name: SetName) => (name.startsWith('bitbrains') ? 6 : 1);
/** Sets of per cent values that one network learns together. */
const pooled: readonly SetName[] = ['planetlab', 'nab', 'bitbrains_cpu', 'bitbrains_mem', 'rpi'];

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    set: { type: 'string', default: [...setNames, 'pooled'].join(',') },
    updates: { type: 'string', default: String(lstmDefaults.updates) },
  },
});
const updates = Number(options.updates);
const chosen = options.set.split(',');
const unknown = chosen.filter((name) => name !== 'pooled' && !(setNames as readonly string[]).includes(name));
if (unknown.length > 0) fail(`no such set: ${unknown.join(', ')}; there are ${setNames.join(', ')} and pooled`);
const folder = tracesFolder() ?? fail('the traces are not here: FOREMESH_DATA names the folder that holds them');

interface Trained {
  readonly weights: Weights;
  /** Updates until it stopped, and the CPU time of all of it. */
  readonly updates: number;
  readonly cpuSeconds: number;
}

const notes = [
  `load average at the start: ${loadAverage()}`,
  `at most ${updates} updates of ${lstmDefaults.batch} windows`,
];
const report: Record<string, unknown> = {};
for (const name of chosen) {
  if (name === 'pooled') await benchPooled();
  else await benchSet(name as SetName);
}
notes.push(`load average at the end: ${loadAverage()}`);
report.notes = notes;
if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else
  for (const [key, value] of Object.entries(report))
    process.stdout.write(`${key.padEnd(32)} ${JSON.stringify(value)}\n`);

async function benchSet(name: SetName): Promise<void> {
  const set = readSet(folder, name);
  tell(`${name}.last`, rowOf(set, predictLast));
  const ridge = ridgeModel(trainRidge(historiesOf(set, ridgeHistory), { stride: ridgeStride(name) })!);
  tell(`${name}.ridge`, rowOf(set, ridge.predict));
  const { weights, ...cost } = await train(name, historiesOf(set));
  const model = await lstmModel(weights);
  tell(`${name}.lstm`, { ...rowOf(set, model.predict), ...cost });
  model.dispose();
}

async function benchPooled(): Promise<void> {
  const sets = pooled.map((name) => readSet(folder, name));
  // One network reads steps, however long they are.
  const histories = sets.flatMap((set) => historiesOf(set).map((history) => ({ ...history, intervalMs: 1 })));
  const { weights, ...cost } = await train('pooled', histories);
  const model = await lstmModel(weights);
  for (const set of sets) tell(`${set.name}.lstmPooled`, { ...rowOf(set, model.predict), ...cost });
  model.dispose();
}

async function train(name: string, histories: readonly SeriesWindow[]): Promise<Trained> {
  const start = process.cpuUsage();
  let last = 0;
  const weights = await trainLstm(histories, {
    updates,
    onProgress: ({ update, bestLoss }) => {
      last = update;
      process.stderr.write(`${name}: update ${update}/${updates}, loss at best ${bestLoss.toFixed(5)}\n`);
    },
  });
  const { user, system } = process.cpuUsage(start);
  if (weights === undefined) fail(`${name} is too short to learn from`);
  return { weights, updates: last, cpuSeconds: round((user + system) / 1e6, 1) };
}

function tell(key: string, row: Row): void {
  report[`lstm.${key}`] = row;
  process.stderr.write(`${key}: ${JSON.stringify(row)}\n`);
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
