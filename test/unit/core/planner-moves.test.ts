import assert from 'node:assert/strict';
import { lastValue, type QuantileCurves } from '@foremesh/models';
import type { InboxMessage, MetricSample } from '@foremesh/node-runtime/contract';
import {
  answerQuery,
  createAgent,
  createLedger,
  foresightBy,
  type PlannerEffect,
  type PlannerPolicy,
  stepAgent,
} from '@foremesh/node-runtime/core';
import { standardPlanning } from '@foremesh/partitioner';
import { assigned, blobNamed, code, done, Leader, mergeCode, nodeStatus, planOf, stagePlan } from './samples.ts';

const gibibyte = 1024 ** 3;
const stepMs = 60_000;
/** On a core of speed 1. */
const slow = (name: string, change = {}) => planOf(stagePlan(name, { estimateSeconds: 100, ...change }));

/** What it is told of its work; that it is asked what it has measured is another matter. */
function sentTo(effects: readonly PlannerEffect[], node: string): InboxMessage[] {
  return effects
    .flatMap((effect) => (effect.type === 'send' && effect.node === node ? [effect.message] : []))
    .filter(({ type }) => !type.endsWith('-request'));
}
const eventsOf = (effects: readonly PlannerEffect[]) =>
  effects.flatMap((effect) => (effect.type === 'event' && effect.event.kind === 'task-moved' ? [effect.event] : []));

