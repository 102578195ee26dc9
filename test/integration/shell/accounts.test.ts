import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createAccount } from '@foremesh/broker';
import { decode, encode, limits, type MeshError, type QueryAnswer, queryAnswer } from '@foremesh/node-runtime/contract';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { until } from '../../support/until.ts';
import { jobOf, Mesh, stageOf } from './mesh.ts';
import { endAll, later, makeTransport } from './support.ts';

describe('accounts in a real mesh', () => {
  let mesh: Mesh;
  let author: MeshClient;
  let viewer: MeshClient;
  before(async () => {
    mesh = await Mesh.start();
    author = await clientOf('ann', 'author');
    viewer = await clientOf('vera', 'viewer');
  });
  after(endAll);

  async function clientOf(account: string, role: 'author' | 'viewer') {
    const { password } = await createAccount(join(mesh.directory, 'ada'), account, undefined, role);
    const client = await connectMesh({ ...mesh.connection, account, password });
    later(() => client.close());
    return client;
  }

  it('an author has everything a job needs: inputs and outputs by blob, progress, logs, cancelling, answers', async () => {
    const bytes = 300_000;
    const input = await author.put(Buffer.from('x'.repeat(bytes)));
    const code = `task.log('here'); return task.input.text() + '.'.repeat(${limits.inlineResultBytes})`;
    const handle = author.submit({ stages: { main: { ...stageOf(code), input } } });
    const logged = handle.logs().next();
    const { outputs } = await handle.result();
    assert.equal(String(await author.read(outputs!.main!)).length, bytes + limits.inlineResultBytes);
    assert.deepEqual((await logged).value?.lines, ['here']);
    assert.equal((await author.jobs()).rows[0]?.job, handle.job);
    assert.equal((await author.nodes()).rows[0]?.status.node, 'ada');
    assert.equal((await author.voters()).voters[0]?.node, 'ada');
    const endless = author.submit(jobOf('for (;;) { await null; }'));
    await endless.accepted();
    assert.equal((await endless.cancel('enough')).phase, 'cancelled');
  });

  it('what changes the mesh is refused to an author, and done for an owner', async () => {
    await assert.rejects(author.setVoters({ count: 1 }), {
      code: 'MESH_NOT_AUTHORIZED',
      message: /account "ann" \(author\) may not write/,
    });
    assert.equal((await author.voters()).settings.count, 'auto');
    const owner = await connectMesh(mesh.connection);
    later(() => owner.close());
    assert.equal((await owner.setVoters({ count: 1 })).settings.count, 1);
  });

  it('an owner sets how much an account may have; what passes it is refused and named, and taken when there is more', async () => {
    await assert.rejects(author.setQuota('ann', { jobs: 9_999 }), { code: 'MESH_NOT_AUTHORIZED' });
    await assert.rejects(author.quotas(), { code: 'MESH_NOT_AUTHORIZED' });
    const owner = await connectMesh(mesh.connection);
    later(() => owner.close());
    assert.deepEqual((await owner.setQuota('ann', { jobs: 1 })).jobs, { used: 0, most: 1, isOwn: true });
    const first = author.submit(jobOf('for (;;) { await null; }'));
    await first.accepted();
    assert.deepEqual((await author.quota()).jobs, { used: 1, most: 1, isOwn: true });
    await assert.rejects(author.submit(jobOf('return 2')).result(), (error: MeshError) => {
      assert.equal(error.code, 'MESH_QUOTA_EXCEEDED');
      assert.equal(error.message, 'jobsPerAccount is 1, account ann has 1 open');
      assert.match(error.mend!, /`foremesh quota ann --jobs N`/);
      return true;
    });
    const listed = (await owner.quotas()).rows.find(({ account }) => account === 'ann');
    assert.deepEqual(listed?.jobs, { used: 1, most: 1, isOwn: true });
    assert.equal((await owner.setQuota('ann', { jobs: null })).jobs.most, limits.jobsPerAccount);
    const second = author.submit(jobOf('return 2'));
    await second.accepted();
    await first.cancel('enough');
    assert.equal((await second.result()).phase, 'done');
  });

  it('what changes the mesh is made by nobody who asks for it where all may ask', async () => {
    const { account, password } = author.connection;
    const transport = await makeTransport(mesh.broker.urls[0]!, { username: account, password });
    const answers: QueryAnswer[] = [];
    transport.listen((_topic, payload) => answers.push(decode(queryAnswer, payload)));
    await transport.subscribe([mesh.topics.queryAnswer(account, 'sly')], 1);
    const changes = [
      { query: 'set-voters', settings: { count: 3 } },
      { query: 'remove-node', node: 'ada' },
      { query: 'quotas' },
      { query: 'set-quota', account: 'ann', change: { jobs: 9_999 } },
      { query: 'preferences', node: 'ada', change: { mode: 'paused' } },
    ];
    for (const [at, change] of changes.entries()) {
      const ask = encode({ v: 1, id: `q${at}`, ...change }, 'json');
      await transport.publish(mesh.topics.queryAsk(account, 'sly'), ask, { qos: 1 });
    }
    await until('all are answered', () => answers.length === changes.length);
    const codes = answers.map((each) => (each.query === 'error' ? each.problem.code : each.query));
    assert.deepEqual(
      codes,
      changes.map(() => 'MESH_TOPIC_INVALID'),
    );
    await transport.close();
  });

  it("another account's jobs are refused, with the reason", async () => {
    const { account, password } = author.connection;
    const transport = await makeTransport(mesh.broker.urls[0]!, { username: account, password });
    await assert.rejects(transport.subscribe([mesh.topics.jobState('owner', 'x')], 1), {
      code: 'MESH_NOT_AUTHORIZED',
      where: mesh.topics.jobState('owner', 'x'),
    });
    const refused = transport.publish(mesh.topics.jobSpec('owner', 'x'), Buffer.from('{}'), { qos: 1 });
    await assert.rejects(refused, { code: 'MESH_UNREACHABLE' });
    await transport.closed;
    assert.equal(mesh.events.filter(({ kind }) => kind === 'spec-refused').length, 0);
  });

  it('a viewer looks at everything and starts nothing', async () => {
    assert.equal((await viewer.nodes()).rows[0]?.status.node, 'ada');
    const submitted = viewer.submit(jobOf('return 1'));
    await assert.rejects(submitted.result(), { code: 'MESH_NOT_AUTHORIZED' });
    await assert.rejects(viewer.put(Buffer.from('x')), { code: 'MESH_NOT_AUTHORIZED' });
  });
});
