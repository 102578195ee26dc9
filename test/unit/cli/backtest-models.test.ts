import assert from 'node:assert/strict';
import { backtest, backtestOrigins } from '@foremesh/models';
import { MeshError } from '@foremesh/node-runtime/contract';
import { createTrainer, type Trainer } from '@foremesh/node-runtime/shell';
import { type ContestantsOptions, contestantsOf } from '../../../node-runtime/cli/backtest/contestants.ts';
import { randomOf } from '../../support/generated.ts';

const horizon = 6;
const series = { intervalMs: 60_000, range: { low: 0, high: 1 } };

/** The same until `first`, whatever the seed. */
function valuesOf(length: number, first: number, seed: number): Float64Array {
  const [before, after] = [randomOf(1), randomOf(seed)];
  return Float64Array.from({ length }, (_, at) => {
    const { normal } = at < first ? before : after;
    const value = 0.5 + 0.3 * Math.sin(at / 5) + 0.05 * normal();
    return at % 397 === 60 ? Number.NaN : Math.min(1, Math.max(0, value));
  });
}

describe('cli: the models of a backtest', function () {
  this.timeout(120_000);
  const told: string[] = [];
  /** The real one, made short. */
  const short: Trainer = {
    train: (histories, options) => createTrainer().train(histories, { ...options, updates: 50 }),
  };
  const ask = (change: Partial<ContestantsOptions>) => {
    const onProgress = (fraction: number, model: string) => told.push(`${fraction <= 1 ? model : fraction}`);
    const [values, first] = [valuesOf(400, 200, 2), 200];
    return contestantsOf({ ...series, values, first, horizon, onProgress, trainer: short, ...change });
  };

  it('trains ridge and LSTM on what lies before the first origin, and on nothing else', async () => {
    const origins = backtestOrigins(400, horizon, 5);
    const [first] = origins;
    const forecasts: unknown[] = [];
    for (const seed of [2, 3]) {
      const values = valuesOf(400, first!, seed);
      const { models, dispose } = await ask({ values, first: first!, wanted: ['ridge', 'lstm'] });
      assert.deepEqual([...models.keys()], ['last-value', 'ridge', 'lstm']);
      const windows = ['ridge', 'lstm'].map((name) => [
        ...backtest(models.get(name)!, values, { ...series, horizon, origins }),
      ]);
      dispose();
      for (const { curves } of windows.flat())
        for (const [step, middle] of curves.q50.entries()) {
          const numbers = [0, curves.q10[step]!, middle, curves.q90[step]!, 1];
          assert.deepEqual(
            [...numbers].sort((a, b) => a - b),
            numbers,
          );
        }
      // Of the later ones, what came between is known.
      forecasts.push(windows.map(([at]) => at));
    }
    assert.deepEqual(forecasts[0], forecasts[1]);
    assert.ok(told.includes('lstm, in training'), told.join());
  });

  it('has no seasonal model that would be another one', async () => {
    const intervalMs = 3_600_000;
    for (const [first, isThere] of [
      [47, false],
      [48, true],
    ] as const) {
      const { models, absent } = await ask({ first, intervalMs });
      assert.equal(models.has('seasonal-naive'), isThere);
      assert.equal(
        absent.some(({ model, reason }) => model === 'seasonal-naive' && /47 values .* two seasons of 24/.test(reason)),
        !isThere,
      );
    }
    await assert.rejects(ask({ first: 47, intervalMs, wanted: ['seasonal-naive'] }), /two seasons of 24/);
  });

  it('trains the LSTM unasked where a leader would', async () => {
    const values = valuesOf(4_000, 2_000, 2);
    const { models, absent, dispose } = await ask({ values, first: 2_000, intervalMs: 300_000 });
    dispose();
    assert.deepEqual(absent, []);
    assert.ok(models.has('lstm') && models.has('ridge') && models.has('engine'));
  });

  it('goes on where packages are missing, unless they were asked for', async () => {
    const missing = new MeshError('MESH_NOT_INSTALLED', 'the LSTM needs packages', { mend: 'npm install them' });
    const trainer: Trainer = {
      train: (histories, options) =>
        options?.model === 'lstm' ? Promise.reject(missing) : createTrainer().train(histories, options),
    };
    const values = valuesOf(4_000, 2_000, 2);
    const { models, absent } = await ask({ values, first: 2_000, intervalMs: 300_000, trainer });
    assert.ok(models.has('ridge') && !models.has('lstm'));
    assert.deepEqual(absent, [{ model: 'lstm', reason: 'the LSTM needs packages; npm install them' }]);
    await assert.rejects(ask({ trainer, wanted: ['lstm'] }), missing);
    const asked = await ask({ trainer, wanted: ['lstm', 'ridge'] });
    assert.deepEqual([...asked.models.keys()], ['last-value', 'ridge']);
    assert.deepEqual(asked.absent, absent);
  });
});
