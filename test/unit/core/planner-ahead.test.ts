import assert from 'node:assert/strict';
import type { NodeStatus, WhyAnswer } from '@foremesh/node-runtime/contract';
import { answerQuery, createLedger, type JobPlan, type StagePlan } from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { assigned, blobNamed, done, failed, Leader, planOf, splitStage, stagePlan } from './samples.ts';

const MiB = 1024 ** 2;
const stepMs = 60_000;

/** A leader with nodes of which it knows what they take themselves. */
class Mesh extends Leader {
  constructor(looksAhead = true) {
    super({ nodeSilenceMs: 1e9, inventoryIntervalMs: 1e9 }, createLedger(), 1, { looksAhead });
    this.elect();
  }

  /** A node of one slot, unless said, that now takes nothing of a core for itself. */
  add(node: string, change: Partial<NodeStatus> = {}, cpuBackgroundShare = 0): void {
    this.join(node, { cores: 1, slots: 1, queue: 0, ...change });
    const free = { memoryAvailableBytes: 900 * MiB, memoryMeshBytes: 0 };
    const network = { networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 };
    const sample = { ageMs: 0, cpuShare: cpuBackgroundShare, cpuBackgroundShare, ...free, ...network };
    const metrics = { v: 1 as const, node, bootId: `${node}-1`, seq: 1, samples: [sample] };
    this.step({ type: 'node-metrics', metrics });
  }

  /** What it will take itself, minute by minute, the last for ever: shares of its CPU and of its memory. */
  foresee(node: string, cpu: readonly number[], memory: readonly number[] = [0.1]): void {
    const curves = [cpu, memory, [0], [0]].map((told) => {
      const values = Array.from({ length: 30 }, (_, step) => told[step] ?? told.at(-1)!);
      return { intervalMs: stepMs, q10: values, q50: values, q90: values };
    });
    this.planner.nodes.get(node)!.series.outlook = { originMs: this.nowMs, curves };
  }

  /** What is assigned because of these jobs, and once time has passed: `t-0 bob`. */
  tell(job: string, plan: JobPlan): string[] {
    return assigned(this.submit(job, plan)).map(({ task, node }) => `${task} ${node}`);
  }
  wait(forMs: number): string[] {
    return assigned(this.step({ type: 'tick' }, forMs)).map(({ task, node }) => `${task} ${node}`);
  }

  finish(task: string): string[] {
    const attempt = [...this.planner.attempts.values()].find((each) => each.task.ledger.task === task)!;
    return assigned(this.report(attempt.node, [done(attempt.key)])).map((each) => `${each.task} ${each.node}`);
  }

  why(name: string): WhyAnswer {
    const said = answerQuery(this.planner, 'me', { v: 1, id: 'q', query: 'why', name });
    assert.ok(said.query === 'why', JSON.stringify(said));
    return said.why;
  }
}

/** One task that takes so many seconds on a core of speed 1. */
const taking = (estimateSeconds: number, stage = 't', change: Partial<StagePlan> = {}) =>
  stagePlan(stage, { estimateSeconds, ...change });

