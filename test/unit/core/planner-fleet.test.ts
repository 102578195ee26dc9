import assert from 'node:assert/strict';
import { limits } from '@foremesh/node-runtime/contract';
import { createLedger } from '@foremesh/node-runtime/core';
import { assigned, done, Leader, nodeStatus, planOf, splitStage, stagePlan } from './samples.ts';

/** Nodes that come, go, fall silent and come back without a word; leaders that change. */
describe('planner: the fleet', () => {
  it('leads when it was connected before it was elected', () => {
    const leader = new Leader();
    leader.step({ type: 'connected' });
    leader.step({ type: 'elected', term: 1 });
    leader.join('bob');
    assert.equal(assigned(leader.submit('j', planOf(stagePlan('s')))).length, 1);
  });

  it('gives work to a node that was silent and speaks again without a new status', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob');
    leader.step({ type: 'tick' }, 20_001);
    assert.equal(leader.planner.nodes.get('bob')!.online, false);
    leader.submit('j', planOf(stagePlan('s')));
    const status = leader.planner.nodes.get('bob')!;
    leader.step({ type: 'node-metrics', metrics: { v: 1, node: 'bob', bootId: 'bob-1', seq: 9, samples: [] } });
    const effects = leader.report('bob', [{ type: 'inventory', request: status.request, attempts: [] }]);
    assert.deepEqual(
      assigned(effects).map((each) => each.task),
      ['s-0'],
    );
  });

  it('asks for statuses again when it hears from a boot it does not know', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob');
    // A broker delivered the status of the boot before last: the node that runs is another.
    leader.step({ type: 'node-status', status: nodeStatus('bob', { bootId: 'bob-0' }) });
    leader.step({ type: 'node-reported', node: 'bob', bootId: 'bob-1', messages: [] });
    const effects = leader.step({ type: 'tick' }, 10_001);
    assert.ok(effects.some((effect) => effect.type === 'announce'));
  });

  it('says again who leads, in the same words, while a node does not answer', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob');
    const hints = (afterMs: number) =>
      leader.step({ type: 'tick' }, afterMs).flatMap((effect) => (effect.type === 'announce' ? [effect.hint] : []));
    leader.step({ type: 'node-status', status: nodeStatus('cyd') });
    assert.deepEqual(hints(5_000), [], 'it may still answer');
    const [again] = hints(5_001);
    assert.equal(again?.seq, leader.planner.announcements, 'whoever has heard it does not answer it again');
    leader.step({ type: 'node-metrics', metrics: { v: 1, node: 'cyd', bootId: 'cyd-1', seq: 1, samples: [] } });
    assert.equal(hints(10_001).length, 1);
    const { request } = leader.planner.nodes.get('cyd')!;
    leader.report('cyd', [{ type: 'inventory', request, attempts: [] }]);
    assert.deepEqual(hints(10_001), []);
  });

  it('asks for statuses when it hears from a node it has never heard of', () => {
    const leader = new Leader();
    leader.elect();
    leader.step({ type: 'node-metrics', metrics: { v: 1, node: 'bob', bootId: 'bob-1', seq: 9, samples: [] } });
    assert.ok(leader.step({ type: 'tick' }, 10_001).some((effect) => effect.type === 'announce'));
    assert.ok(!leader.step({ type: 'tick' }, 10_001).some((effect) => effect.type === 'announce'));
  });

  it('does not stand a task in its queue twice', () => {
    const ledger = createLedger();
    const before = new Leader({}, ledger, 1);
    before.elect();
    before.submit('j', planOf(stagePlan('s')));
    const leader = new Leader({ inventoryGraceMs: 15_000 }, ledger, 2);
    leader.elect(2);
    leader.step({ type: 'node-status', status: nodeStatus('bob') });
    const { request } = leader.planner.nodes.get('bob')!;
    leader.report('bob', [{ type: 'inventory', request, attempts: ['me/j/s-0#1.1'] }]);
    leader.step({ type: 'node-status', status: nodeStatus('bob', { bootId: 'bob-2' }) });
    leader.join('cyd');
    assert.equal(assigned(leader.step({ type: 'tick' }, 15_001)).length, 1);
  });

  it('counts the grace for inventories from the connection, not from the election', () => {
    const ledger = createLedger();
    const before = new Leader({}, ledger, 1);
    before.elect();
    before.submit('j', planOf(stagePlan('s')));
    const leader = new Leader({}, ledger, 2);
    leader.step({ type: 'elected', term: 2 });
    leader.step({ type: 'connected' }, 30_000);
    assert.deepEqual(assigned(leader.join('cyd')), [], 'bob has not said yet whether it runs the task');
    assert.equal(assigned(leader.step({ type: 'tick' }, 2_000)).length, 1);
  });

  it('passes over an unplaceable stage of many tasks', () => {
    const leader = new Leader();
    leader.elect();
    leader.submit('stuck', planOf(splitStage('s', 200, { labels: ['nowhere'] })));
    leader.indexed('stuck', 's', 200);
    leader.join('bob');
    assert.deepEqual(
      assigned(leader.submit('j', planOf(stagePlan('t')))).map((each) => each.task),
      ['t-0'],
    );
  });

  it('passes over any number of unplaceable stages', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob');
    for (let job = 0; job < 100; job += 1)
      leader.submit(`stuck-${job}`, planOf(stagePlan('s', { labels: ['nowhere'] })));
    assert.deepEqual(
      assigned(leader.submit('j', planOf(stagePlan('t')))).map((each) => each.task),
      ['t-0'],
    );
  });

  it('says why nothing fits in a message of bounded size, on a fleet of any size', () => {
    const leader = new Leader();
    leader.elect();
    for (let node = 0; node < 500; node += 1) leader.join(`node-${node}`);
    leader.submit('j', planOf(stagePlan('s', { labels: ['nowhere'] })));
    const problem = leader.planner.jobs.get('me/j')!.stages.get('s')!.unplaceable!;
    assert.match(problem.message, /node-0: lacks nowhere/);
    assert.match(problem.message, /and \d+ more/);
    assert.ok(problem.message.length < 2_000, `${problem.message.length} characters`);
  });

  it('does not retry in a rush on the only node', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob');
    let attempts = assigned(leader.submit('j', planOf(stagePlan('s'))));
    let tries = 0;
    for (let round = 0; round < 8; round += 1) {
      for (const { attempt } of attempts) {
        tries += 1;
        const message = {
          type: 'failed' as const,
          attempt,
          fault: 'node' as const,
          code: 'MESH_BLOB_MISSING',
          message: 'gone',
        };
        const usage = { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 };
        attempts = assigned(leader.report('bob', [{ ...message, usage }]));
      }
      attempts = [...attempts, ...assigned(leader.step({ type: 'tick' }, 1))];
    }
    assert.ok(tries <= 3, `${tries} tries in 8 ms`);
  });

  it('keeps within the room of the nodes for a stage of many tasks', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('bob');
    leader.join('cyd', { slots: 1, queue: 0 });
    leader.submit('j', planOf(splitStage('s', 50)));
    const running = assigned(leader.indexed('j', 's', 50));
    let finished = 0;
    while (running.length > 0) {
      for (const [id, node] of leader.planner.nodes) {
        assert.ok(node.attempts.size <= node.status.slots + node.status.queue, `${id} has ${node.attempts.size}`);
      }
      const { node, attempt } = running.shift()!;
      finished += 1;
      running.push(...assigned(leader.report(node, [done(attempt)])));
    }
    assert.equal(finished, 51);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
    assert.ok(limits.nodesPerMesh > 2);
  });
});
