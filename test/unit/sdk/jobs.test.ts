import assert from 'node:assert/strict';
import type { JobState } from '@foremesh/node-runtime/contract';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { connectMqtt } from '@foremesh/node-runtime/shell';
import { until } from '../../support/until.ts';
import { account, fast, ScriptedMesh, spec, stateOf } from './scripted-mesh.ts';

describe('sdk: jobs', () => {
  let mesh: ScriptedMesh;
  let client: MeshClient;

  beforeEach(async () => {
    mesh = await ScriptedMesh.start();
    client = await connectMesh(mesh.connection, { timing: fast });
  });
  afterEach(async () => {
    await client.close();
    await mesh.close();
  });

  it('publishes a spec until it is answered, then tells every state and the result', async () => {
    mesh.onSpec = ({ job, specHash, times }) => {
      if (times === 3) void mesh.publishState(stateOf(job, specHash));
    };
    const handle = client.submit(spec);
    assert.match(handle.job, /^numbers-[2-9a-z]{6}$/);
    assert.equal(handle.account, account);
    const states = handle.states()[Symbol.asyncIterator]();
    assert.equal((await next(states)).phase, 'accepted');
    const { specHash } = mesh.specs.get(handle.job)!;
    await mesh.publishState(stateOf(handle.job, specHash, { phase: 'running', revision: 2 }));
    assert.equal((await next(states)).phase, 'running');
    await mesh.publishEnd(handle.job, specHash);
    assert.equal((await next(states)).phase, 'done');
    assert.equal((await states.next()).done, true);
    const result = await handle.result();
    assert.deepEqual(await client.read(result.outputs!.map!), { sum: 6 });
    assert.deepEqual(result.tasksByNode, { ada: 3, bob: 1 });
  });

  it('publishes what the schema made of the spec: the shorthand has the same hash', async () => {
    const stage = { code: { inline: 'export default () => 1' }, input: { inline: '1\n2' } };
    client.submit({ stages: { map: { ...stage, split: 'lines', estimate: '1.5min' } } }, { id: 'short' });
    client.submit({ stages: { map: { estimate: 90, split: { by: 'lines' }, ...stage } } }, { id: 'long' });
    await until('both specs are published', () => mesh.specs.size === 2);
    assert.equal(mesh.specs.get('short')!.specHash, mesh.specs.get('long')!.specHash);
  });

  it('keeps the highest (term, revision), whatever arrives last', async () => {
    const handle = client.submit(spec, { id: 'late' });
    const { specHash } = await until('the spec comes', () => mesh.specs.get('late'));
    await mesh.publishState(stateOf('late', specHash, { term: 2, revision: 1, phase: 'running' }));
    await handle.accepted();
    await mesh.publishState(stateOf('late', specHash, { term: 1, revision: 9, phase: 'failed' }));
    await mesh.publishState(stateOf('late', specHash, { term: 2, revision: 1, phase: 'accepted' }));
    await mesh.publishState(stateOf('late', specHash, { term: 2, revision: 2, phase: 'running', elapsedMs: 77 }));
    await until('the newest state came', () => handle.state?.elapsedMs === 77);
    assert.equal(handle.state!.phase, 'running');
  });

  it('throws what the mesh refuses a job with', async () => {
    mesh.onSpec = ({ job, specHash }) => {
      const problem = {
        code: 'MESH_JOB_CONFLICT',
        message: `job "${job}" exists with another spec`,
        mend: 'choose another id',
      };
      void mesh.publishState(stateOf(job, specHash, { phase: 'refused', term: 1, revision: 0, stages: [], problem }));
    };
    const handle = client.submit(spec, { id: 'twice' });
    const refused = { code: 'MESH_JOB_CONFLICT', mend: 'choose another id' };
    await assert.rejects(handle.result(), refused);
    await assert.rejects(handle.accepted(), refused);
    await assert.rejects(next(handle.states()[Symbol.asyncIterator]()), refused);
  });

  it('takes no state of another spec, and nothing malformed, for its own', async () => {
    const other = 'f'.repeat(64);
    await mesh.publishEnd('same', other);
    await mesh.publishRaw(mesh.topics.jobState(account, 'same'), Buffer.from('{"v":1,"phase":'));
    const handle = client.submit(spec, { id: 'same' });
    await until('the spec was published again', () => (mesh.specs.get('same')?.times ?? 0) > 2);
    assert.equal(handle.state, undefined);
    await mesh.publishState(stateOf('same', other, { phase: 'refused', revision: 0 }));
    await mesh.publishEnd('same', mesh.specs.get('same')!.specHash);
    assert.equal((await handle.result()).specHash, mesh.specs.get('same')!.specHash);
  });

  it('gives up waiting for a leader when told to', async () => {
    const handle = client.submit(spec, { acceptWithinMs: 20 });
    await assert.rejects(handle.result(), { code: 'MESH_NO_LEADER' });
  });

  it('says at once what is wrong with a spec', () => {
    assert.throws(() => client.submit({ stages: {} }), { code: 'MESH_SPEC_INVALID', where: 'stages' });
    assert.throws(() => client.submit(spec, { id: 'a.b' }), { code: 'MESH_TOPIC_INVALID' });
    const code = { inline: `export default '${'x'.repeat(60_000)}'` };
    const large = { stages: { a: { code }, b: { code }, c: { code }, d: { code }, e: { code } } };
    assert.throws(() => client.submit(large), { code: 'MESH_LIMIT_EXCEEDED' });
  });

  it('leaves the spec at the broker when asked to', async () => {
    client.submit(spec, { id: 'kept', retain: true });
    await until('the spec comes', () => mesh.specs.get('kept'));
    const seen: boolean[] = [];
    const { host, port, password } = mesh.connection;
    const transport = await connectMqtt({ url: `mqtt://${host}:${port}`, clientId: 'x', username: account, password });
    transport.listen((_topic, _payload, retained) => seen.push(retained));
    await transport.subscribe([mesh.topics.jobSpec(account, 'kept')], 1);
    await until('the retained spec comes', () => seen.includes(true));
    await transport.close();
  });

  it('cancels again and again until the job has ended', async () => {
    mesh.onSpec = ({ job, specHash }) => void mesh.publishState(stateOf(job, specHash));
    const handle = client.submit(spec, { id: 'stop' });
    await handle.accepted();
    mesh.onCancel = (job, reason) => {
      if (mesh.cancels.length < 3) return;
      const problem = { code: 'MESH_JOB_CANCELLED', message: reason };
      void mesh.publishEnd(job, mesh.specs.get(job)!.specHash, { phase: 'cancelled', problem });
    };
    assert.equal((await handle.cancel('wrong input')).phase, 'cancelled');
    assert.equal(mesh.cancels[0]!.reason, 'wrong input');
    assert.equal((await handle.result()).problem!.message, 'wrong input');
  });

  it('streams what tasks log, until the job has ended', async () => {
    mesh.onSpec = ({ job, specHash }) => void mesh.publishState(stateOf(job, specHash));
    const handle = client.submit(spec, { id: 'talk' });
    await handle.accepted();
    const lines: string[] = [];
    const reading = (async () => {
      for await (const log of handle.logs()) lines.push(...log.lines);
    })();
    const log = { v: 1, node: 'ada', task: 'map-0', attempt: '1-1', lines: ['hello'] };
    await until('the log arrives', async () => {
      await mesh.publish(mesh.topics.jobLogs(account, 'talk'), log);
      return lines.length > 0;
    });
    await mesh.publishEnd('talk', mesh.specs.get('talk')!.specHash);
    await reading;
    assert.ok(lines.every((line) => line === 'hello'));
  });

  it('ends what waits when it is closed', async () => {
    const handle = client.submit(spec);
    const waiting = [handle.result(), client.nodes()].map((each) => assert.rejects(each, { code: 'MESH_UNREACHABLE' }));
    await until('the question is asked', () => mesh.asks.length > 0);
    await client.close();
    await Promise.all(waiting);
  });
});

async function next(states: AsyncIterator<JobState>): Promise<JobState> {
  const { value, done } = await states.next();
  assert.equal(done, false);
  return value as JobState;
}
