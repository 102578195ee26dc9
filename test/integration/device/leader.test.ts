import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { formatConnection } from '@foremesh/node-runtime/contract';
import { connectMesh } from '@foremesh/node-runtime/sdk';
import { openHome } from '@foremesh/node-runtime/shell';
import { ForemeshProcess } from '../mesh/processes.ts';
import { jobOf, Mesh } from '../shell/mesh.ts';
import { rememberPast } from '../shell/past.ts';
import { endAll, later, scratch, until } from '../shell/support.ts';

const bundle = join(import.meta.dirname, '../../../node-runtime/bundle');

describe('the device package as a leader', function () {
  this.timeout(300_000);
  afterEach(endAll);

  it('has no TensorFlow.js: it says how to get it, learns another model, and does all else without', async () => {
    const mesh = await Mesh.start();
    await mesh.ada.stop();
    const home = openHome(join(mesh.directory, 'ada'), {});
    // As many minutes as are enough to learn from.
    await rememberPast(home.historyDirectory, { sampleIntervalMs: 5_000, steps: 1_100 });
    const learned = (what: string) =>
      mesh.events.some(({ kind, text }) => kind === 'model-trained' && text.startsWith(`${what} has learned`));
    // One that has it leads before, and ends while it trains the second model.
    mesh.ada = await mesh.node('ada', { learning: { updates: 50, lookEveryMs: 200 } });
    await until('there is an LSTM', () => learned('cpu: lstm'), 120_000);
    await mesh.ada.stop();

    // Elsewhere, where nothing of a checkout is found.
    const folder = await scratch();
    await cp(bundle, folder, { recursive: true });
    const connection = formatConnection(mesh.connection);
    const words = ['node', '--home', home.directory, '--join', connection, '--slots', '1', '--json'];
    const ada = new ForemeshProcess(words, {}, [], join(folder, 'foremesh.mjs'));
    later(() => ada.kill('SIGTERM'));
    await ada.ready();
    await until('it has learned for itself', () => learned('memory: ridge'), 120_000);
    const howTo = 'npm install @foremesh/models @tensorflow/tfjs-core';
    assert.match(ada.stdout + ada.stderr, new RegExp(`ridge is trained instead: .*${howTo}`));
    const failed = mesh.events.filter(({ kind }) => kind === 'model-failed').map(({ text }) => text);
    assert.equal(failed.length, 1, failed.join('\n'));
    assert.match(failed[0]!, new RegExp(`^cpu: .*${howTo}`), 'the LSTM is left to others');

    const client = await connectMesh(mesh.connection);
    later(() => client.close());
    const forecast = await until('it forecasts', () => client.forecast('ada'));
    assert.ok(forecast.observedSteps > 1_000, `${forecast.observedSteps} steps`);
    assert.equal((await mesh.run('small', jobOf('return 6 * 7'))).phase, 'done');
  });
});