describe('planner: placement ahead', () => {
  let mesh: Mesh;
  beforeEach(() => {
    mesh = new Mesh();
  });

  it('lets a task wait for a faster node while it ends earlier there, and says so', () => {
    mesh.add('fast', { speed: { js: 10 } });
    mesh.add('slow');
    assert.deepEqual(mesh.tell('one', planOf(taking(100, 'a'))), ['a-0 fast']);
    assert.deepEqual(mesh.tell('two', planOf(taking(100, 'b'))), []);
    const { reason, text, nodes, decidedBy, weights } = mesh.why('b-0');
    assert.equal(reason, 'held');
    assert.match(text, /waits for fast: there it would end in/);
    assert.deepEqual([decidedBy, weights?.makespan], ['makespan', 1]);
    const costs = nodes.map(({ node, verdict, cost }) => [node, verdict, Math.round(cost!.startSeconds)]);
    assert.deepEqual(costs, [
      ['fast', 'later', 10],
      ['slow', 'could', 0],
    ]);
    assert.deepEqual(mesh.finish('a-0'), ['b-0 fast']);
  });

  it('waits on when it is longer than it was told, but not longer than that can be worth', () => {
    mesh.add('fast', { speed: { js: 10 } });
    mesh.add('slow');
    mesh.tell('one', planOf(taking(100, 'a')));
    mesh.tell('two', planOf(taking(100, 'b')));
    // It was told 10 s. The slow one would take 100.
    assert.deepEqual(mesh.wait(21_000), [], 'twice as long');
    assert.match(mesh.why('b-0').text, /waits for fast, longer than was expected: there it would end in/);
    assert.deepEqual(mesh.wait(50_000), []);
    assert.deepEqual(mesh.wait(30_000), ['b-0 slow']);
  });

  it('does not send one that waits too long to a node that its own work starves, only to fetch it back', () => {
    for (const node of ['bob', 'cyd']) mesh.add(node);
    mesh.tell('one', planOf(taking(10, 'a')));
    mesh.tell('two', planOf(taking(10, 'b')));
    mesh.add('dan', {}, 0.97);
    assert.deepEqual(mesh.tell('three', planOf(taking(10, 'c'))), []);
    // Both are late: what waits for them is told nothing that holds.
    assert.deepEqual(mesh.wait(25_000), []);
    assert.deepEqual(mesh.wait(5_000), []);
    assert.deepEqual(mesh.finish('a-0'), ['c-0 bob']);
    assert.equal(mesh.planner.jobs.get('me/three')!.moves, undefined);
  });

  it('uses the slow node for what the fast one cannot end before', () => {
    mesh.add('fast', { speed: { js: 10 } });
    mesh.add('slow');
    const effects = mesh.submit('j', planOf(splitStage('s', 12, { estimateSeconds: 120 })));
    assert.deepEqual(assigned(effects), []);
    const started = assigned(mesh.indexed('j', 's', 12));
    assert.deepEqual(
      started.map(({ task, node }) => `${task} ${node}`),
      // Each takes 1 s on the fast one and 10 s on the slow one: nine end there before one would here, and eleven more are ready.
      ['s-0 fast', 's-1 slow'],
    );
  });

  it('keeps off a node that will be busy, and waits for one that soon will not be', () => {
    mesh.add('bob');
    mesh.add('cyd', { speed: { js: 0.8 } });
    mesh.foresee('bob', [0, 0.95]);
    mesh.foresee('cyd', [0]);
    assert.deepEqual(mesh.tell('long', planOf(taking(200))), ['t-0 cyd']);
    assert.deepEqual(mesh.tell('short', planOf(taking(10, 'u'))), ['u-0 bob'], 'it is over before that');
    mesh.add('dan', {}, 0.9);
    mesh.foresee('dan', [0.9, 0]);
    assert.deepEqual(mesh.tell('later', planOf(taking(100, 'v'))), []);
    const { reason, nodes } = mesh.why('v-0');
    assert.equal(reason, 'held');
    assert.equal(nodes.find(({ node }) => node === 'dan')!.cost!.contentionSeconds, 0);
    assert.deepEqual(mesh.wait(60_000), ['v-0 dan'], 'the forecast said so, whatever was measured last');
  });

  it('goes by what is measured now, and by nothing that is forecast, where the policy does not look ahead', () => {
    const decisions = (curves: readonly number[][], memory: readonly number[][]) => {
      const reactive = new Mesh(false);
      for (const [index, node] of ['bob', 'cyd', 'dan'].entries()) {
        reactive.add(node, { speed: { js: 1 + index / 10 } }, index === 1 ? 0.3 : 0);
        reactive.foresee(node, curves[index]!, memory[index]);
        reactive.planner.nodes.get(node)!.leavesPerSecond = curves[index]![0]!;
      }
      const said = [20, 300, 2, 90].flatMap((seconds, index) =>
        reactive.tell(`j${index}`, planOf(taking(seconds, `s${index}`))),
      );
      for (const task of ['s0-0', 's1-0', 's2-0']) said.push(...reactive.finish(task));
      return [...said, ...reactive.wait(120_000)];
    };
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const futures = fc.array(fc.array(share, { minLength: 2, maxLength: 4 }), { minLength: 3, maxLength: 3 });
    const usual = decisions([[0], [0], [0]], [[0.1], [0.1], [0.1]]);
    assert.ok(usual.length === 4, usual.join());
    fc.assert(
      fc.property(futures, futures, (cpu, memory) => assert.deepEqual(decisions(cpu, memory), usual)),
      { numRuns: 50 },
    );
  });

  it('puts what a job says on the scales', () => {
    const busy = () => {
      mesh = new Mesh();
      mesh.add('bob', {}, 0.5);
      mesh.add('cyd', { speed: { js: 0.45 } });
    };
    busy();
    assert.deepEqual(
      mesh.tell('kind', planOf(taking(10))),
      ['t-0 cyd'],
      'bob ends it earlier, and would lose half a core',
    );
    const { decidedBy, nodes } = mesh.why('t-0');
    assert.deepEqual([decidedBy, nodes[0]!.node, nodes[0]!.verdict], ['contention', 'cyd', 'chosen']);
    busy();
    const weights = { makespan: 1, contention: 0, transfer: 1, risk: 1 };
    assert.deepEqual(mesh.tell('hasty', { ...planOf(taking(10)), weights }), ['t-0 bob']);
    assert.deepEqual(mesh.why('t-0').weights, weights);
  });

  it('goes where its input was made, if links are slow enough to mind', () => {
    mesh.add('bob');
    mesh.add('cyd', { speed: { js: 1.1 } });
    const plan = planOf(stagePlan('first', { labels: ['x'], sink: false }), taking(60, 'then', { needs: ['first'] }));
    mesh.add('dan', { labels: ['x'] });
    assert.deepEqual(mesh.tell('j', plan), ['first-0 dan']);
    const [attempt] = mesh.planner.attempts.keys();
    const output = { encoding: 'bytes' as const, ...blobNamed('b', 200e6) };
    const usage = { cpuMs: 1, wallMs: 1, peakMemoryBytes: 1, inputBytes: 1, outputBytes: 200e6 };
    const next = assigned(mesh.report('dan', [{ type: 'done', attempt: attempt!, usage, output }]));
    assert.deepEqual(
      next.map(({ task, node }) => `${task} ${node}`),
      ['then-0 dan'],
    );
    assert.equal(mesh.why('then-0').decidedBy, 'transfer');
  });

  it('keeps off a node whose memory will be needed before the task ends', () => {
    const large = { limits: { memoryBytes: 300 * MiB, cpuMs: 1_000, wallMs: 1_000, outputBytes: 1_000 } };
    for (const node of ['bob', 'cyd'])
      mesh.add(node, { offeredMemoryBytes: 800 * MiB, speed: { js: node === 'bob' ? 2 : 1 } });
    mesh.foresee('bob', [0], [0.1, 0.1, 0.9]);
    mesh.foresee('cyd', [0], [0.1]);
    assert.deepEqual(mesh.tell('long', planOf(taking(400, 't', large))), ['t-0 cyd']);
    assert.deepEqual(mesh.tell('short', planOf(taking(20, 'u', large))), ['u-0 bob']);
  });

  it('goes by what is free now where nobody knows what a task takes, or it is short', () => {
    mesh.add('fast', { speed: { js: 10 } });
    mesh.add('slow');
    mesh.tell('one', planOf(taking(100, 'a')));
    assert.deepEqual(mesh.tell('unknown', planOf(stagePlan('b'))), ['b-0 slow']);
    assert.equal(mesh.why('b-0').nodes[0]!.cost, undefined);
    mesh.finish('b-0');
    assert.deepEqual(mesh.tell('short', planOf(taking(0.5, 'c'))), ['c-0 slow']);
  });

  describe('whatever the nodes are', () => {
    const share = fc.constantFrom(0, 0, 0.3, 0.9);
    const anyNode = fc.record({
      speed: fc.double({ min: 0.2, max: 4, noNaN: true }),
      slots: fc.integer({ min: 1, max: 3 }),
      now: share,
      ahead: fc.array(share, { minLength: 1, maxLength: 4 }),
      busySeconds: fc.constantFrom(undefined, 5, 60, 400),
    });
    type Some = typeof anyNode extends fc.Arbitrary<infer Node> ? Node : never;
    const someNodes = fc.array(anyNode, { minLength: 1, maxLength: 4 });
    const someWork = fc.record({
      tasks: fc.integer({ min: 1, max: 12 }),
      seconds: fc.constantFrom(5, 60, 600),
      others: fc.constantFrom(0, 1),
    });

    /** Nodes, some with a task that takes one slot of them, and then a stage of equal tasks. */
    function meshWith(
      nodes: readonly Some[],
      { tasks, seconds, others }: { tasks: number; seconds: number; others: number },
    ) {
      const some = new Mesh();
      for (const [index, { speed, slots, now, ahead, busySeconds }] of nodes.entries()) {
        const name = `n${index}`;
        some.add(name, { speed: { js: speed }, slots, cores: slots, labels: [name] }, now);
        some.foresee(name, [now, ...ahead]);
        if (busySeconds !== undefined) some.tell(name, planOf(taking(busySeconds, `busy-${name}`, { labels: [name] })));
      }
      const matrix = { number: Array.from({ length: tasks }, (_, number) => number) };
      const stage = taking(tasks * seconds, 's', { matrix, merge: undefined as never });
      const weights = { makespan: 1, contention: others, transfer: others, risk: others };
      some.submit('j', { ...planOf(stage), weights });
      return some;
    }

    it('one more ends a stage no later, but for what counts as equal', () => {
      /** What each task is expected to cost, where it is or will be; those that nobody has looked at yet are left out. */
      const costs = (some: Mesh) =>
        [...some.planner.jobs.get('me/j')!.tasks.values()].flatMap(({ attempts, held }) => {
          const [attempt] = attempts;
          return (attempt?.expected ?? held?.waitsFor?.expected)?.terms.total ?? [];
        });
      fc.assert(
        fc.property(someNodes, anyNode, someWork, (nodes, newcomer, work) => {
          const few = costs(meshWith(nodes, work));
          const more = costs(meshWith([...nodes, newcomer], work));
          assert.ok(more.length >= few.length);
          const last = Math.max(...few);
          assert.ok(Math.max(...more.slice(0, few.length)) <= last * 1.05 + 1e-9, `${few} -> ${more}`);
        }),
        { numRuns: 200 },
      );
    });

    it('nothing is moved while all is as it was when it was placed', () => {
      fc.assert(
        fc.property(someNodes, someWork, fc.integer({ min: 250, max: 4_000 }), (nodes, work, afterMs) => {
          const some = meshWith(nodes, work);
          for (const { node, key } of [...some.planner.attempts.values()])
            some.report(node, [{ type: 'started', attempt: key }]);
          const effects = some.step({ type: 'tick' }, afterMs);
          const moved = effects.filter((effect) => effect.type === 'event' && effect.event.kind === 'task-moved');
          assert.deepEqual(moved, []);
        }),
        { numRuns: 200 },
      );
    });
  });

  it('tries a task elsewhere that failed, and waits for better anew', () => {
    mesh.add('fast', { speed: { js: 10 } });
    mesh.add('slow');
    mesh.tell('j', planOf(taking(100)));
    const [attempt] = mesh.planner.attempts.keys();
    assert.deepEqual(
      assigned(mesh.report('fast', [failed(attempt!, 'task')])).map(({ node }) => node),
      ['slow'],
    );
  });
});

