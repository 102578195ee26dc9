import assert from 'node:assert/strict';
import { buildTaskGraph, GraphError, planSchedule, problemBySpeeds } from '@foremesh/partitioner';

const edge = (from: string, to: string, sizeBytes = 0) => ({ from, to, sizeBytes });

describe('unit: scheduling, task graphs', () => {
  it('names the tasks of a circle, and not those that only wait for it', () => {
    assert.throws(
      () => buildTaskGraph(['a', 'b', 'c', 'd'], [edge('a', 'b'), edge('b', 'c'), edge('c', 'b'), edge('c', 'd')]),
      new GraphError('these tasks need each other in a circle: "c" -> "b" -> "c"'),
    );
    assert.throws(() => buildTaskGraph(['a'], [edge('a', 'a')]), /in a circle: "a" -> "a"/);
  });

  it('names what is not there, what stands twice, and what is no size', () => {
    assert.throws(() => buildTaskGraph(['a', 'a'], []), new GraphError('there are two tasks "a"'));
    assert.throws(
      () => buildTaskGraph(['a'], [edge('b', 'a')]),
      new GraphError('"a" needs "b", but there is no task "b"'),
    );
    assert.throws(() => buildTaskGraph(['a', 'b'], [edge('a', 'b', -1)]), /cannot give -1 bytes/);
    assert.throws(() => buildTaskGraph(['a', 'b'], [edge('a', 'b', Number.NaN)]), /cannot give NaN bytes/);
  });

  it('adds up several edges between the same two tasks', () => {
    const graph = buildTaskGraph(['a', 'b'], [edge('a', 'b', 3), edge('a', 'b', 4)]);
    assert.deepEqual([...graph.successorBytes], [7]);
    assert.deepEqual([...graph.predecessors], [0]);
  });

  it('no task at all is a plan of no time', () => {
    for (const algorithm of ['heft', 'cpop', 'peft', 'min-min', 'single', 'search', 'default'] as const) {
      const plan = planSchedule(
        problemBySpeeds(buildTaskGraph([], []), [], [1, 2], () => 1),
        algorithm,
      );
      assert.equal(plan.makespanSeconds, 0);
    }
  });

  it('a task that no device can run is named', () => {
    const graph = buildTaskGraph(['a', 'b'], []);
    const costSeconds = Float64Array.of(1, 1, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    const problem = { graph, devices: 2, costSeconds, secondsPerByte: new Float64Array(4) };
    for (const algorithm of ['heft', 'cpop', 'peft', 'min-min', 'default'] as const) {
      assert.throws(() => planSchedule(problem, algorithm), /task "b" can run on no device/, algorithm);
    }
    assert.throws(() => planSchedule(problem, 'single'), /no device can run every task/);
  });
});
