import assert from 'node:assert/strict';
import type { OutboxMessage } from '@foremesh/node-runtime/contract';
import { type AgentEvent, createAgent, stepAgent, validateAgent } from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { assigned, code, done, Leader, nodeStatus, planOf, stagePlan } from './samples.ts';

const released = (attempt: string): OutboxMessage => ({ type: 'released', attempt, reason: 'paused' });
const withheld = { reason: 'paused', text: 'paused on the machine itself' } as const;

describe('planner: owners', () => {
  it('gives what comes back to another node, and counts it against nobody', () => {
    const leader = new Leader({ nodeFaultsMost: 3 });
    leader.elect();
    leader.join('bob');
    const [first] = assigned(leader.submit('j', planOf(stagePlan('s'))));
    leader.join('cyd');
    let attempt = first!;
    for (let times = 0; times < 20; times += 1) {
      leader.report(attempt.node, [released(attempt.attempt)]);
      const [next] = assigned(leader.step({ type: 'tick' }, 1_000));
      assert.notEqual(next!.node, attempt.node);
      attempt = next!;
      leader.nowMs += 10_000; // it runs for a while
      for (const node of ['bob', 'cyd']) leader.report(node, []);
    }
    const task = leader.planner.jobs.get('me/j')!.tasks.get('s-0')!;
    assert.equal(task.nodeFaults, 0);
    assert.equal(task.ledger.failures.length, 0);
    leader.report(attempt.node, [done(attempt.attempt)]);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
  });

  it('takes a second word, or that of another node, for nothing', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob');
    leader.join('cyd');
    const [first] = assigned(leader.submit('j', planOf(stagePlan('s'))));
    const other = first!.node === 'bob' ? 'cyd' : 'bob';
    leader.report(other, [released(first!.attempt)]);
    assert.equal(leader.planner.attempts.size, 1);
    leader.report(first!.node, [released(first!.attempt), released(first!.attempt)]);
    assert.equal(leader.planner.attempts.size, 0);
  });

  it('hands nothing to a node that is withheld, keeps what runs there, and says why a job waits', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob', { slots: 1 });
    const [first] = assigned(leader.submit('j', planOf(stagePlan('s'))));
    leader.report('bob', [{ type: 'started', attempt: first!.attempt }]);
    leader.step({ type: 'node-status', status: nodeStatus('bob', { seq: 2, slots: 0, withheld }) });
    const { request } = leader.planner.nodes.get('bob')!;
    leader.report('bob', [{ type: 'inventory', request, attempts: [first!.attempt] }]);
    assert.equal(leader.planner.jobs.get('me/j')!.tasks.get('s-0')!.state, 'running', 'nothing is lost');
    assert.deepEqual(assigned(leader.submit('k', planOf(stagePlan('s')))), []);
    const { unplaceable } = leader.planner.jobs.get('me/k')!.stages.get('s')!;
    assert.equal(unplaceable?.code, 'MESH_NO_ROOM');
    assert.match(unplaceable!.message, /bob: paused on the machine itself/);
    leader.report('bob', [done(first!.attempt)]);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
    assert.equal(assigned(leader.join('bob', { seq: 3, slots: 1 })).length, 1, 'and goes on when it may');
  });

  it('keeps a node for the labels of its owner', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob', { labels: ['gpu'], onlyLabels: ['gpu'] });
    assert.deepEqual(assigned(leader.submit('j', planOf(stagePlan('s')))), []);
    assert.match(leader.planner.jobs.get('me/j')!.stages.get('s')!.unplaceable!.message, /only what asks for gpu/);
    const effects = leader.submit('k', planOf(stagePlan('s', { labels: ['gpu'] })));
    assert.equal(assigned(effects)[0]!.node, 'bob');
    const sent = effects.flatMap((effect) => (effect.type === 'send' ? [effect.message] : []));
    assert.deepEqual(
      sent.flatMap((message) => (message.type === 'assign' ? message.labels : [])),
      ['gpu'],
    );
  });
});

describe('agent: owners', () => {
  const offerOf = (slots: number, queue: number, memoryBytes: number) => ({
    ...{ engines: ['js'], slots, queue, memoryBytes, prefetchAttempts: 4, prefetchBytes: 100 },
  });
  const attempts = ['a', 'b', 'c', 'd'].map((name) => `me/j/${name}#1.1`);
  const limitsOf = { memoryBytes: 10, cpuMs: 1, wallMs: 1, outputBytes: 1 };
  const assignOf = (attempt: string) => ({
    ...{ type: 'assign' as const, attempt, account: 'me', job: 'j', stage: 's', task: 's-0', code },
    ...{ input: { kind: 'none' as const }, limits: limitsOf, inlineOutputBytes: 1, priority: 5 },
  });
  const attempt = fc.constantFrom(...attempts);
  const event: fc.Arbitrary<AgentEvent> = fc.oneof(
    attempt.map((name) => ({ type: 'inbox' as const, term: 1, messages: [assignOf(name)] })),
    attempt.map((name) => ({ type: 'fetched' as const, attempt: name })),
    attempt.map((name) => ({ type: 'started' as const, attempt: name })),
    fc
      .record({
        offer: fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 2 }), fc.nat({ max: 40 })).map((each) => offerOf(...each)),
        stance: fc.constantFrom('takes' as const, 'finishes' as const, 'leaves' as const),
      })
      .map((change) => ({ type: 'owner-limits' as const, ...change, reason: 'so' })),
    fc.constant({ type: 'pressed' as const, reason: 'memory' }),
  );

  it('give back what a smaller offer has no room for, also while they only finish what runs', () => {
    const agent = createAgent('bob', offerOf(2, 0, 40), { term: 1, outcomes: [] });
    const step = (each: AgentEvent) => stepAgent(agent, each);
    for (const name of attempts.slice(0, 2)) {
      step({ type: 'inbox', term: 1, messages: [assignOf(name)] });
      step({ type: 'started', attempt: name });
    }
    step({ type: 'owner-limits', offer: offerOf(1, 0, 40), stance: 'finishes', reason: 'draining' });
    assert.deepEqual([...agent.held.keys()], [attempts[0]]);
    validateAgent(agent);
  });

  it('never hold more than is allowed now, and each attempt that is taken back is told once', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const agent = createAgent('bob', offerOf(2, 2, 40), { term: 1, outcomes: [] });
        for (const each of events) {
          const before = new Set(agent.held.keys());
          const effects = stepAgent(agent, each);
          validateAgent(agent);
          if (agent.stance === 'takes') {
            const running = [...agent.held.values()].filter(({ started }) => started === true);
            if (each.type === 'owner-limits') assert.ok(running.length <= agent.offer.slots);
          }
          const gone = [...before].filter((name) => !agent.held.has(name));
          const told = effects.flatMap((effect) =>
            effect.type === 'report' && effect.message.type === 'released' ? [effect.message.attempt] : [],
          );
          for (const name of gone) assert.equal(told.filter((other) => other === name).length, 1);
        }
      }),
    );
  });
});
