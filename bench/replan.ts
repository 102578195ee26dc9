// Plans that meet an unsteady world: real finishing time over the lower bound, policies side by side on the same seeds.
import { join } from 'node:path';
import { lowerBoundSeconds } from '@foremesh/partitioner';
import { readInstance, readNetwork, workflowsFolder } from './partition/instances.ts';
import { workflowFiles } from './partition/tables.ts';
import { policies } from './replan/policies.ts';
import { finishUnderPolicy } from './replan/world.ts';
import { loadAverage } from './spine/proc.ts';
import { round } from './spine/statistics.ts';

const tasksMost = 350;
const networks = 3;
const json = process.argv.includes('--json');
const seedsAt = process.argv.indexOf('--seeds');
const seeds = seedsAt < 0 ? 10 : Number(process.argv[seedsAt + 1]);
const folder = workflowsFolder();
if (folder === undefined) {
  process.stderr.write('no task graphs: neither $FOREMESH_DATA nor ../shared/data is there\n');
  process.exit(2);
}

const report: Record<string, number | string[]> = {};
const notes = [`${seeds} seeds`, `load average at the start: ${loadAverage()}`];
for (const devices of [4, 16, 64]) {
  const logs = new Map(Object.keys(policies).map((name) => [name, 0]));
  let runs = 0;
  for (const file of workflowFiles(folder)) {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const network = readNetwork(join(folder, 'networks', `net-${devices}-seed${1 + ((seed - 1) % networks)}.json`));
      const { problem, speeds } = readInstance(file, network, 1);
      if (problem.graph.size > tasksMost) break;
      const bound = lowerBoundSeconds(problem, speeds);
      runs += 1;
      for (const [name, make] of Object.entries(policies))
        logs.set(name, logs.get(name)! + Math.log(finishUnderPolicy(problem, bound, make(), seed) / bound));
    }
    process.stderr.write('.');
  }
  const of = (name: string) => Math.exp(logs.get(name)! / runs);
  for (const name of logs.keys()) report[`replan.${devices}.${name}`] = round(of(name), 4);
  const closed = (of('drift') - of('predictive')) / (of('drift') - of('knownFuture'));
  report[`replan.${devices}.gapClosed`] = round(closed, 3);
  process.stderr.write(
    `\n${devices} devices: ${[...logs.keys()].map((name) => `${name} ${of(name).toFixed(3)}`).join(', ')}; ${Math.round(100 * closed)} % of the gap closed\n`,
  );
}
report.notes = [...notes, `load average at the end: ${loadAverage()}`];
if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
else for (const [key, value] of Object.entries(report)) process.stdout.write(`${key.padEnd(32)} ${value}\n`);
