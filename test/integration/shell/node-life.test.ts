import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bodyOf, decodeUnchecked } from '@foremesh/node-runtime/contract';
import { openHome } from '@foremesh/node-runtime/shell';
import { jobOf, Mesh } from './mesh.ts';
import { endAll, meshError, until } from './support.ts';

describe('the life of a node', () => {
  afterEach(endAll);

  it('has its home to itself, stops once however often it is told to, and starts again as it was', async () => {
    const mesh = await Mesh.start();
    await assert.rejects(mesh.node('ada'), meshError('MESH_IDENTITY_IN_USE', mesh.directory));
    const spec = jobOf('return "done"');
    await mesh.run('before', spec);
    await Promise.all([mesh.ada.stop(), mesh.ada.stop()]);
    mesh.ada = await mesh.node('ada');
    mesh.results.clear();
    await mesh.submit('before', spec);
    assert.equal((await mesh.result('before')).phase, 'done', 'the log had it');
    assert.equal((await mesh.run('after', spec)).phase, 'done');
  });

  it('lets its home go when it cannot start', async () => {
    const mesh = await Mesh.start();
    await mesh.ada.stop();
    const home = openHome(join(mesh.directory, 'ada'), {});
    await writeFile(join(home.logDirectory, 'hard-state'), 'damaged');
    for (let tries = 0; tries < 2; tries += 1)
      await assert.rejects(mesh.node('ada'), meshError('MESH_LOG_CORRUPT', 'hard-state'));
    await writeFile(home.trustFile, '');
    await assert.rejects(mesh.node('ada'), meshError('MESH_STORAGE_FAILED', home.trustFile));
  });

  it('goes on where it was when it is stopped in the midst of a job', async () => {
    const mesh = await Mesh.start();
    await mesh.node('bob');
    const busy = 'let n = 0; for (let i = 0; i < 1e5; i += 1) n += i % 7; return task.input.text().trim() + (n > 0)';
    const lines = Array.from({ length: 12 }, (_, n) => `${n}\n`);
    await mesh.submit('long', jobOf(busy, { input: { inline: lines.join('') }, split: { by: 'lines', chunks: 12 } }));
    await until('some of it is done', () => (mesh.state('long')?.stages[0]?.done ?? 0) > 1);
    await mesh.ada.stop();
    mesh.ada = await mesh.node('ada');
    const { outputs } = await mesh.result('long');
    assert.deepEqual(outputs?.main, { encoding: 'json', value: lines.map((line) => `${line.trim()}true`) });
  });

  it('is taken in though what the broker kept last of who leads is of the past', async () => {
    const mesh = await Mesh.start();
    const hints: Uint8Array[] = [];
    const topic = mesh.topics.leader();
    mesh.client.listen((heard, payload) => heard === topic && hints.push(payload.slice()));
    await mesh.client.subscribe([topic], 1);
    const first = await until('somebody leads', () => hints.at(-1));
    await mesh.ada.stop();
    mesh.ada = await mesh.node('ada');
    await until('it leads in a later term', () => termOf(hints.at(-1)!) > termOf(first));
    // Said by a leader that slept, or kept by a broker that keeps not the last (RabbitMQ).
    await mesh.client.publish(topic, first, { qos: 1, retain: true });
    await mesh.node('bob', { labels: ['far'] });
    const { phase } = await mesh.run('far', jobOf('return 1', { labels: ['far'] }));
    assert.equal(phase, 'done');
    assert.ok(termOf(hints.at(-1)!) > termOf(first), 'what the broker keeps is of today again');
  });
});

function termOf(hint: Uint8Array): number {
  return (decodeUnchecked(bodyOf(hint)) as { term: number }).term;
}
