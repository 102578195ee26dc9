import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runCli } from '@foremesh/node-runtime/cli';
import { formatConnection, limits } from '@foremesh/node-runtime/contract';
import { connectMesh, type Forecast, type MeshClient } from '@foremesh/node-runtime/sdk';
import { openHome } from '@foremesh/node-runtime/shell';
import { replayJournal } from '../../../node-runtime/shell/voter/journal.ts';
import { planningPolicy } from '../../../node-runtime/shell/voter/policy.ts';
import { FakeIo } from '../../unit/cli/fake-io.ts';
import { Mesh } from './mesh.ts';
import { rememberPast } from './past.ts';
import { endAll, later, scratch, spawnScript, until } from './support.ts';

/** A minute of samples, and so a step of a forecast, passes in 0.36 s. */
const sampleIntervalMs = 30;
const stepMs = 12 * sampleIntervalMs;

describe('the forecast of a node', function () {
  this.timeout(90_000);
  let mesh: Mesh;
  let client: MeshClient;
  let journals: string;
  beforeEach(async () => {
    journals = await scratch();
    mesh = await Mesh.start({ sampleIntervalMs, journalDirectory: journals });
    client = await connectMesh(mesh.connection);
    later(() => client.close());
  });
  afterEach(endAll);

  const forecastOf = (node: string, isWanted: (forecast: Forecast) => boolean) =>
    until(
      `${node} is forecast so`,
      async () => {
        const forecast = await client.forecast(node);
        return forecast !== undefined && isWanted(forecast) ? forecast : undefined;
      },
      60_000,
    );

  it('is retained for whoever asks, begins under a new leader with what the node remembers, and goes with the node', async () => {
    const words = [join(mesh.directory, 'bob'), formatConnection(mesh.connection), 'bob', String(sampleIntervalMs)];
    const bob = spawnScript('history-process.ts', ...words);
    await until('bob is online', () => bob.lines.includes('online'));
    const before = await forecastOf('bob', ({ observedSteps }) => observedSteps >= 12);
    assert.equal(before.intervalMs, stepMs);
    assert.ok(before.ageMs < 5 * stepMs, `it is ${before.ageMs} ms old`);
    const cpu = before.resources.find(({ resource }) => resource === 'cpu')!;
    assert.equal(cpu.available!.q50.length, 30);
    assert.ok(cpu.own.q50[0]! > 0, 'this machine has something to do');
    assert.ok(
      cpu.available!.q90.every((share) => share === 0),
      'it offers no slots',
    );
    const ada = await forecastOf('ada', () => true);
    const memory = ada.resources.find(({ resource }) => resource === 'memory')!;
    assert.ok(memory.own.q50[0]! > 0 && memory.available!.q50[0]! > 0);

    await mesh.ada.stop();
    const [journal] = await readdir(journals);
    const replayed = await replayJournal(join(journals, journal!), planningPolicy);
    assert.deepEqual([replayed.differsAt, replayed.torn], [undefined, false], 'what it forecast it forecasts again');
    mesh.ada = await mesh.node('ada', { sampleIntervalMs });
    // What this leader heard itself is a step or two.
    const seen: Forecast[] = [];
    await forecastOf('bob', (forecast) => {
      if (forecast.term > before.term) seen.push(forecast);
      return seen.length > 0;
    });
    assert.ok(
      seen[0]!.observedSteps >= before.observedSteps,
      `it begins with ${seen[0]!.observedSteps} steps, there were ${before.observedSteps}`,
    );

    const io = new FakeIo(mesh.directory, { FOREMESH_CONNECTION: formatConnection(mesh.connection) });
    assert.equal(await runCli(['forecast', 'bob'], io), 0, io.err);
    assert.match(
      io.text,
      /^bob: as ada foresaw it .* ago, from .* of its past\nleaves within .* %\n\nCPU for the mesh +50 % ┤/,
    );
    const ghost = new FakeIo(mesh.directory, { FOREMESH_CONNECTION: formatConnection(mesh.connection) });
    assert.equal(await runCli(['forecast', 'bobb'], ghost), 2);
    assert.match(ghost.err, /did you mean "bob"\?/);

    await bob.kill('SIGTERM');
    await client.removeNode('bob');
    await until('its forecast is gone', async () => (await client.forecast('bob')) === undefined);
  });

  it('goes by what comes again though the node has seen it last before all that a leader learns step by step', async () => {
    const period = 3_072;
    assert.ok(2 * period > limits.forecastHistorySteps, 'what is learned step by step holds it less than twice');
    const steps = Math.round(3.5 * period);
    const home = openHome(join(mesh.directory, 'bob'), {});
    await rememberPast(home.historyDirectory, {
      sampleIntervalMs,
      steps,
      isBusy: (step) => step % period < period / 5,
    });
    await mesh.node('bob', { sampleIntervalMs, slots: 0, mayLead: false });
    const { resources } = await forecastOf('bob', ({ observedSteps }) => observedSteps > 4_000);
    const { why } = resources.find(({ resource }) => resource === 'memory')!;
    assert.match(why!.text!, /^seasonal/);
  });
});
