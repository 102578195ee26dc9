import assert from 'node:assert/strict';
import type { JobState } from '@foremesh/node-runtime/contract';
import { Fleet } from './fleet.ts';
import { outputOf, squaresJob, sumOfSquares, untilMidJob } from './jobs.ts';

describe('a mesh of real processes', function () {
  this.timeout(120_000);
  let fleet: Fleet;
  beforeEach(async () => {
    fleet = await Fleet.start();
  });
  afterEach(() => fleet.stop());

  it('finishes a job whose node is killed in the middle of a task', async () => {
    const bob = await fleet.startNode('bob');
    const client = await fleet.client();
    const handle = client.submit(squaresJob(240, 24, 200_000), { id: 'killed' });
    await untilMidJob(client, handle, 'bob');
    await bob.kill('SIGKILL');
    fleet.nodes.delete('bob');
    const result = await handle.result();
    assert.equal(result.phase, 'done');
    assert.equal(outputOf(result), sumOfSquares(240));
    assert.deepEqual(Object.keys(result.tasksByNode).sort(), ['ada', 'bob']);
  });

  it('loses nothing it has acknowledged when founder and broker are killed and started again', async () => {
    await fleet.startNode('bob');
    const client = await fleet.client();
    const handle = client.submit(squaresJob(240, 24, 200_000), { id: 'restarted' });
    const before = await untilMidJob(client, handle, 'bob', 4);
    const doneBefore = before.filter((task) => task.state === 'done').map((task) => [task.task, task.node]);
    await Promise.all([fleet.nodes.get('ada')!.kill('SIGKILL'), fleet.broker.kill('SIGKILL')]);
    await fleet.startBroker();
    await fleet.startNode('ada');
    const result = await handle.result();
    assert.equal(result.phase, 'done');
    assert.equal(outputOf(result), sumOfSquares(240));
    const after = new Map((await client.job('restarted')).tasks.map((task) => [task.task, task.node]));
    for (const [task, node] of doneBefore) assert.equal(after.get(task!), node, `${task} was done and is done again`);
  });

  it('goes on when only the broker is killed', async () => {
    await fleet.startNode('bob');
    const client = await fleet.client();
    const handle = client.submit(squaresJob(160, 16, 200_000), { id: 'brokerless' });
    await untilMidJob(client, handle, 'bob');
    await fleet.broker.kill('SIGKILL');
    await fleet.startBroker();
    const result = await handle.result();
    assert.equal(outputOf(result), sumOfSquares(160));
  });

  it('gives work to a node that joins in the middle of a job', async () => {
    const client = await fleet.client();
    const handle = client.submit(squaresJob(320, 32, 200_000), { id: 'joined' });
    await untilMidJob(client, handle, 'ada');
    await fleet.startNode('late');
    const result = await handle.result();
    assert.equal(outputOf(result), sumOfSquares(320));
    assert.ok(result.tasksByNode.late! > 0, JSON.stringify(result.tasksByNode));
  });

  it('remembers a finished job over a restart, and refuses its id for another spec', async () => {
    const client = await fleet.client();
    const spec = squaresJob(10, 2, 1);
    assert.equal(outputOf(await client.submit(spec, { id: 'once' }).result()), sumOfSquares(10));
    await fleet.nodes.get('ada')!.kill('SIGKILL');
    await fleet.startNode('ada');
    const again = await client.submit(spec, { id: 'once' }).result();
    assert.equal(outputOf(again), sumOfSquares(10));
    await assert.rejects(client.submit(squaresJob(11, 2, 1), { id: 'once' }).result(), { code: 'MESH_JOB_CONFLICT' });
  });

  it('cancels a job everywhere', async () => {
    await fleet.startNode('bob');
    const client = await fleet.client();
    const handle = client.submit(squaresJob(400, 40, 200_000), { id: 'cancelled' });
    await untilMidJob(client, handle, 'bob');
    const state: JobState = await handle.cancel('not needed');
    assert.equal(state.phase, 'cancelled');
    assert.equal((await handle.result()).problem?.message, 'not needed');
    const next = await client.submit(squaresJob(4, 2, 1)).result();
    assert.equal(outputOf(next), sumOfSquares(4));
  });
});
