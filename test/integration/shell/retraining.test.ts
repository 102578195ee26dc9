import assert from 'node:assert/strict';
import { join } from 'node:path';
import { formatConnection } from '@foremesh/node-runtime/contract';
import { Mesh } from './mesh.ts';
import { endAll, spawnScript, until } from './support.ts';

/** A step is 0.6 s. */
const sampleIntervalMs = 50;
const pastSteps = 300;
/** Between its past and what it measures now is a gap: it has something new to learn from once 34 steps have come, as many as it reads and forecasts. */
const learning = { model: 'ridge', lags: 4, windowsLeast: 100, lookEveryMs: 200, pauseMs: 500 };
const kinds = ['cpu', 'memory'];

describe('the learned models of a leader that goes on leading', function () {
  this.timeout(240_000);
  afterEach(endAll);

  for (const { reason, policy } of [
    { reason: 'schedule', policy: { everyMs: 4_000 } },
    // Whatever it loses is too much.
    { reason: 'score-fell', policy: { ratioRise: 0, scoredLeast: 2 } },
  ])
    it(`are trained anew, and used instead of those before: ${reason}`, async () => {
      const mesh = await Mesh.start();
      await mesh.ada.stop();
      // In its home, since it is the one that votes.
      const words = [join(mesh.directory, 'ada'), formatConnection(mesh.connection), 'ada'];
      const options = JSON.stringify({ ...learning, ...policy });
      const { lines } = spawnScript('learning-process.ts', ...words, `${sampleIntervalMs}`, `${pastSteps}`, options);
      const reasonsOf = (kind: string) =>
        mesh.events
          .filter((event) => event.kind === 'model-training' && event.text.startsWith(`${kind}:`))
          .map(({ text }) => /\((.*)\)$/.exec(text)?.[1]);
      const usedOf = (kind: string) =>
        lines
          .filter((line) => line.includes('"msg":"a learned model is in use"'))
          .map((line) => JSON.parse(line) as { kind: string; blob: string })
          .flatMap((each) => (each.kind === kind ? [each.blob] : []));
      await until(
        'a second model of each kind is in use',
        () => kinds.every((kind) => new Set(usedOf(kind)).size >= 2),
        120_000,
      );
      for (const kind of kinds) assert.deepEqual([...new Set(reasonsOf(kind))], ['never-trained', reason]);
      assert.deepEqual(
        mesh.events.filter(({ kind }) => kind === 'model-failed'),
        [],
      );
    });
});