describe('planner: moves', () => {
  let leader: Leader;
  let seq: number;
  beforeEach(() => {
    seq = 0;
    leader = start();
  });

  function start(change: Partial<PlannerPolicy> = {}, config = {}): Leader {
    const made = new Leader({ nodeSilenceMs: 1e9, ...config }, createLedger(), 1, change);
    made.elect();
    return made;
  }

  /** What the device itself takes of its CPU, as it is measured now. */
  function measure(node: string, cpuBackgroundShare: number): PlannerEffect[] {
    seq += 1;
    const sample: MetricSample = {
      ageMs: 0,
      cpuShare: cpuBackgroundShare,
      cpuBackgroundShare,
      memoryAvailableBytes: gibibyte,
      memoryMeshBytes: 0,
      networkReceivedBytesPerSecond: 0,
      networkSentBytesPerSecond: 0,
    };
    const { bootId } = leader.planner.nodes.get(node)!.status;
    return leader.step({ type: 'node-metrics', metrics: { v: 1, node, bootId, seq, samples: [sample] } });
  }

  /** One slot, of a whole core. */
  function join(node: string, own = 0): void {
    leader.join(node, { slots: 1, cores: 1, queue: 1 });
    measure(node, own);
  }

  /** A task that runs on bob, and a device that is idle beside it. */
  function runOnBob(hasStarted = true): string {
    join('bob');
    const [first] = assigned(leader.submit('j', slow('s')));
    if (hasStarted) leader.report('bob', [{ type: 'started', attempt: first!.attempt }]);
    join('cyd');
    assert.deepEqual(sentTo(leader.step({ type: 'tick' }, 250), 'cyd'), []);
    return first!.attempt;
  }

  const tick = (afterMs = 250) => leader.step({ type: 'tick' }, afterMs);
  const why = (name = 's-0') => {
    const answer = answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name });
    return answer.query === 'why' ? answer.why : assert.fail(answer.query);
  };

  it('stop what runs on a node that nearly stops, and begin it elsewhere, in one step', () => {
    const attempt = runOnBob();
    measure('bob', 0.99);
    const effects = tick();
    const [cancel] = sentTo(effects, 'bob');
    assert.deepEqual([cancel!.type, (cancel as { attempt: string }).attempt], ['cancel', attempt]);
    assert.deepEqual(
      assigned(effects).map(({ node, task }) => [node, task]),
      [['cyd', 's-0']],
    );
    const [event] = eventsOf(effects);
    assert.equal(event!.text, 'bob is busy -> s-0 to cyd');
    assert.deepEqual([event!.fields!.kind, event!.fields!.from, event!.fields!.to], ['restart', 'bob', ['cyd']]);
    const state = effects.findLast((effect) => effect.type === 'publish-state');
    assert.deepEqual(state?.type === 'publish-state' && state.state.moves, { restart: 1 });
    const { move } = why();
    assert.deepEqual([move!.decision, move!.from, move!.text], ['moved', 'bob', 'bob is busy']);
    assert.ok(move!.stay.finishSeconds > 1_000 && move!.alternatives[0]!.cost.finishSeconds < 150);
    const { node } = assigned(effects)[0]!;
    const end = leader.report(node, [done(assigned(effects)[0]!.attempt)]);
    const last = end.findLast((effect) => effect.type === 'publish-state');
    assert.deepEqual(last?.type === 'publish-state' && [last.state.phase, last.state.moves], ['done', { restart: 1 }]);
  });

  it('leave what runs where it is when that does not pay, and say why', () => {
    const attempt = runOnBob();
    tick(60_000);
    leader.report('bob', [{ type: 'progress', attempt, fraction: 0.9 }]);
    measure('bob', 0.5);
    assert.deepEqual(assigned(tick()), []);
    const { move } = why();
    assert.equal(move!.decision, 'stays');
    assert.match(move!.text, /^bob is busy; no move would gain more than it costs$/);
    assert.ok(move!.alternatives[0]!.chargeSeconds > 50, 'the work that would be lost');
  });

  it('believe no expectation that a task has outlived: it goes by how far it says it is, or is as far from its end as it is late', () => {
    for (const progress of [0.1, 0]) {
      leader = start({ looksAhead: false });
      join('bob');
      const [first] = assigned(leader.submit('j', slow('s', { estimateSeconds: 10 })));
      const { attempt } = first!;
      leader.report('bob', [{ type: 'started', attempt }]);
      for (let passedMs = 0; passedMs < 40_000; passedMs += 2_000) tick(2_000);
      if (progress > 0) leader.report('bob', [{ type: 'progress', attempt, fraction: progress }]);
      join('cyd');
      measure('bob', 0.99);
      tick();
      const { move } = why();
      const [there] = move!.alternatives;
      // On a whole core: 40 s are a tenth, or twice what nearly all take, which is 20 s.
      const [least, most] = progress > 0 ? [380, 430] : [55, 70];
      assert.ok(there!.cost.finishSeconds > least && there!.cost.finishSeconds < most, `${there!.cost.finishSeconds}`);
      assert.equal(move!.decision, 'moved');
    }
  });

  it('ask back what has not started, and take it elsewhere once it is given back', () => {
    const attempt = runOnBob(false);
    measure('bob', 0.99);
    const asked = tick();
    assert.deepEqual(
      sentTo(asked, 'bob').map(({ type }) => type),
      ['reclaim'],
    );
    assert.deepEqual(assigned(asked), [], 'it may have begun by now');
    assert.deepEqual(sentTo(tick(2_000), 'bob'), [], 'it is asked once');
    const given = leader.report('bob', [{ type: 'released', attempt, reason: 'so' }]);
    assert.deepEqual(
      assigned(given).map(({ node }) => node),
      ['cyd'],
    );
    assert.equal(eventsOf(given)[0]!.fields!.kind, 'reassign');
  });

  it('let it run where it has begun meanwhile', () => {
    const attempt = runOnBob(false);
    measure('bob', 0.9);
    tick();
    leader.report('bob', [{ type: 'started', attempt }]);
    assert.equal(why().reason, 'running');
    assert.deepEqual([...leader.planner.attempts.keys()], [attempt]);
  });

  it('ask again when there was no answer, and go on without it when the node is lost', () => {
    const attempt = runOnBob(false);
    measure('bob', 0.99);
    tick();
    const again = tick(10_001);
    assert.ok(
      sentTo(again, 'bob').some(({ type }) => type === 'reclaim'),
      'the word may be lost',
    );
    leader.step({ type: 'node-status', status: nodeStatus('bob', { online: false, seq: 9 }) });
    assert.deepEqual(
      [...leader.planner.attempts.values()].map(({ node, key }) => [node, key !== attempt]),
      [['cyd', true]],
    );
  });

  it('take the result of the old attempt if that was faster than the word, and stop the new one', () => {
    const attempt = runOnBob();
    measure('bob', 0.99);
    const [moved] = assigned(tick());
    const effects = leader.report('bob', [done(attempt)]);
    assert.ok(
      sentTo(effects, 'cyd').some((message) => message.type === 'cancel' && message.attempt === moved!.attempt),
    );
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
  });

  it('do not take up again what a node still lists', () => {
    const attempt = runOnBob();
    measure('bob', 0.99);
    tick();
    const { request } = leader.planner.nodes.get('bob')!;
    const effects = leader.report('bob', [{ type: 'inventory', request, attempts: [attempt] }]);
    assert.deepEqual(
      sentTo(effects, 'bob').map(({ type }) => type),
      ['cancel'],
    );
    assert.equal(leader.planner.attempts.size, 1);
  });

  it('do not go to and fro: what has moved stays for its cool-down, whatever comes', () => {
    runOnBob();
    measure('bob', 0.99);
    const [first] = assigned(tick());
    leader.report('cyd', [{ type: 'started', attempt: first!.attempt }]);
    measure('bob', 0);
    measure('cyd', 0.99);
    const { moveCoolDownMs } = leader.planner.config;
    for (let passedMs = 0; passedMs < moveCoolDownMs - 1_000; passedMs += 500)
      assert.deepEqual(assigned(tick(500)), []);
    const back = assigned(tick(3_000));
    assert.deepEqual(
      back.map(({ node }) => node),
      ['bob'],
      'it is worth it even now',
    );
  });

  it('are no more than an interval allows', () => {
    leader = start({}, { movesPerInterval: 1 });
    join('bob');
    join('cyd');
    for (const job of ['j', 'k'])
      for (const { node, attempt } of assigned(leader.submit(job, slow('s'))))
        leader.report(node, [{ type: 'started', attempt }]);
    join('dan');
    join('eve');
    tick(2_000);
    measure('bob', 0.99);
    measure('cyd', 0.99);
    assert.equal(assigned(tick()).length, 1);
    assert.equal(assigned(tick(5_000)).length, 0);
    assert.equal(assigned(tick(5_001)).length, 1);
  });

  it('split a running part anew where several nodes would end it sooner than one', () => {
    const { chunks } = standardPlanning;
    // It goes out whole, and nobody copies it.
    leader = start({ chunks: { ...chunks, size: (remaining) => remaining, copy: () => undefined } });
    join('bob');
    const split = { by: 'lines' as const };
    leader.submit('j', slow('s', { input: blobNamed('a', 400), split, merge: mergeCode }));
    const index = () => leader.indexed('j', 's', 40, blobNamed('a', 400));
    const [whole] = assigned(index());
    leader.report('bob', [{ type: 'started', attempt: whole!.attempt }]);
    join('cyd');
    join('dan');
    tick();
    measure('bob', 0.99);
    assert.ok(
      tick().some(({ type }) => type === 'index'),
      'nobody knows any more where its records begin',
    );
    index();
    const effects = tick(2_000);
    assert.deepEqual(
      sentTo(effects, 'bob').map(({ type }) => type),
      ['cancel', 'committed'],
    );
    assert.deepEqual(
      assigned(effects).map(({ node, task }) => [node, task]),
      [
        ['cyd', 's-1'],
        ['dan', 's-2'],
      ],
    );
    assert.deepEqual(eventsOf(effects)[0]!.fields!.kind, 'resplit');
    const { tasks } = leader.planner.ledger.jobs.get('me/j')!.stages.get('s')!;
    const records = tasks.map(({ task, range }) => [task, range?.records]);
    assert.deepEqual(records.slice(1, 3), [
      ['s-1', 20],
      ['s-2', 20],
    ]);
    assert.deepEqual(leader.planner.jobs.get('me/j')!.moves, { resplit: 1 });
    const { move } = why('s-1');
    assert.deepEqual([move!.decision, move!.from, move!.alternatives[0]!.kind], ['moved', 'bob', 'resplit']);
    measure('cyd', 0.99);
    join('eve');
    assert.deepEqual(assigned(tick(2_000)), [], 'a part stays for a while where it came');
  });

  describe('with forecasts', () => {
    /** Of bob's CPU: idle for two steps, then busy. */
    const busySoon = (busy: number) => {
      const curve = (intervalMs: number, steps: number): QuantileCurves => {
        const values = Array.from({ length: steps }, (_, step) => (step < 2 ? 0 : busy));
        return { intervalMs, q10: values, q50: values, q90: values };
      };
      return () => {
        const plain = foresightBy(lastValue);
        return {
          ...plain,
          open: (name: Parameters<typeof plain.open>[0]) => {
            const forecaster = plain.open(name);
            if (name.key !== 'bob/cpu') return forecaster;
            const observe = (value: number) => forecaster.observe(value);
            return { model: 'told', observe, forecast: (steps: number) => curve(name.intervalMs, steps) };
          },
        };
      };
    };

    /** What moves while bob is still idle, once its forecast is there. */
    function moved(looksAhead: boolean): PlannerEffect[] {
      leader = start({ looksAhead, createForesight: busySoon(0.98) });
      join('bob');
      const [first] = assigned(leader.submit('j', slow('s', { estimateSeconds: 600 })));
      leader.report('bob', [{ type: 'started', attempt: first!.attempt }]);
      join('cyd');
      const effects: PlannerEffect[] = [];
      for (let passedMs = 0; passedMs < 2 * stepMs; passedMs += 5_000) {
        effects.push(...measure('bob', 0), ...measure('cyd', 0), ...tick(5_000));
      }
      return effects;
    }

    it('leave before the node is busy', () => {
      const [event] = eventsOf(moved(true));
      assert.match(event!.text, /^bob will be busy in \d+ s -> s-0 to cyd$/);
      assert.ok((event!.fields!.inSeconds as number) > 30);
    });

    it('leave only when it is busy where nobody looks ahead', () => {
      const effects = moved(false);
      assert.deepEqual(eventsOf(effects), []);
      assert.ok(
        effects.some((effect) => effect.type === 'publish-forecast'),
        'there was one',
      );
      measure('bob', 0.99);
      assert.equal(eventsOf(tick())[0]!.text, 'bob is busy -> s-0 to cyd');
    });
  });
});

