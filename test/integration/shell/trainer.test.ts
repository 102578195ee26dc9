import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { decodeWeights, type SeriesWindow, WeightsError } from '@foremesh/models';
import { MeshError } from '@foremesh/node-runtime/contract';
import { createTrainer, globalModelNames, readGlobalModel } from '@foremesh/node-runtime/shell';

const bundle = join(import.meta.dirname, '../../../node-runtime/bundle');
const sizes = { lags: 16, steps: 6, updates: 60 };

describe('training of global models in a thread', function () {
  this.timeout(180_000);
  const histories = Array.from({ length: 6 }, (_, phase) => waves(300, phase));

  for (const model of globalModelNames) {
    it(`gives bytes that another leader goes on with: ${model}`, async () => {
      const shares: number[] = [];
      const onProgress = (share: number) => shares.push(share);
      const bytes = await createTrainer().train(histories, { model, ...sizes, onProgress });
      const loaded = await readGlobalModel(bytes!);
      assert.deepEqual([loaded.model, loaded.lags, loaded.steps], [model, 16, 6]);
      const [curves] = loaded.predict([waves(40, 1)]);
      assert.equal(curves!.q50.length, 6);
      assert.deepEqual(decodeWeights(bytes!).trainedOn, { series: 6, windows: model === 'ridge' ? 6 * 279 : 6 * 234 });
      loaded.dispose?.();
      if (model !== 'lstm') return;
      assert.ok(shares.length > 1 && shares.every((share) => share > 0 && share <= 1));
      assert.deepEqual(
        shares,
        shares.toSorted((a, b) => a - b),
      );
    });
  }

  it('leaves the main thread to others', async () => {
    // What the thread keeps from us would show as a turn of the event loop that takes as long as many updates.
    const before = performance.eventLoopUtilization();
    await createTrainer().train(histories, { model: 'lstm', ...sizes });
    const { active } = performance.eventLoopUtilization(before);
    assert.ok(active < 1_000, `${active} ms of the main thread`);
  });

  it('ends when it is told to', async () => {
    const stop = new AbortController();
    const reason = new Error('no longer the leader');
    const training = createTrainer().train(histories, {
      ...sizes,
      signal: stop.signal,
      onProgress: () => stop.abort(reason),
    });
    await assert.rejects(training, reason);
    await assert.rejects(createTrainer().train(histories, { ...sizes, signal: stop.signal }), reason);
  });

  it('says that histories are too short, and what else is wrong with them', async () => {
    assert.equal(await createTrainer().train([waves(10, 0)], { model: 'ridge', ...sizes }), undefined);
    const mixed = [waves(300, 0), { ...waves(300, 0), intervalMs: 5_000 }];
    await assert.rejects(createTrainer().train(mixed, { model: 'ridge', ...sizes }), RangeError);
  });

  it('needs TensorFlow.js for the LSTM alone, and says so where it is not installed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'foremesh-bundle-'));
    try {
      await cp(bundle, folder, { recursive: true });
      const trainer = createTrainer({ path: join(folder, 'train-model.mjs'), nodeArguments: [] });
      const absent = (error: unknown) =>
        error instanceof MeshError &&
        error.code === 'MESH_NOT_INSTALLED' &&
        /npm install .*tfjs-core/.test(error.mend ?? '');
      await assert.rejects(trainer.train(histories, { model: 'lstm', ...sizes }), absent);
      const bytes = await trainer.train(histories, { model: 'ridge', ...sizes });
      assert.equal(decodeWeights(bytes!).model, 'ridge');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('reads no bytes that are no weights of a model that it knows', async () => {
    await assert.rejects(readGlobalModel(new Uint8Array(64)), WeightsError);
  });
});

function waves(length: number, phase: number): SeriesWindow {
  const values = Float64Array.from({ length }, (_, index) => 50 + 30 * Math.sin(index / 5 + phase));
  return { values, range: { low: 0, high: 100 }, intervalMs: 60_000 };
}
