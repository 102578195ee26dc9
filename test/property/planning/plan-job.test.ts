import assert from 'node:assert/strict';
import { type PlanNode, type PlannedJob, type PlanRequest, type PlanTask, planJob } from '@foremesh/partitioner';
import fc from 'fast-check';

const steps = 6;
const curve = (rates: readonly number[]) => ({ untilSeconds: [10, 20, 30, 40, 50], rates });
const rising = fc.tuple(
  fc.double({ min: 0.05, max: 1, noNaN: true }),
  fc.double({ min: 0.05, max: 1, noNaN: true }),
  fc.double({ min: 0.05, max: 1, noNaN: true }),
);
const sorted = (values: readonly number[]) => [...values].sort((one, other) => one - other) as [number, number, number];

const capacity = fc.array(rising, { minLength: steps, maxLength: steps }).map((triples) => {
  const each = triples.map(sorted);
  return {
    q10: curve(each.map(([low]) => low)),
    q50: curve(each.map(([, middle]) => middle)),
    q90: curve(each.map(([, , high]) => high)),
    demand: 1,
  };
});
const planNode: fc.Arbitrary<PlanNode> = fc.record({
  node: fc.constant(''),
  freeSeconds: fc.array(fc.double({ min: 0, max: 30, noNaN: true }), { minLength: 1, maxLength: 3 }),
  capacity,
  bytesPerSecond: fc.double({ min: 1e5, max: 1e8, noNaN: true }),
  leavesPerSecond: fc.constantFrom(0, 1e-4, 1e-2),
});
const nodeList = fc
  .array(planNode, { minLength: 1, maxLength: 4 })
  .map((nodes) => nodes.map((node, index) => ({ ...node, node: `n${index}` })));

/** A stage of parts, a merge, and a stage behind it; the last node may run everything, so that a plan there always is. */
const request: fc.Arbitrary<PlanRequest> = fc
  .record({
    nodes: nodeList,
    parts: fc.integer({ min: 1, max: 9 }),
    works: fc.array(
      rising.map((each) => sorted(each.map((value) => value * 40))),
      { minLength: 3, maxLength: 3 },
    ),
    mayRun: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    speeds: fc.array(fc.double({ min: 0.3, max: 4, noNaN: true }), { minLength: 4, maxLength: 4 }),
    confidence: fc.constantFrom(0.5, 0.8, 0.9, 0.99),
    bytes: fc.integer({ min: 0, max: 10_000_000 }),
    sharedVariance: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: fc.integer({ min: 1, max: 1_000 }),
  })
  .map(({ nodes, parts, works, mayRun, speeds, confidence, bytes, sharedVariance, seed }) => {
    const kinds = [0, 1, 2].map(() => ({
      speeds: nodes.map((_, index) => (index === nodes.length - 1 || mayRun[index]! ? speeds[index]! : 0)),
      sharedVariance,
    }));
    const task = (name: string, kind: number): PlanTask => {
      const [q10, q50, q90] = works[kind]!;
      return { task: name, kind, workSeconds: { q10, q50, q90 }, inputBytes: kind === 0 ? bytes : 0 };
    };
    const tasks = [
      ...Array.from({ length: parts }, (_, part) => task(`map-${part}`, 0)),
      task('merge', 1),
      task('end', 2),
    ];
    const edges = [
      ...Array.from({ length: parts }, (_, part) => ({ from: `map-${part}`, to: 'merge', sizeBytes: bytes })),
      { from: 'merge', to: 'end', sizeBytes: bytes },
    ];
    return { kinds, tasks, edges, nodes, confidence, lossSeconds: 20, seed, evaluations: 50 };
  });

const shown = ({ tasks, makespanSeconds, cost, finishQuantile }: PlannedJob) => ({
  ...{ tasks, makespanSeconds, cost },
  finish: [0.1, 0.5, 0.9].map(finishQuantile),
});

describe('property: the plan of a job', () => {
  it('has every task once, where it may run, after all it needs, in a slot that is free and has nothing else to do then', () => {
    fc.assert(
      fc.property(request, (asked) => {
        const { tasks } = planJob(asked);
        assert.deepEqual(
          tasks.map(({ task }) => task),
          asked.tasks.map(({ task }) => task),
        );
        const finishes = new Map(tasks.map(({ task, finishSeconds }) => [task, finishSeconds]));
        for (const [index, { node, slot, startSeconds, finishSeconds }] of tasks.entries()) {
          assert.ok(asked.kinds[asked.tasks[index]!.kind]!.speeds[node]! > 0, 'a node that may run it');
          assert.ok(startSeconds >= asked.nodes[node]!.freeSeconds[slot]! - 1e-9, 'not before its slot is free');
          assert.ok(finishSeconds >= startSeconds);
        }
        for (const { from, to } of asked.edges) {
          const after = tasks.find(({ task }) => task === to)!;
          assert.ok(after.startSeconds >= finishes.get(from)! - 1e-9, `${to} starts when ${from} has ended`);
        }
        for (const one of tasks)
          for (const other of tasks)
            if (one !== other && one.node === other.node && one.slot === other.slot)
              assert.ok(
                one.finishSeconds <= other.startSeconds + 1e-9 || other.finishSeconds <= one.startSeconds + 1e-9,
                `${one.task} and ${other.task} share a slot`,
              );
      }),
    );
  });

  it('is the same for the same request, its quantiles in order and its probabilities in line with them', () => {
    fc.assert(
      fc.property(request, (asked) => {
        const plan = planJob(asked);
        assert.deepEqual(shown(planJob(asked)), shown(plan));
        const [q10, q50, q90] = [0.1, 0.5, 0.9].map(plan.finishQuantile) as [number, number, number];
        assert.ok(q10 <= q50 && q50 <= q90);
        assert.ok(plan.probabilityBy(q90) >= 0.85 && plan.probabilityBy(q10) <= 0.25);
        assert.ok(plan.probabilityBy(0) > 0 && plan.probabilityBy(Number.POSITIVE_INFINITY) < 1);
        assert.ok(Object.values(plan.cost).every((term) => term >= 0));
      }),
    );
  });

  it('is not worse with one node more, given the plan that there was', () => {
    fc.assert(
      fc.property(request, planNode, fc.double({ min: 0.3, max: 4, noNaN: true }), (asked, more, speed) => {
        const before = planJob(asked);
        const kinds = asked.kinds.map((kind) => ({ ...kind, speeds: [...Array.from(kind.speeds), speed] }));
        const nodes = [...asked.nodes, { ...more, node: 'new' }];
        const after = planJob({ ...asked, kinds, nodes, incumbent: before });
        assert.ok(
          after.makespanSeconds <= before.makespanSeconds * (1 + 1e-9),
          `${after.makespanSeconds} after ${before.makespanSeconds}`,
        );
      }),
    );
  });

  it('leaves what runs where it runs, and plans around it', () => {
    fc.assert(
      fc.property(request, (asked) => {
        const tasks = asked.tasks.map((task, index) =>
          index === 0 ? { ...task, runsOn: asked.nodes.length - 1 } : task,
        );
        const [first] = planJob({ ...asked, tasks }).tasks;
        assert.deepEqual([first!.node, first!.slot, first!.startSeconds], [asked.nodes.length - 1, -1, 0]);
      }),
    );
  });
});