describe('planner: whose turn it is', () => {
  const attemptsOf = (mesh: Mesh, job: string) => mesh.planner.jobs.get(`me/${job}`)?.attempts ?? 0;
  function submitMany(mesh: Mesh, job: string, count: number, change: Partial<StagePlan>): void {
    const values = Array.from({ length: count }, (_, number) => number);
    mesh.submit(job, planOf(stagePlan('s', { matrix: { number: values }, merge: undefined as never, ...change })));
  }

  it('is that of the job with least, so that equal jobs share the slots, one more or less', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 2, max: 4 }),
        fc.constantFrom({}, { estimateSeconds: 4_000 }),
        fc.infiniteStream(fc.nat()),
        (slots, jobs, change, chance) => {
          const mesh = new Mesh();
          const all = slots.reduce((sum, each) => sum + each, 0);
          for (let job = 0; job < jobs; job += 1) submitMany(mesh, `j${job}`, 40, change);
          for (const [index, count] of slots.entries()) mesh.add(`n${index}`, { slots: count, cores: count });
          const check = () => {
            const shares = Array.from({ length: jobs }, (_, job) => attemptsOf(mesh, `j${job}`));
            assert.equal(
              shares.reduce((sum, each) => sum + each, 0),
              all,
              'no slot is idle',
            );
            for (const share of shares) assert.ok(Math.abs(share - all / jobs) <= 1, shares.join());
          };
          for (let round = 0; round < 15; round += 1) {
            const running = [...mesh.planner.attempts.values()];
            const attempt = running[chance.next().value! % running.length]!;
            mesh.report(attempt.node, [done(attempt.key)]);
          }
          // From whatever there was (the first came to an empty mesh, one node after the other), it is even once all have been served anew.
          for (const attempt of [...mesh.planner.attempts.values()]) mesh.report(attempt.node, [done(attempt.key)]);
          check();
        },
      ),
      { numRuns: 40 },
    );
  });

  it('comes for a job that is submitted behind a huge one with the very next slots', () => {
    const mesh = new Mesh();
    mesh.add('bob', { slots: 4, cores: 4 });
    submitMany(mesh, 'huge', 400, {});
    submitMany(mesh, 'late', 3, {});
    assert.deepEqual([attemptsOf(mesh, 'huge'), attemptsOf(mesh, 'late')], [4, 0]);
    for (let freed = 0; freed < 2; freed += 1) {
      const [first] = mesh.planner.attempts.values();
      mesh.report('bob', [done(first!.key)]);
    }
    assert.deepEqual([attemptsOf(mesh, 'huge'), attemptsOf(mesh, 'late')], [2, 2]);
  });

  it('is that of the stage with the longest way to the end of its job, whichever became ready first', () => {
    const mesh = new Mesh();
    const plan = planOf(
      taking(10, 'side'),
      taking(10, 'main', { sink: false }),
      taking(500, 'end', { needs: ['main'] }),
    );
    mesh.submit('j', plan);
    mesh.add('bob');
    const [first] = mesh.planner.attempts.values();
    assert.equal(first!.task.ledger.task, 'main-0');
  });

  it('is that of a higher priority first, whatever its job has', () => {
    const mesh = new Mesh();
    submitMany(mesh, 'low', 4, {});
    submitMany(mesh, 'high', 4, { priority: 7 });
    mesh.add('bob', { slots: 3, cores: 3 });
    assert.deepEqual([attemptsOf(mesh, 'low'), attemptsOf(mesh, 'high')], [0, 3]);
  });
});
