import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type RunningBroker, startBroker } from '@foremesh/broker';
import type { DataReference } from '@foremesh/node-runtime/contract';
import type { MeshClient } from '@foremesh/node-runtime/sdk';
import { until } from '../../support/until.ts';
import { Fleet } from './fleet.ts';

const lines = (count: number) => Buffer.from(Array.from({ length: count }, (_, at) => `line ${at}\n`).join(''));

describe('blobs of a mesh of real processes', function () {
  this.timeout(90_000);
  let fleet: Fleet;
  let broker: RunningBroker;
  let client: MeshClient;
  /** The broker of this mesh, on its home and port, with a grace time that a test can wait for. */
  const start = () =>
    startBroker({
      home: fleet.home('ada'),
      listen: { port: fleet.connection.port },
      webSocket: false,
      limits: { blobGraceMs: 1_500 },
    });
  before(async () => {
    fleet = await Fleet.start('--profile', 'lan');
    await fleet.broker.kill('SIGTERM');
    broker = await start();
    client = await fleet.client();
  });
  after(async () => {
    await client.close();
    await fleet.stop();
    await broker.close();
  });

  const isHeld = async (reference: DataReference): Promise<boolean> => {
    const code = { inline: 'export default () => 1' };
    const spec = { stages: { main: { code, input: reference } } };
    const handle = client.submit(spec, { id: `asks-${Math.trunc(performance.now() * 1_000)}` });
    return handle.accepted().then(
      () => true,
      (error) => {
        assert.equal((error as { code: string }).code, 'MESH_BLOB_MISSING');
        return false;
      },
    );
  };

  it('go when the last job that names them is forgotten, and not before; also those that no job ever named', async () => {
    const [input, kept, orphan] = [
      await client.put(lines(60_000)),
      await client.put(lines(50)),
      await client.put(lines(7)),
    ];
    const count = {
      inline: 'export default async (task) => { let n = 0; for await (const _ of task.input) n += 1; return n; }',
    };
    const stages = (source: DataReference) => ({
      main: { code: count, input: source, split: { by: 'lines' as const } },
    });
    const short = client.submit({ retention: 1, stages: stages(input) }, { id: 'short' });
    const long = client.submit({ stages: stages(kept) }, { id: 'long' });
    assert.equal((await short.accepted()).phase !== 'refused', true);
    await long.result();
    await until(
      'the job is forgotten',
      async () => (await client.jobs()).rows.every(({ job }) => job !== 'short'),
      20_000,
    );
    await until('its blobs are gone', async () => (await stored()).every((blob) => blob !== input.blob), 20_000);
    const left = await stored();
    assert.equal(left.includes(orphan.blob), false, 'nobody asked for it');
    assert.equal(left.includes(kept.blob), true, 'a job that is kept names it');
    assert.equal(await isHeld(input), false);
    assert.equal(await isHeld(kept), true);
  });

  it('go after a leader and a broker were killed and started again', async () => {
    const input = await client.put(lines(70_000));
    const code = { inline: 'export default () => 2' };
    const job = client.submit({ retention: 1, stages: { main: { code, input } } }, { id: 'again' });
    await job.result();
    await fleet.nodes.get('ada')!.kill('SIGKILL');
    await broker.close();
    broker = await start();
    await fleet.startNode('ada');
    await until('its blob is gone', async () => (await stored()).every((blob) => blob !== input.blob), 30_000);
    assert.equal(await isHeld(input), false);
  });

  /** What is on the disk of the broker. */
  async function stored(): Promise<string[]> {
    const found: string[] = [];
    for (const kind of ['whole', 'large']) {
      const directory = join(fleet.home('ada'), 'broker', 'blobs', kind);
      for (const shard of await readdir(directory)) {
        for (const key of await readdir(join(directory, shard))) found.push(`sha256-${key.split('-')[0]}`);
      }
    }
    return found;
  }
});
