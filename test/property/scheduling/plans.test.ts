import assert from 'node:assert/strict';
import {
  buildTaskGraph,
  type GraphEdge,
  lowerBoundSeconds,
  planSchedule,
  type SchedulingProblem,
  scheduleProblem,
  schedulingAlgorithms,
} from '@foremesh/partitioner';
import fc from 'fast-check';

const evaluations = 300;

/** Graphs with tasks of no work, edges of no bytes, several components; devices that some tasks cannot run on. */
const problems = fc
  .record({ tasks: fc.integer({ min: 1, max: 14 }), devices: fc.integer({ min: 1, max: 5 }) })
  .chain(({ tasks, devices }) =>
    fc.record({
      devices: fc.constant(devices),
      edges: fc.array(fc.tuple(fc.nat(tasks - 1), fc.nat(tasks - 1), fc.oneof(fc.constant(0), fc.nat(1_000))), {
        maxLength: 30,
      }),
      costs: fc.array(
        fc.array(
          fc.oneof(
            { weight: 8, arbitrary: fc.nat(100) },
            { weight: 1, arbitrary: fc.constant(Number.POSITIVE_INFINITY) },
          ),
          {
            minLength: devices,
            maxLength: devices,
          },
        ),
        { minLength: tasks, maxLength: tasks },
      ),
      links: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: devices * devices, maxLength: devices * devices }),
    }),
  )
  .filter(({ costs }) => costs.every((row) => row.some((cost) => cost < Number.POSITIVE_INFINITY)));

function build({
  devices,
  edges,
  costs,
  links,
}: typeof problems extends fc.Arbitrary<infer T> ? T : never): SchedulingProblem {
  // The numbers hide the order in which the tasks were drawn.
  const name = (task: number) => `t${(task * 7) % 15}`;
  const forward: GraphEdge[] = edges
    .filter(([one, other]) => one !== other)
    .map(([one, other, sizeBytes]) => ({
      from: name(Math.min(one, other)),
      to: name(Math.max(one, other)),
      sizeBytes,
    }));
  const graph = buildTaskGraph(
    costs.map((_, task) => name(task)),
    forward,
  );
  const secondsPerByte = Float64Array.from(links, (link, at) =>
    Math.floor(at / devices) === at % devices ? 0 : 1 / link,
  );
  return { graph, devices, costSeconds: Float64Array.from(costs.flat()), secondsPerByte };
}

describe('property: scheduling', () => {
  it('every algorithm plans every task once, after what it needs, where it can run, one at a time per device; not below the bound', () => {
    fc.assert(
      fc.property(problems, (drawn) => {
        const problem = build(drawn);
        const bound = lowerBoundSeconds(problem);
        const makespans = schedulingAlgorithms.map((algorithm) => {
          if (algorithm === 'single' && cannotBeAlone(problem)) return Number.POSITIVE_INFINITY;
          const plan = planSchedule(problem, algorithm, { evaluations });
          assert.equal(scheduleProblem(problem, plan), undefined, algorithm);
          assert.ok(plan.makespanSeconds >= bound * (1 - 1e-9), `${algorithm} beats the bound`);
          return plan.makespanSeconds;
        });
        const [heft, cpop, peft, minMin, single, , own] = makespans;
        assert.ok(own! <= Math.min(heft!, cpop!, peft!, minMin!, single!), `default is worse: ${makespans}`);
      }),
    );
  });

  it('the same graph and seed give the same plan', () => {
    fc.assert(
      fc.property(problems, fc.nat(), (drawn, seed) => {
        const [one, other] = [1, 2].map(() => planSchedule(build(drawn), 'default', { seed, evaluations }));
        assert.deepEqual(one, other);
      }),
      { numRuns: 30 },
    );
  });

  it('small ones are planned as well as trying everything does, nearly always', () => {
    let missed = 0;
    let tried = 0;
    fc.assert(
      fc.property(problems, (drawn) => {
        const problem = build({
          ...drawn,
          costs: drawn.costs.slice(0, 5),
          edges: drawn.edges.filter(([a, b]) => a < 5 && b < 5),
        });
        tried += 1;
        if (planSchedule(problem, 'default').makespanSeconds > exhaustive(problem) + 1e-9) missed += 1;
      }),
      { numRuns: 60 },
    );
    assert.ok(missed <= tried * 0.05, `${missed} of ${tried} are not the best`);
  });
});

function cannotBeAlone({ graph, devices, costSeconds }: SchedulingProblem): boolean {
  return !Array.from({ length: devices }, (_, device) => device).some((device) =>
    graph.ids.every((_, task) => costSeconds[task * devices + device]! < Number.POSITIVE_INFINITY),
  );
}

/** The least makespan over every order and every choice of devices, each task as early as that allows. */
function exhaustive({ graph, devices, costSeconds, secondsPerByte }: SchedulingProblem): number {
  let best = Number.POSITIVE_INFINITY;
  const finish = new Float64Array(graph.size);
  const where = new Int32Array(graph.size).fill(-1);
  const free = new Float64Array(devices);
  const visit = (planned: number, makespan: number) => {
    if (makespan >= best) return;
    if (planned === graph.size) {
      best = makespan;
      return;
    }
    for (let task = 0; task < graph.size; task += 1) {
      if (where[task]! >= 0) continue;
      const edges = range(graph.predecessorOffsets[task]!, graph.predecessorOffsets[task + 1]!);
      if (edges.some((each) => where[graph.predecessors[each]!]! < 0)) continue;
      for (let on = 0; on < devices; on += 1) {
        const arrivals = edges.map((each) => {
          const before = graph.predecessors[each]!;
          return finish[before]! + graph.predecessorBytes[each]! * secondsPerByte[where[before]! * devices + on]!;
        });
        const was = free[on]!;
        finish[task] = Math.max(was, ...arrivals) + costSeconds[task * devices + on]!;
        where[task] = on;
        free[on] = finish[task]!;
        visit(planned + 1, Math.max(makespan, finish[task]!));
        free[on] = was;
        where[task] = -1;
      }
    }
  };
  visit(0, 0);
  return best;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}
