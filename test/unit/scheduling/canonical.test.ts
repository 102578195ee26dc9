import assert from 'node:assert/strict';
import { buildTaskGraph, planSchedule, type SchedulingProblem, scheduleProblem } from '@foremesh/partitioner';

/** Figure 2 and table of Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002: what each task takes on each of three devices. */
const costs = [
  [14, 16, 9],
  [13, 19, 18],
  [11, 13, 19],
  [13, 8, 17],
  [12, 13, 10],
  [13, 16, 9],
  [7, 15, 11],
  [5, 11, 14],
  [18, 12, 20],
  [21, 7, 16],
];
const transfers =
  '1-2 18, 1-3 12, 1-4 9, 1-5 11, 1-6 14, 2-8 19, 2-9 16, 3-7 23, 4-8 27, 4-9 23, 5-9 13, 6-8 15, 7-10 17, 8-10 11, 9-10 13';

function canonical(): SchedulingProblem {
  const edges = transfers.split(', ').map((each) => {
    const [, from, to, sizeBytes] = /(\d+)-(\d+) (\d+)/.exec(each)!;
    return { from: from!, to: to!, sizeBytes: Number(sizeBytes) };
  });
  const graph = buildTaskGraph(
    costs.map((_, at) => String(at + 1)),
    edges,
  );
  const secondsPerByte = Float64Array.from({ length: 9 }, (_, at) => (at % 4 === 0 ? 0 : 1));
  return { graph, devices: 3, costSeconds: Float64Array.from(costs.flat()), secondsPerByte };
}

describe('unit: scheduling, the canonical graph', () => {
  const published = { heft: 80, cpop: 86, single: 127, search: 73, default: 73 } as const;
  for (const [algorithm, makespan] of Object.entries(published)) {
    it(`${algorithm} ends after ${makespan}`, () => {
      const plan = planSchedule(canonical(), algorithm as keyof typeof published);
      assert.equal(plan.makespanSeconds, makespan);
      assert.equal(scheduleProblem(canonical(), plan), undefined);
    });
  }
});
