import assert from 'node:assert/strict';
import { BlobClient } from '@foremesh/node-runtime/data';
import { jobOf, Mesh, stageOf } from './mesh.ts';
import { endAll, until } from './support.ts';

/** Runs until it is stopped; its limits are far away. */
const spins = 'for (;;) { task.progress(0.5); await null; }';
const lines = (count: number) => Array.from({ length: count }, (_, line) => line).join('\n');

describe('cancels and priorities in a real mesh of one slot', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  before(async () => {
    mesh = await Mesh.start();
  });
  after(endAll);

  async function isCancelled(job: string): Promise<void> {
    await mesh.cancel(job);
    const { phase, problem } = await mesh.result(job);
    assert.deepEqual(
      [job, phase, problem?.code, problem?.message],
      [job, 'cancelled', 'MESH_JOB_CANCELLED', 'no more'],
    );
    await until(`${job} is cancelled`, () => mesh.state(job)?.phase === 'cancelled');
  }
  /** The one slot is free again, and so nothing that was cancelled runs on. */
  const isFree = async (job: string) => assert.equal((await mesh.run(job, jobOf('return 1'))).phase, 'done');
  const stage = (job: string, number = 0) => mesh.state(job)?.stages[number];

  it('a cancel reaches a job whose merge runs', async () => {
    const merge = { inline: `export default async function (task) { ${spins} }` };
    const parts = { ...stageOf('return 1'), input: { inline: lines(3) }, split: { by: 'lines', chunks: 3 }, merge };
    await mesh.submit('merging', { stages: { main: parts } });
    await until('its merge runs', () => stage('merging')?.done === 3 && stage('merging')?.running === 1);
    await isCancelled('merging');
    await isFree('after-merging');
  });

  it('a cancel reaches a job of which one stage runs and another needs it, and jobs that wait behind', async () => {
    const stages = { first: stageOf(spins), second: { ...stageOf('return 1'), needs: ['first'] } };
    await mesh.submit('graph', { stages });
    await until('its first stage runs', () => stage('graph')?.running === 1 && stage('graph', 1)?.reason === 'needs');
    await mesh.submit('behind', jobOf('return 1'));
    await until('one waits behind it', () => stage('behind')?.reason === 'queued');
    await isCancelled('behind');
    await isCancelled('graph');
    await isFree('after-graph');
  });

  it('a cancel reaches a job whose input is being indexed; the index that comes late changes nothing', async () => {
    const { topics, client } = mesh;
    const blobs = new BlobClient({
      transport: () => client,
      topics,
      requester: `${mesh.connection.account}--test`,
      holders: ['broker'],
    });
    // So much that the holder reads for a while.
    const input = await blobs.put(Buffer.from(`${'x'.repeat(99)}\n`.repeat(120_000)));
    await mesh.submit('indexing', jobOf('return 1', { input, split: { by: 'lines' }, merge: 'array' }));
    await until('it is accepted', () => mesh.state('indexing'));
    assert.equal(mesh.states.get('indexing')![0]!.stages[0]!.reason, 'index');
    await isCancelled('indexing');
    await blobs.index(input, 'lines');
    await blobs.close();
    await isFree('after-indexing');
    assert.equal(mesh.state('indexing')?.phase, 'cancelled');
  });

  it('a cancel ends a schedule, and what it has started is cancelled by itself', async () => {
    await mesh.submit('often', { schedule: '* * * * * *', ...jobOf(spins) });
    const started = await until('one was started', () => {
      return [...mesh.states.keys()].find((job) => job.startsWith('often-') && stage(job)?.running === 1);
    });
    await isCancelled('often');
    assert.equal(mesh.results.has(started), false, 'it runs on');
    const ofSchedule = () => [...mesh.states.keys()].filter((job) => job.startsWith('often-'));
    for (const job of ofSchedule()) await isCancelled(job);
    await isFree('after-often');
    for (const job of ofSchedule()) assert.equal(mesh.state(job)?.phase, 'cancelled');
  });

  it('a job of high priority overtakes a long queue of lower ones, and interrupts nobody', async () => {
    await mesh.submit('holds', jobOf(spins));
    await until('it runs', () => stage('holds')?.running === 1);
    const low = { ...stageOf('return 1'), input: { inline: lines(60) }, split: { by: 'lines', chunks: 60 } };
    await mesh.submit('low', { priority: 1, stages: { main: low } });
    await until('a long queue waits', () => (stage('low')?.waiting ?? 0) >= 60);
    await mesh.submit('high', { priority: 9, ...jobOf('return "first"') });
    await until('it waits too', () => mesh.state('high'));
    assert.equal(mesh.state('holds')?.phase, 'running', 'who runs is left alone');
    await isCancelled('holds');
    await mesh.result('high');
    assert.equal(mesh.results.has('low'), false);
    assert.ok((stage('low')?.done ?? 0) < 30, `${stage('low')?.done} of the lower ones came first`);
    assert.equal((await mesh.result('low')).phase, 'done');
    assert.deepEqual(
      [...mesh.results.keys()].filter((job) => job === 'high' || job === 'low'),
      ['high', 'low'],
    );
  });
});
