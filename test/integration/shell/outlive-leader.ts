import assert from 'node:assert/strict';
import { join } from 'node:path';
import { formatConnection } from '@foremesh/node-runtime/contract';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { Mesh } from './mesh.ts';
import { type Child, endAll, later, spawnScript, until } from './support.ts';

/**
 * A mesh of three nodes, real processes, in which the leader trains such models on what all nodes have measured, as soon as there are so many
 * windows; then it is killed, and the next leader goes on with its weights.
 */
export function outliveTheirLeader(
  model: 'ridge' | 'lstm',
  { sampleIntervalMs = 20, windowsLeast = 60, trainedMs = 60_000 } = {},
): void {
  describe(`the learned models of a mesh (${model})`, function () {
    this.timeout(210_000 + trainedMs);
    let mesh: Mesh;
    let client: MeshClient;
    const nodes = new Map<string, Child>();
    beforeEach(async () => {
      mesh = await Mesh.start();
      await mesh.ada.stop();
      client = await connectMesh(mesh.connection);
      later(() => client.close());
      for (const name of ['ada', 'bob', 'cyd']) {
        const connection = formatConnection({ ...mesh.connection, profile: 'lan' });
        const words = [
          join(mesh.directory, name),
          connection,
          name,
          String(sampleIntervalMs),
          model,
          String(windowsLeast),
        ];
        const child = spawnScript('learning-process.ts', ...words);
        nodes.set(name, child);
        await until(`${name} is online`, () => child.lines.includes('online'), 60_000);
      }
    });
    afterEach(endAll);

    /** Blobs of the models that a node has taken in use, by kind. */
    const inUse = (name: string) => {
      const lines = nodes.get(name)!.lines.filter((line) => line.includes('a learned model is in use'));
      return Object.fromEntries(lines.map((line) => JSON.parse(line)).map(({ kind, blob }) => [kind, blob]));
    };
    const told = (kind: string) => mesh.events.filter((event) => event.kind === kind);

    it('are trained by a leader, and loaded by the next when it is killed', async () => {
      await client.setVoters({ count: 3, settleMs: 500, replaceAfterMs: 60_000 });
      const votersOf = async () =>
        (await client.voters()).voters.filter(({ role }) => role === 'leader' || role === 'voter');
      await until('three nodes vote', async () => (await votersOf()).length === 3, 30_000);
      await until('ada uses what it has learned', () => Object.keys(inUse('ada')).length === 2, trainedMs);
      assert.deepEqual(
        told('model-trained').map(({ source, text }) => [source, /^(\w+: \w+) has learned/.exec(text)?.[1]]),
        [
          ['ada', `cpu: ${model}`],
          ['ada', `memory: ${model}`],
        ],
      );

      await nodes.get('ada')!.kill('SIGKILL');
      const next = await until(
        'the next leader has loaded them',
        () => ['bob', 'cyd'].find((name) => Object.keys(inUse(name)).length === 2),
        60_000,
      );
      assert.deepEqual(inUse(next), inUse('ada'), 'the same weights, from where ada has put them');
      const before = await until('it forecasts', async () => {
        const forecast = await client.forecast(next);
        return forecast?.leader === next ? forecast : undefined;
      });
      // By then it has looked often whether there is something to be trained.
      await until('it goes on', async () => (await client.forecast(next))!.observedSteps >= before.observedSteps + 5);
      assert.deepEqual(
        new Set(told('model-training').map(({ source }) => source)),
        new Set(['ada']),
        'none is trained anew',
      );
      assert.deepEqual(told('model-failed'), []);
    });
  });
}
