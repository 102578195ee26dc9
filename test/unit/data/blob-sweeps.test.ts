import assert from 'node:assert/strict';
import { join } from 'node:path';
import { limits, Topics } from '@foremesh/node-runtime/contract';
import { BlobClient, BlobHolder, type BlobRequests, BlobStore } from '@foremesh/node-runtime/data';
import { until } from '../../support/until.ts';
import { MemoryNetwork } from './memory-network.ts';
import { noise, scratch } from './scratch.ts';

const topics = new Topics('test');
const graceMs = 150;

describe('blob holder: what is unused', () => {
  const directory = scratch();
  let network: MemoryNetwork;
  let store: BlobStore;
  let holder: BlobHolder;
  let client: BlobClient;
  let leader: BlobRequests;

  beforeEach(async () => {
    network = new MemoryNetwork();
    store = await BlobStore.open(join(directory(), 'box'), { durable: false });
    holder = new BlobHolder({ store, topics, holder: 'box', graceMs });
    await holder.attach(network.connect());
    const transport = network.connect();
    client = new BlobClient({ transport: () => transport, topics, requester: 'ada', holders: ['box'] });
    leader = client.requestsAs('--ada');
  });
  afterEach(async () => {
    await leader.close();
    await client.close();
    await holder.close();
    await store.close();
  });

  const unused = (skip = 0) => leader.ask('box', { op: 'unused', skip }, 'unused');
  const remove = (sweep: string, blobs: { blob: string; sizeBytes: number }[]) =>
    leader.ask('box', { op: 'remove', sweep, blobs }, 'removed');
  /** Once both are listed. */
  const listed = (count: number) =>
    until(`${count} are unused`, async () => {
      const list = await unused();
      return list.blobs.length === count ? list : undefined;
    });

  it('is listed after the grace time, the longest unused first, and goes when it is asked to', async () => {
    const small = await client.put(noise(10));
    const large = await client.put(noise(3 * limits.blobChunkBytes));
    assert.deepEqual((await unused()).blobs, []);
    const list = await listed(2);
    assert.equal(list.graceMs, graceMs);
    assert.equal(list.more, false);
    assert.deepEqual(list.blobs, [small, large]);
    assert.deepEqual((await unused(1)).blobs, [large]);
    const { sweep } = await unused();
    assert.equal((await remove(sweep, [small, large])).blobs, 2);
    assert.equal(store.stats().usedBytes, 0);
    await assert.rejects(client.checkHeld(small), { code: 'MESH_BLOB_MISSING' });
  });

  it('stays when somebody asked for it, or put it again, after the list was made', async () => {
    const [asked, put, gone] = [await client.put(noise(11)), await client.put(noise(12)), await client.put(noise(13))];
    const { sweep } = await listed(3);
    await client.checkHeld(asked);
    const other = new BlobClient({ transport: () => transport, topics, requester: 'bob', holders: ['box'] });
    const transport = network.connect();
    await other.put(noise(12));
    assert.equal((await remove(sweep, [asked, put, gone])).blobs, 1);
    assert.deepEqual([store.has(asked), store.has(put), store.has(gone)], [true, true, false]);
    await other.close();
  });

  it('is let go by nobody but who leads, and by the list that was given last', async () => {
    const blob = await client.put(noise(14));
    const first = await listed(1);
    const last = await unused();
    await assert.rejects(remove(first.sweep, [blob]), { code: 'MESH_TERM_STALE' });
    for (const name of ['ada', 'ann--1', '--ann--1', '---1', '--bob']) {
      const stranger = client.requestsAs(name);
      const asked = stranger.ask('box', { op: 'remove', sweep: last.sweep, blobs: [blob] }, 'removed');
      await assert.rejects(asked, { code: name === '--bob' ? 'MESH_TERM_STALE' : 'MESH_NOT_AUTHORIZED' });
      await stranger.close();
    }
    assert.ok(store.has(blob));
    const keeper = new BlobHolder({ store, topics, holder: 'keeper' });
    await keeper.attach(network.connect());
    await assert.rejects(leader.ask('keeper', { op: 'unused', skip: 0 }, 'unused'), { code: 'MESH_NOT_AUTHORIZED' });
    await keeper.close();
    assert.equal((await remove(last.sweep, [blob])).blobs, 1);
  });

  it('counts from anew when the holder is started again', async () => {
    const blob = await client.put(noise(15));
    await listed(1);
    const again = await BlobStore.open(store.directory, { durable: false });
    assert.deepEqual([...again.unusedSince(performance.now() - graceMs)], []);
    assert.ok(again.has(blob));
    await again.close();
  });
});
