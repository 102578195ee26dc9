import assert from 'node:assert/strict';
import type { MeshError } from '@foremesh/node-runtime/contract';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { until } from '../../support/until.ts';
import { fast, ScriptedMesh, spec, stateOf } from './scripted-mesh.ts';

describe('sdk: lost connections', () => {
  let mesh: ScriptedMesh;
  let client: MeshClient;
  let problems: MeshError[];

  beforeEach(async () => {
    problems = [];
    mesh = await ScriptedMesh.start();
    client = await connectMesh(mesh.connection, { timing: fast, onProblem: (problem) => problems.push(problem) });
  });
  afterEach(async () => {
    await client.close();
    await mesh.close();
  });

  it('waits on through a restart of the broker', async () => {
    mesh.onSpec = ({ job, specHash }) => void mesh.publishState(stateOf(job, specHash));
    const handle = client.submit(spec, { id: 'long' });
    await handle.accepted();
    await mesh.stopBroker();
    await until('the loss is noticed', () => !client.connected);
    await mesh.startBroker();
    await until('it is connected again', () => client.connected);
    await mesh.publishEnd('long', mesh.specs.get('long')!.specHash);
    assert.equal((await handle.result()).phase, 'done');
    assert.equal(problems[0]!.code, 'MESH_UNREACHABLE');
  });

  it('submits through a restart: what was published while nobody listened is published again', async () => {
    await mesh.stopBroker();
    const handle = client.submit(spec, { id: 'early' });
    mesh.onSpec = ({ job, specHash }) => void mesh.publishState(stateOf(job, specHash));
    await until('several attempts to connect failed', () => problems.length >= 3);
    await mesh.startBroker();
    assert.equal((await handle.accepted()).job, 'early');
  });

  it('learns of an end that it missed, though the broker kept nothing', async () => {
    mesh.onSpec = ({ job, specHash, times }) => {
      if (times === 1) void mesh.publishState(stateOf(job, specHash));
      else void mesh.publishEnd(job, specHash); // the leader says once more how it ended
    };
    const handle = client.submit(spec, { id: 'missed' });
    await handle.accepted();
    await mesh.stopBroker();
    const { specHash } = mesh.specs.get('missed')!;
    const state = stateOf('missed', specHash, { phase: 'done', revision: 9 });
    mesh.answer = ({ query }) => (query === 'job' ? { query, state, tasks: [], truncated: 0 } : undefined);
    await mesh.startBroker();
    const phases: string[] = [];
    for await (const { phase } of handle.states()) phases.push(phase);
    assert.equal(phases.at(-1), 'done');
    assert.equal((await handle.result()).elapsedMs, 1_234);
  });

  it('says that a job which only it remembers is gone', async () => {
    mesh.onSpec = ({ job, specHash }) => void mesh.publishState(stateOf(job, specHash));
    const handle = client.submit(spec, { id: 'gone' });
    await handle.accepted();
    mesh.answer = () => ({ query: 'error', problem: { code: 'MESH_JOB_UNKNOWN', message: 'there is no job "gone"' } });
    await mesh.stopBroker();
    await mesh.startBroker();
    await assert.rejects(handle.result(), { code: 'MESH_JOB_UNKNOWN' });
    assert.equal(mesh.specs.get('gone')!.times, 1, 'it must not run once more');
  });

  it('asks for the state of a job that has been quiet for long', async () => {
    const impatient = await connectMesh(mesh.connection, { timing: { ...fast, quietMs: 30 } });
    mesh.onSpec = ({ job, specHash }) => void mesh.publishState(stateOf(job, specHash));
    const handle = impatient.submit(spec, { id: 'quiet' });
    const { specHash } = await handle.accepted();
    mesh.answer = () => ({
      query: 'job',
      state: stateOf('quiet', specHash, { phase: 'running', revision: 5 }),
      tasks: [],
      truncated: 0,
    });
    await until('the state is learnt', () => handle.state?.revision === 5);
    await impatient.close();
  });

  it('asks a question again on the next connection', async () => {
    const asked = client.nodes();
    await until('it is asked', () => mesh.asks.length > 0);
    await mesh.stopBroker();
    mesh.answer = () => ({ query: 'nodes', nodes: [], truncated: 0 });
    await mesh.startBroker();
    assert.deepEqual(await asked, { rows: [], truncated: 0 });
  });
});

describe('sdk: no mesh', () => {
  let mesh: ScriptedMesh;
  before(async () => {
    mesh = await ScriptedMesh.start();
  });
  after(() => mesh.close());

  it('says at once that nothing listens, or that the password is wrong', async () => {
    const refused = { ...mesh.connection, password: 'guess' };
    await assert.rejects(connectMesh(refused), { code: 'MESH_NOT_AUTHORIZED' });
    const gone = await ScriptedMesh.start();
    await gone.close();
    await assert.rejects(connectMesh(gone.connection), { code: 'MESH_UNREACHABLE' });
    await assert.rejects(connectMesh('mqtt://localhost'), { code: 'MESH_CONFIG_INVALID' });
  });

  it('says that nobody leads, and what to do', async () => {
    const client = await connectMesh(mesh.connection, { timing: { ...fast, queryTimeoutMs: 50 } });
    const calls = [client.jobs(), client.job('x'), client.nodes(), client.put(new Uint8Array(1))];
    await Promise.all(
      calls.map((call) =>
        assert.rejects(call, (error: MeshError) => {
          assert.equal(error.code, 'MESH_NO_LEADER');
          assert.match(error.mend!, /foremesh node/);
          return true;
        }),
      ),
    );
    await assert.rejects(client.follow('x').result(), { code: 'MESH_NO_LEADER' });
    await client.close();
  });

  it('passes on what the leader says is wrong', async () => {
    mesh.answer = () => ({ query: 'error', problem: { code: 'MESH_JOB_UNKNOWN', message: 'there is no job "x"' } });
    const client = await connectMesh(mesh.connection, { timing: fast });
    await assert.rejects(client.job('x'), { code: 'MESH_JOB_UNKNOWN', message: 'there is no job "x"' });
    await assert.rejects(client.follow('x').result(), { code: 'MESH_JOB_UNKNOWN' });
    await client.close();
  });
});
