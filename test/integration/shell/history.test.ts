import assert from 'node:assert/strict';
import { join } from 'node:path';
import { runCli } from '@foremesh/node-runtime/cli';
import { formatConnection } from '@foremesh/node-runtime/contract';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { FakeIo } from '../../unit/cli/fake-io.ts';
import { Mesh } from './mesh.ts';
import { type Child, endAll, later, meshError, spawnScript, until } from './support.ts';

/** A minute of samples passes in 0.36 s. */
const sampleIntervalMs = 30;

describe('the history of a node', function () {
  this.timeout(90_000);
  let mesh: Mesh;
  let client: MeshClient;
  beforeEach(async () => {
    mesh = await Mesh.start({ sampleIntervalMs });
    client = await connectMesh(mesh.connection);
    later(() => client.close());
  });
  afterEach(endAll);

  async function startBob(): Promise<Child> {
    const home = join(mesh.directory, 'bob');
    const words = [home, formatConnection(mesh.connection), 'bob', String(sampleIntervalMs)];
    const child = spawnScript('history-process.ts', ...words);
    await until('bob is online', () => child.lines.includes('online'));
    await until('the leader has heard of it', async () =>
      (await client.nodes()).rows.some(({ status }) => status.node === 'bob' && status.online),
    );
    return child;
  }
  const counts = async (node: string, resolution: '5s' | '1m' | '5m') => {
    const { samples } = await client.history(node, { resolution });
    const runs = new Map<number, number>();
    for (const { run } of samples) runs.set(run, (runs.get(run) ?? 0) + 1);
    return runs;
  };

  it('goes on where it was when the node is killed, and is shown to whoever asks', async () => {
    let bob = await startBob();
    await until('there are minutes', async () => ((await counts('bob', '1m')).get(1) ?? 0) >= 4);
    const before = await counts('bob', '5s');
    await bob.kill('SIGKILL');
    await assert.rejects(client.history('bob', { resolution: '5s' }), meshError('MESH_NODE_AWAY', 'bob'));
    await assert.rejects(client.history('nobody', { resolution: '5s' }), meshError('MESH_NODE_UNKNOWN', 'nobody'));

    bob = await startBob();
    const after = await until('it has new samples', async () => {
      const found = await counts('bob', '5s');
      return (found.get(2) ?? 0) > 12 ? found : undefined;
    });
    assert.ok(after.get(1)! >= before.get(1)! - 12, `${before.get(1)} samples before, ${after.get(1)} of them after`);
    assert.ok((await counts('bob', '1m')).get(1)! >= 4, 'minutes were not on disk: they are made again');
    await until('there is a mean of all of the first run', async () => ((await counts('bob', '5m')).get(1) ?? 0) >= 1);

    const { samples, writtenBytes } = await client.history('bob', { resolution: '5s', sinceMs: 60_000 });
    assert.ok(writtenBytes > 0);
    for (const [index, { ageMs, cpuShare, cpuBackgroundShare, memoryAvailableBytes }] of samples.entries()) {
      assert.ok(ageMs <= 60_000 + 5_000 && ageMs >= (samples[index + 1]?.ageMs ?? 0));
      assert.ok(cpuShare! <= 1 && cpuBackgroundShare! <= cpuShare! + 0.001 && memoryAvailableBytes! > 1e6);
    }

    const io = new FakeIo(mesh.directory, { FOREMESH_CONNECTION: formatConnection(mesh.connection) });
    assert.equal(await runCli(['history', 'bob'], io), 0, io.err);
    assert.match(io.text, /^bob: the last .* samples, 1 restart\n\nCPU .*100 % ┤.*█?\nlast /);
    await bob.kill('SIGTERM');
    bob = await startBob();
    const third = await counts('bob', '5s');
    assert.deepEqual([third.get(1), third.has(2)], [after.get(1), true]);
  });

  it('of the leader is told by the leader itself, and the list of nodes shows what was written', async () => {
    await until('there are samples', async () => ((await counts('ada', '5s')).get(1) ?? 0) > 3);
    const latest = await until('the leader has heard them', async () => (await client.nodes()).rows[0]?.latest);
    assert.ok(latest.diskFreeBytes! > 0 && latest.diskTotalBytes! >= latest.diskFreeBytes!);
    if (process.platform === 'linux') assert.ok(latest.writtenBytes! >= 0);
  });
});
