import assert from 'node:assert/strict';
import {
  encode,
  type ForecastResource,
  limits,
  type NodeForecast,
  nodeForecast,
} from '@foremesh/node-runtime/contract';
import { answerQuery, createLedger } from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { bobOf, forecastsOf, GiB, phaseMs, sample, stepMs, Told } from './foreseeing.ts';
import { assigned, done, Leader, nodeStatus, planOf, stagePlan } from './samples.ts';

describe('planner: what is left to the mesh', () => {
  let told: Told;
  let leader: Leader;
  const { tickAt, metricsAt, join, steps } = bobOf(() => leader);
  beforeEach(() => {
    told = new Told();
    leader = new Leader({ nodeSilenceMs: 1e9 }, createLedger(), 1, { createForesight: () => told });
    leader.elect();
  });

  const flat = (q10: number, q50: number, q90: number, steps = 30) => ({
    ...{ q10: Array(steps).fill(q10), q50: Array(steps).fill(q50), q90: Array(steps).fill(q90) },
  });
  const of = ({ resources }: NodeForecast, kind: ForecastResource) =>
    resources.find(({ resource }) => resource === kind)!;
  const first = ({ q10, q50, q90 }: { q10: number[]; q50: number[]; q90: number[] }) => [q10[0], q50[0], q90[0]];

  it('is little where the device may need much: the 10 % of the one are the 90 % of the other', () => {
    told.curves = { cpu: flat(0.1, 0.4, 0.7), memory: flat(0.2, 0.5, 0.75), 'network-in': flat(1, 2, 3.4) };
    join({ share: 0.8, offeredMemoryBytes: Math.round(0.6 * GiB) });
    steps([0.1]);
    const [forecast] = forecastsOf(tickAt(leader.nowMs));
    assert.deepEqual(nodeForecast.parse(forecast), forecast);
    assert.deepEqual(first(of(forecast!, 'cpu').own), [0.1, 0.4, 0.7]);
    assert.deepEqual(first(of(forecast!, 'cpu').available!), [0.3, 0.6, 0.8], 'no more than its owner allows');
    assert.deepEqual(first(of(forecast!, 'memory').own), [0.2 * GiB, 0.5 * GiB, 0.75 * GiB].map(Math.round));
    assert.deepEqual(first(of(forecast!, 'memory').available!), [0.25 * GiB, 0.5 * GiB, 0.6 * GiB].map(Math.round));
    assert.deepEqual(first(of(forecast!, 'network-in').own), [1, 2, 3]);
    assert.equal(of(forecast!, 'network-in').available, undefined, 'nobody says how much there is');
    const { leader: by, term, intervalMs, observedSteps, originWallMs } = forecast!;
    assert.deepEqual([by, term, intervalMs, observedSteps], ['ada', 1, stepMs, 1]);
    assert.equal(originWallMs, Math.round(leader.wallStartMs + phaseMs + stepMs));
  });

  it('is nothing while the owner withholds it', () => {
    join({ slots: 0, withheld: { reason: 'paused', text: 'paused' } });
    steps([0.1]);
    const [forecast] = forecastsOf(tickAt(leader.nowMs));
    assert.deepEqual(first(of(forecast!, 'cpu').available!), [0, 0, 0]);
    assert.deepEqual(first(of(forecast!, 'memory').available!), [0, 0, 0]);
    assert.equal(forecast!.withheld?.reason, 'paused');
  });

  const closed = { slots: 0, withheld: { reason: 'hours', text: 'only 08:00-18:00' } } as const;

  it('is nothing from when the hours of its owner end, and what ran there is given back', () => {
    join({ cores: 2, slots: 2, offeredMemoryBytes: GiB });
    leader.submit('j', planOf(stagePlan('s')));
    const ahead = [
      { afterMs: 4.2 * stepMs, ...closed },
      { afterMs: 6.4 * stepMs, slots: 2 },
    ];
    metricsAt(phaseMs + 0.5 * stepMs, [sample(0, 0)], { ahead });
    // What comes late says less than what was said after it.
    metricsAt(phaseMs + 0.6 * stepMs, [sample(0, 0)], { seq: 0, ahead: [{ afterMs: 0, ...closed }] });
    metricsAt(phaseMs + 1.1 * stepMs, [sample(0, 0)], {
      ahead: ahead.map((change) => ({ ...change, afterMs: change.afterMs - 0.6 * stepMs })),
    });
    const [forecast] = forecastsOf(tickAt(leader.nowMs));
    assert.deepEqual(nodeForecast.parse(forecast), forecast);
    // The origin is half a step after the first batch: it is closed from 3.7 to 5.9.
    assert.deepEqual(of(forecast!, 'cpu').available!.q90.slice(0, 8), [0.5, 0.5, 0.5, 0, 0, 0, 1, 1]);
    assert.deepEqual(
      of(forecast!, 'memory').available!.q50.map((bytes) => bytes > 0),
      Array.from({ length: 30 }, (_, step) => step < 3 || step > 5),
    );
    const [end, begin] = forecast!.ahead!;
    assert.deepEqual([end!.slots, end!.withheld?.reason, begin!.slots, begin!.withheld], [0, 'hours', 2, undefined]);
    assert.ok(Math.abs(end!.afterMs - 3.7 * stepMs) <= 1, 'counted from the origin');
  });

  it('is what the status says until a change comes, and after it until the next status', () => {
    join({ seq: 5 });
    const first = (atMs: number) => {
      const [forecast] = forecastsOf(tickAt(atMs));
      return of(forecast!, 'cpu').available!.q50[0];
    };
    metricsAt(phaseMs + 0.5 * stepMs, [sample(0, 0)], { ahead: [{ afterMs: 0.55 * stepMs, ...closed }] });
    leader.nowMs = phaseMs + 1.1 * stepMs;
    leader.step({ type: 'node-status', status: nodeStatus('bob', { seq: 5 }) });
    assert.equal(leader.planner.nodes.get('bob')!.offersAhead!.changes.length, 1, 'it had said that before');
    leader.step({ type: 'node-status', status: nodeStatus('bob', { seq: 6 }) });
    metricsAt(leader.nowMs, [sample(0, 0)]);
    assert.equal(first(leader.nowMs), 1, 'its owner has changed his mind');
    metricsAt(phaseMs + 2.1 * stepMs, [sample(0, 0)], { ahead: [{ afterMs: 0, ...closed }] });
    assert.equal(first(leader.nowMs), 0);
    leader.join('bob', { bootId: 'bob-2' });
    assert.equal(leader.planner.nodes.get('bob')!.offersAhead, undefined);
  });

  it('is told in durations: nothing of it changes with a wall clock', () => {
    const change = fc.record({ afterMs: fc.integer({ min: 0, max: 3_600_000 }), open: fc.boolean() });
    const curvesWith = (ahead: { afterMs: number; open: boolean }[], wallStartMs: number) => {
      leader = new Leader({ nodeSilenceMs: 1e9 }, createLedger(), 1, { createForesight: () => told });
      leader.wallStartMs = wallStartMs;
      leader.elect();
      join();
      const changes = ahead.map(({ afterMs, open }) => (open ? { afterMs, slots: 2 } : { afterMs, ...closed }));
      metricsAt(phaseMs + 0.5 * stepMs, [sample(0, 0)]);
      metricsAt(phaseMs + 1.5 * stepMs, [sample(0, 0)], { ahead: changes });
      const [forecast] = forecastsOf(tickAt(leader.nowMs));
      return of(forecast!, 'cpu').available!.q50;
    };
    const ordered = fc.array(change, { maxLength: 6 }).map((all) => all.sort((a, b) => a.afterMs - b.afterMs));
    fc.assert(
      fc.property(ordered, fc.integer({ min: 0, max: 2e12 }), (ahead, wallStartMs) => {
        const curve = curvesWith(ahead, 1_000_000);
        assert.deepEqual(curvesWith(ahead, wallStartMs), curve);
        for (const [step, share] of curve.entries()) {
          const [fromMs, untilMs] = [step - 0.5, step + 0.5].map((each) => each * stepMs) as [number, number];
          const before = ahead.findLast(({ afterMs }) => afterMs <= fromMs)?.open ?? true;
          const within = ahead.filter(({ afterMs }) => afterMs > fromMs && afterMs < untilMs);
          assert.equal(share, before && within.every(({ open }) => open) ? 1 : 0, `step ${step}`);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('is less by what tasks will take, for as long as those of their stage usually take', () => {
    join({ cores: 2, slots: 2, offeredMemoryBytes: GiB });
    const plan = stagePlan('s', { estimateSeconds: 240 });
    leader.submit('j', planOf(plan));
    steps([0, 0]);
    const [forecast] = forecastsOf(tickAt(leader.nowMs));
    // It began at time 0, when nobody had said what the device takes itself, which counts as half: it is expected to take eight
    // minutes. The origin is 2.62 minutes later: 5.38 are left.
    const { q50 } = of(forecast!, 'cpu').available!;
    assert.deepEqual(q50.slice(0, 7), [0.5, 0.5, 0.5, 0.5, 0.5, 1, 1]);
    const memory = of(forecast!, 'memory').available!.q50;
    assert.equal(memory[5]! - memory[4]!, plan.limits.memoryBytes);
  });

  describe('while a task runs that says how far it is', () => {
    const fromMs = phaseMs - 10_000;
    /** A task of two like it, half a minute before the first forecast a tenth done; nobody knows what it takes. */
    function running(fraction: number, afterMs: number, plan: Parameters<typeof stagePlan>[1] = {}) {
      join({ cores: 2, slots: 1, queue: 0, offeredMemoryBytes: GiB });
      leader.nowMs = fromMs;
      const stage = (name: string) => planOf(stagePlan(name, plan));
      const [first] = assigned(leader.submit('j', stage('s')));
      leader.report('bob', [{ type: 'started', attempt: first!.attempt }]);
      leader.submit('k', stage('t'));
      leader.nowMs += afterMs;
      leader.report('bob', [{ type: 'progress', attempt: first!.attempt, fraction }]);
      metricsAt(leader.nowMs, [sample(0, 0)]);
      metricsAt(leader.nowMs + stepMs, [sample(0, 0)]);
      const [forecast] = forecastsOf(tickAt(leader.nowMs));
      return forecast!;
    }
    const jobLeftMs = () => {
      const answer = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'job', job: 'j' });
      return answer.query === 'job' ? answer.state.remainingMs : undefined;
    };
    const roomAfterMs = () => {
      const answer = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name: 't-0', job: 'k' });
      return answer.query === 'why' ? answer.why.room?.afterMs : undefined;
    };

    it('is less until that will be done, as `jobs` and `why` say it', () => {
      const forecast = running(0.25, stepMs);
      // It ran for two minutes: six are left.
      assert.equal(jobLeftMs(), 6 * stepMs);
      const busy = of(forecast, 'cpu').available!.q50.filter((share) => share < 1).length;
      assert.ok(busy >= 5 && busy <= 7, `${busy}`);
      const afterMs = roomAfterMs()!;
      assert.ok(afterMs >= 5.5 * stepMs && afterMs <= 7 * stepMs, `${afterMs}`);
    });

    it('believes that rather than an estimate that it has outlived, and others that have ended rather than itself', () => {
      running(0.5, 9 * stepMs, { estimateSeconds: 60 });
      assert.equal(jobLeftMs(), 10 * stepMs);
      const afterMs = roomAfterMs()!;
      assert.ok(afterMs >= 9.5 * stepMs && afterMs <= 11 * stepMs, `${afterMs}`);
    });

    it('of a job is what its longest task takes: it has one slot, however many there are', () => {
      leader.join('idle', { slots: 3, engines: [] });
      running(0.25, stepMs);
      assert.equal(jobLeftMs(), 6 * stepMs);
    });
  });

  describe('when there is room first, behind tasks that run', () => {
    const whyOf = (name: string, job: string) => {
      const answer = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name, job });
      assert.ok(answer.query === 'why');
      return answer.why;
    };
    /** One task, of a minute as its author says, has run so long; so many wait for its slot. */
    function waiting(ranMs: number, jobs = 1) {
      join({ slots: 1, queue: 0, offeredMemoryBytes: GiB });
      // A forecast that begins now: the task is assigned once it is known what the device takes.
      steps([0]);
      tickAt(leader.nowMs);
      const one = (stage: string) => planOf(stagePlan(stage, { estimateSeconds: 60 }));
      const [first] = assigned(leader.submit('j', one('s')));
      leader.report('bob', [{ type: 'started', attempt: first!.attempt }]);
      for (let job = 0; job < jobs; job += 1) leader.submit(`k${job}`, one('t'));
      tickAt(leader.nowMs + ranMs);
      return { atMs: leader.nowMs };
    }

    it('is as uncertain as it is when they end, to the second rather than to the step', () => {
      waiting(20_000);
      const { earliestMs, afterMs, latestMs } = whyOf('t-0', 'k0').room!;
      // An author's minute is half or two minutes once in ten each.
      assert.deepEqual([earliestMs, afterMs, latestMs], [10_000, 40_000, 100_000]);
    });

    it('of one that takes longer than was said is as far as it is late, give or take', () => {
      waiting(150_000);
      const { earliestMs, afterMs, latestMs } = whyOf('t-0', 'k0').room!;
      assert.deepEqual([earliestMs, afterMs, latestMs], [10_000, 90_000, 810_000]);
    });

    it('is for whichever of those that wait comes first; when each begins, its plan says', () => {
      waiting(2_000, 4);
      const rounds = 4;
      for (let round = 0; round < rounds; round += 1) tickAt(leader.nowMs + 100);
      const said = Array.from({ length: 4 }, (_, job) => whyOf('t-0', `k${job}`));
      for (const { room } of said) assert.deepEqual(room, said[0]!.room);
      assert.deepEqual(
        said.map(({ ahead }) => ahead!.tasks),
        [0, 1, 2, 3],
      );
      assert.equal(said[0]!.planned, undefined, 'the next begins when there is room');
      for (const { planned, room } of said.slice(1)) {
        assert.equal(planned!.node, 'bob');
        assert.ok(planned!.startMs >= room!.afterMs! + 30_000, JSON.stringify(planned));
      }
    });
  });

  it('fits a payload however long it is, and goes when the node goes', () => {
    const most = limits.forecastSteps;
    told.curves = Object.fromEntries(
      (['cpu', 'memory', 'network-in', 'network-out'] as const).map((kind) => [
        kind,
        flat(0.1234, 0.2345, 0.3456, most),
      ]),
    );
    leader = new Leader({ forecastSteps: most }, createLedger(), 1, { createForesight: () => told });
    leader.elect();
    join({ memoryBytes: 2 ** 42, offeredMemoryBytes: 2 ** 42 });
    steps([0.1]);
    const [forecast] = forecastsOf(tickAt(leader.nowMs));
    assert.ok(encode(forecast, 'json').length < limits.payloadBytes / 4);
    const effects = leader.step({
      type: 'applied',
      events: [{ type: 'node-removed', node: 'bob', publicKey: 'A'.repeat(43) }],
    });
    assert.ok(effects.some((effect) => effect.type === 'clear-forecast' && effect.node === 'bob'));
    assert.deepEqual(
      told.closed,
      ['cpu', 'memory', 'network-in', 'network-out'].map((kind) => `bob/${kind}`),
    );
  });

  it('places short tasks by what is now, and long ones by what is expected', () => {
    const busy = { q10: [0.8], q50: [0.9], q90: [1] };
    told.curves = {
      cpu: Object.fromEntries(Object.entries(busy).map(([name, [value]]) => [name, Array(30).fill(value)])) as never,
    };
    join({ slots: 1, queue: 0 });
    leader.join('cyd', { slots: 1, queue: 0, speed: { js: 0.7 } });
    steps([0]);
    tickAt(leader.nowMs);
    // Bob is idle now and will be busy; of cyd nothing is known: half of it.
    const [long] = assigned(leader.submit('long', planOf(stagePlan('s'))));
    assert.equal(long!.node, 'cyd');
    leader.report('cyd', [done(long!.attempt)]);
  });

  it('places what takes long where the hours of the owner do not end before', () => {
    join({ slots: 1, queue: 0 });
    leader.join('cyd', { slots: 1, queue: 0, speed: { js: 0.3 } });
    steps([0]);
    const ahead = [
      { afterMs: 0.1 * stepMs, slots: 0, withheld: { reason: 'hours', text: 'only 08:00-18:00' } as const },
    ];
    metricsAt(leader.nowMs, [sample(0, 0)], { ahead });
    tickAt(leader.nowMs);
    const [long] = assigned(leader.submit('long', planOf(stagePlan('s'))));
    assert.equal(long!.node, 'cyd');
  });
});
