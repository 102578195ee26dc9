import { buildTaskGraph, type GraphEdge, planSchedule, problemBySpeeds } from '@foremesh/partitioner';
import { randomSource } from '../../partitioner/scheduling/random.ts';
import { median, round } from '../spine/statistics.ts';

const devices = 64;
const width = 40;
const fanIn = 3;

/** `planMs.TASKS.heft`: milliseconds to plan a random graph of layers, 40 wide, every task after three of the layer before, on 64 devices. */
export function planTimes(): Record<string, number> {
  const report: Record<string, number> = {};
  for (const tasks of [1_000, 10_000, 100_000]) {
    const problem = layered(tasks);
    const times: number[] = [];
    // The first rounds warm the code up; a leader plans again and again.
    for (let round = 0; round < (tasks > 10_000 ? 3 : 9); round += 1) {
      const began = performance.now();
      planSchedule(problem, 'heft');
      times.push(performance.now() - began);
    }
    report[`planMs.${tasks}.heft`] = round(median(times), 1);
    process.stderr.write(`HEFT, ${tasks} tasks on ${devices} devices: ${report[`planMs.${tasks}.heft`]} ms\n`);
  }
  return report;
}

function layered(tasks: number) {
  const random = randomSource(1);
  const edges: GraphEdge[] = [];
  for (let task = width; task < tasks; task += 1) {
    const layer = Math.floor(task / width) - 1;
    for (let input = 0; input < fanIn; input += 1) {
      const from = layer * width + Math.floor(random() * width);
      edges.push({ from: String(from), to: String(task), sizeBytes: Math.floor(random() * 1e6) });
    }
  }
  const graph = buildTaskGraph(
    Array.from({ length: tasks }, (_, task) => String(task)),
    edges,
  );
  const work = Array.from({ length: tasks }, () => 1 + 9 * random());
  const speeds = Array.from({ length: devices }, () => 8 ** random());
  const links = Array.from({ length: devices * devices }, () => 1e6 * 100 ** random());
  return problemBySpeeds(graph, work, speeds, (from, to) => links[Math.min(from, to) * devices + Math.max(from, to)]!);
}
