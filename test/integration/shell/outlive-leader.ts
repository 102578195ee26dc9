import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeWeights } from '@foremesh/models';
import { formatConnection } from '@foremesh/node-runtime/contract';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { Mesh } from './mesh.ts';
import { type Child, endAll, later, spawnScript, until } from './support.ts';

/** A step is 2.4 s. */
const sampleIntervalMs = 200;
/** The LSTM holds the last 15 % of each past back, of which 30 have to lie ahead: 42 steps may pass, measured or not, before it is trained. */
const pastSteps = 480;
const [lags, forecastSteps] = [48, 30];
const learning = {
  lags,
  // The past of two nodes is too little: all three have to tell theirs.
  windowsLeast: 2 * (pastSteps - lags - forecastSteps + 1) + 1,
  lookEveryMs: 200,
  updates: 60,
  // Of each of the two nodes that are left, two steps.
  scoredLeast: 4,
};
const names = ['ada', 'bob', 'cyd'];

/**
 * A mesh of three nodes, real processes with a past, in which the leader trains such models on what all nodes remember; then it is killed, and
 * the next leader goes on with its weights.
 */
export function outliveTheirLeader(model: 'ridge' | 'lstm'): void {
  describe(`the learned models of a mesh (${model})`, function () {
    this.timeout(540_000);
    let mesh: Mesh;
    let client: MeshClient;
    const nodes = new Map<string, Child>();
    beforeEach(async () => {
      mesh = await Mesh.start();
      await mesh.ada.stop();
      client = await connectMesh(mesh.connection);
      later(() => client.close());
      const connection = formatConnection(mesh.connection);
      for (const name of names) {
        const numbers = [sampleIntervalMs, pastSteps].map(String);
        const words = [join(mesh.directory, name), connection, name, ...numbers];
        nodes.set(name, spawnScript('learning-process.ts', ...words, JSON.stringify({ ...learning, model })));
      }
      for (const [name, { lines }] of nodes) await until(`${name} is online`, () => lines.includes('online'), 60_000);
    });
    afterEach(endAll);

    /** What a node has logged of each kind of model, by kind. */
    const logged = (name: string, what: string): Record<string, { blob: string; scored: number; loss: number }> => {
      const lines = nodes.get(name)!.lines.filter((line) => line.includes(`"msg":"${what}"`));
      return Object.fromEntries(lines.map((line) => JSON.parse(line)).map((each) => [each.kind, each]));
    };
    const inUse = (name: string) =>
      Object.entries(logged(name, 'a learned model is in use')).map(([kind, { blob }]) => [kind, blob] as const);
    const told = (kind: string) => mesh.events.filter((event) => event.kind === kind);

    it('are trained by a leader, and loaded by the next when it is killed', async () => {
      await until('ada uses what it has learned', () => inUse('ada').length === 2, 120_000);
      assert.deepEqual(
        told('model-trained').map(({ source, text }) => `${source}: ${text.replace(/\d+ windows/, 'N windows')}`),
        ['cpu', 'memory'].map((kind) => `ada: ${kind}: ${model} has learned from N windows of 3 nodes`),
      );
      const blobs = join(mesh.directory, 'ada/broker/blobs');
      const files = await readdir(blobs, { recursive: true });
      for (const [, blob] of inUse('ada')) {
        const file = files.find((each) => each.includes(blob.replace('sha256-', '')))!;
        const { trainedOn, intervalMs, ...weights } = decodeWeights(await readFile(join(blobs, file)));
        assert.deepEqual([weights.model, weights.version, trainedOn.series], [model, 1, 3]);
        assert.ok(trainedOn.windows > 0 && intervalMs === 12 * sampleIntervalMs);
      }

      // Only now, so that ada leads until then, whatever else this machine does.
      await client.setVoters({ count: 3, settleMs: 500, replaceAfterMs: 60_000 });
      const votersOf = async () =>
        (await client.voters()).voters.filter(({ role }) => role === 'leader' || role === 'voter');
      await until('three nodes vote', async () => (await votersOf()).length === 3, 60_000);
      await nodes.get('ada')!.kill('SIGKILL');
      // On a machine with much to do one may lead after the other.
      const others = ['bob', 'cyd'];
      const next = await until(
        'the next leader has loaded them',
        () => others.find((name) => inUse(name).length === 2),
        90_000,
      );
      assert.deepEqual(inUse(next), inUse('ada'), 'the same weights, from where ada has put them');
      // They were asked about what the nodes measure now, and were right or wrong.
      const compared = await until(
        'what they forecast is compared with what came',
        () => {
          const found = others.map((name) => Object.values(logged(name, 'a learned model has been compared')));
          return found.find(({ length }) => length === 2);
        },
        240_000,
      );
      assert.ok(others.includes((await client.forecast(next))!.leader), 'it forecasts');
      for (const { scored, loss } of compared) assert.ok(scored >= learning.scoredLeast && loss > 0);
      assert.deepEqual(
        told('model-training').map(({ source }) => source),
        ['ada', 'ada'],
        'none is trained anew',
      );
      assert.deepEqual(told('model-failed'), []);
    });
  });
}
