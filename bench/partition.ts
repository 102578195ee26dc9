// Placement of task graphs: makespan over a bound that nothing can beat, per algorithm; or one instance and its whole plan.
import { parseArgs } from 'node:util';
import {
  lowerBoundSeconds,
  planSchedule,
  type Schedule,
  type SchedulingAlgorithm,
  schedulingAlgorithms,
} from '@foremesh/partitioner';
import { type Instance, identicalDevices, readInstance, readNetwork, workflowsFolder } from './partition/instances.ts';
import { planTimes } from './partition/plan-time.ts';
import { standardTaskGraphGaps, workflowTable } from './partition/tables.ts';
import { loadAverage } from './spine/proc.ts';

const usage = `usage: npm run -s bench -- partition [--json] [--seeds 1,2,3] [--algorithms heft,default]
       npm run -s bench -- partition --graph FILE [--network FILE | --processors N] [--link-scale X]
                                     [--algorithm ${schedulingAlgorithms.join('|')}] [--seed N] --json
`;
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    graph: { type: 'string' },
    network: { type: 'string' },
    processors: { type: 'string' },
    'link-scale': { type: 'string', default: '1' },
    algorithm: { type: 'string', default: 'default' },
    algorithms: { type: 'string', default: schedulingAlgorithms.join(',') },
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1,2,3' },
  },
});

function fail(problem: string): never {
  process.stderr.write(`${problem}\n${usage}`);
  process.exit(2);
}

function algorithmNamed(name: string): SchedulingAlgorithm {
  return schedulingAlgorithms.find((each) => each === name) ?? fail(`there is no algorithm "${name}"`);
}

function positive(text: string, what: string): number {
  const number = Number(text);
  return number > 0 && number < Number.POSITIVE_INFINITY
    ? number
    : fail(`${what} must be a positive number, not "${text}"`);
}

function wholeNumber(text: string): number {
  const number = Number(text);
  return Number.isInteger(number) ? number : fail(`--seed must be a whole number, not "${text}"`);
}

function oneInstance(graph: string): void {
  const linkScale = positive(values['link-scale'], '--link-scale');
  const processors = values.processors === undefined ? undefined : positive(values.processors, '--processors');
  let instance: Instance;
  try {
    const { network } = values;
    const devices = processors === undefined ? undefined : identicalDevices(processors);
    instance = readInstance(graph, network === undefined ? devices : readNetwork(network), linkScale);
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
  const { problem, speeds } = instance;
  const plan = planSchedule(problem, algorithmNamed(values.algorithm), { seed: wholeNumber(values.seed) });
  const lowerBound = lowerBoundSeconds(problem, speeds);
  if (values.json) {
    const schedule = problem.graph.ids.map((task, at) => scheduled(task, at, plan));
    process.stdout.write(`${JSON.stringify({ makespan: plan.makespanSeconds, lowerBound, schedule })}\n`);
    return;
  }
  const ratio = plan.makespanSeconds / lowerBound;
  process.stdout.write(`makespan ${plan.makespanSeconds}, lower bound ${lowerBound}, ratio ${ratio.toFixed(4)}\n`);
}

function scheduled(task: string, at: number, { device, startSeconds, finishSeconds }: Schedule) {
  return { task, device: device[at]!, start: startSeconds[at]!, finish: finishSeconds[at]! };
}

function everything(): void {
  const folder = workflowsFolder();
  const notes = [`load average at the start: ${loadAverage()}`];
  const report: Record<string, unknown> = { ...planTimes() };
  if (folder === undefined) {
    notes.push('no task graphs: neither $FOREMESH_DATA nor ../shared/data is there; plan times only');
  } else {
    const algorithms = values.algorithms.split(',').map(algorithmNamed);
    const seeds = values.seeds.split(',').map((seed) => positive(seed, 'a seed'));
    Object.assign(report, workflowTable(folder, algorithms, seeds), standardTaskGraphGaps(folder, algorithms));
  }
  notes.push(`load average at the end: ${loadAverage()}`);
  if (values.json) process.stdout.write(`${JSON.stringify({ ...report, notes })}\n`);
  else {
    for (const [key, value] of Object.entries(report)) process.stdout.write(`${key.padEnd(44)} ${value}\n`);
    process.stdout.write(`${notes.join('\n')}\n`);
  }
}

if (values.graph === undefined) everything();
else oneInstance(values.graph);