describe('agent: what the leader wants back', () => {
  const attempt = 'me/j/s-0#1.1';
  const limits = { memoryBytes: 10, cpuMs: 1, wallMs: 1, outputBytes: 1 };
  const assign = {
    ...{ type: 'assign' as const, attempt, account: 'me', job: 'j', stage: 's', task: 's-0', code },
    ...{ input: { kind: 'none' as const }, limits, inlineOutputBytes: 1, priority: 5 },
  };
  const offer = { engines: ['js'], slots: 1, queue: 1, memoryBytes: 100, prefetchAttempts: 1, prefetchBytes: 100 };
  const reported = (...before: Parameters<typeof stepAgent>[1][]) => {
    const agent = createAgent('bob', offer, { term: 1, outcomes: [] });
    for (const event of before) stepAgent(agent, event);
    const messages: InboxMessage[] = [{ type: 'reclaim', attempt, reason: 'so' }];
    const effects = stepAgent(agent, { type: 'inbox', term: 1, messages });
    return {
      held: agent.held.has(attempt),
      said: effects.flatMap((effect) => (effect.type === 'report' ? [effect.message.type] : [])),
      stopped: effects.some(({ type }) => type === 'stop'),
    };
  };
  const inbox = { type: 'inbox' as const, term: 1, messages: [assign] };

  it('is given back, unless it has started or ended', () => {
    assert.deepEqual(reported(inbox), { held: false, said: ['released'], stopped: true });
    const fetched = { type: 'fetched' as const, attempt };
    assert.deepEqual(reported(inbox, fetched), { held: false, said: ['released'], stopped: true });
    const started = { type: 'started' as const, attempt };
    assert.deepEqual(reported(inbox, fetched, started), { held: true, said: ['started'], stopped: false });
    const usage = { cpuMs: 1, wallMs: 1, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 0 };
    const output = { encoding: 'json' as const, inline: new Uint8Array([49]) };
    const ended = { type: 'ended' as const, outcome: { type: 'done' as const, attempt, usage, output } };
    assert.deepEqual(reported(inbox, fetched, started, ended), { held: false, said: ['done'], stopped: false });
    assert.deepEqual(reported().said, ['released'], 'of what is not here it says the same');
  });
});
