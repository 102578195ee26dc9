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
  this.timeout(240_000);
  afterEach(endAll);

  it('has no TensorFlow.js: it says how to get it, learns another model from its past, forecasts and runs jobs', async () => {
    const mesh = await Mesh.start();
    await mesh.ada.stop();
    const home = openHome(join(mesh.directory, 'ada'), {});
    // As many minutes as are enough to learn from.
    await rememberPast(home.historyDirectory, { sampleIntervalMs: 5_000, steps: 1_100 });
    // Elsewhere, where nothing of a checkout is found.
    const folder = await scratch();
    await cp(bundle, folder, { recursive: true });
    const words = [
      'node',
      '--home',
      home.directory,
      '--join',
      formatConnection(mesh.connection),
      '--slots',
      '1',
      '--json',
    ];
    const ada = new ForemeshProcess(words, {}, [], join(folder, 'foremesh.mjs'));
    later(() => ada.kill('SIGTERM'));
    await ada.ready();
    const learned = (kind: string) =>
      mesh.events.some(
        (event) => event.kind === 'model-trained' && event.text.startsWith(`${kind}: ridge has learned`),
      );
    await until('both models are there', () => learned('cpu') && learned('memory'), 120_000);
    const said = ada.stdout + ada.stderr;
    assert.match(said, /ridge is trained instead: .*npm install @foremesh\/models @tensorflow\/tfjs-core/);
    assert.ok(!mesh.events.some(({ kind }) => kind === 'model-failed'), JSON.stringify(mesh.events));

    const client = await connectMesh(mesh.connection);
    later(() => client.close());
    const forecast = await until('it forecasts', () => client.forecast('ada'));
    assert.ok(forecast.leader === 'ada' && forecast.observedSteps > 1_000, `${forecast.observedSteps} steps`);
    assert.equal((await mesh.run('small', jobOf('return 6 * 7'))).phase, 'done');
  });
});
