import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  lowerBoundSeconds,
  planSchedule,
  type SchedulingAlgorithm,
  type SchedulingProblem,
  scheduleProblem,
} from '@foremesh/partitioner';
import { round } from '../spine/statistics.ts';
import { identicalDevices, readInstance, readNetwork, readText } from './instances.ts';

const deviceCounts = [4, 16, 64];
const linkScales = [1, 0.02];

/** The graphs of real workflows, in the order of their names. */
export function workflowFiles(folder: string): string[] {
  return ['wfinstances', 'cybershake'].flatMap((name) =>
    readdirSync(join(folder, name))
      .filter((file) => file.endsWith('.json.gz'))
      .sort()
      .map((file) => join(folder, name, file)),
  );
}

/** `workflows.links-SCALE.DEVICES.ALGORITHM`: geometric mean of makespan over lower bound; and where `default` was worse than another. */
export function workflowTable(
  folder: string,
  algorithms: readonly SchedulingAlgorithm[],
  seeds: readonly number[],
): Record<string, number> {
  const files = workflowFiles(folder);
  const report: Record<string, number> = {};
  let worse = 0;
  for (const linkScale of linkScales) {
    for (const devices of deviceCounts) {
      const logs = new Map(algorithms.map((algorithm) => [algorithm, 0]));
      for (const file of files) {
        for (const seed of seeds) {
          const network = readNetwork(join(folder, 'networks', `net-${devices}-seed${seed}.json`));
          const { problem, speeds } = readInstance(file, network, linkScale);
          const bound = lowerBoundSeconds(problem, speeds);
          const found = new Map(algorithms.map((algorithm) => [algorithm, makespan(problem, algorithm)]));
          for (const [algorithm, seconds] of found)
            logs.set(algorithm, logs.get(algorithm)! + Math.log(seconds / bound));
          const own = found.get('default');
          if (own !== undefined && [...found.values()].some((each) => each < own * (1 - 1e-12))) worse += 1;
        }
      }
      for (const [algorithm, sum] of logs) {
        const key = `workflows.links-${linkScale}.${devices}.${algorithm}`;
        report[key] = round(Math.exp(sum / (files.length * seeds.length)), 4);
        process.stderr.write(`${key}: ${report[key]}\n`);
      }
    }
  }
  report['workflows.defaultWorseThanAnother'] = worse;
  return report;
}

/** `stg.PROCESSORS.ALGORITHM`: mean of makespan over the known optimum, less 1, in per cent. */
export function standardTaskGraphGaps(
  folder: string,
  algorithms: readonly SchedulingAlgorithm[],
): Record<string, number> {
  const rows = readText(join(folder, 'stg', 'optimal.csv'))
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','));
  const report: Record<string, number> = {};
  for (const processors of [...new Set(rows.map(([, count]) => Number(count)))]) {
    const mine = rows.filter(([, count]) => Number(count) === processors);
    for (const algorithm of algorithms) {
      const gaps = mine.map(([instance, , optimal]) => {
        const file = join(folder, 'stg', `${instance!.replace('/', '-').replace(/\.stg$/, '')}.stg.gz`);
        const { problem } = readInstance(file, identicalDevices(processors), 1);
        return makespan(problem, algorithm) / Number(optimal) - 1;
      });
      report[`stg.${processors}.${algorithm}`] = round(
        (100 * gaps.reduce((sum, gap) => sum + gap, 0)) / gaps.length,
        3,
      );
    }
  }
  return report;
}

function makespan(problem: SchedulingProblem, algorithm: SchedulingAlgorithm): number {
  const plan = planSchedule(problem, algorithm);
  const wrong = scheduleProblem(problem, plan);
  if (wrong !== undefined) throw new Error(`${algorithm}: ${wrong}`);
  return plan.makespanSeconds;
}
