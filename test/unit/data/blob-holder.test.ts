import assert from 'node:assert/strict';
import { join } from 'node:path';
import { blobAnswer, decode, type ErrorCode, limits, Topics } from '@foremesh/node-runtime/contract';
import { BlobClient, BlobHolder, BlobStore, nameOf } from '@foremesh/node-runtime/data';
import { MemoryNetwork } from './memory-network.ts';
import { noise, sameBytes, scratch } from './scratch.ts';

const chunk = limits.blobChunkBytes;
const topics = new Topics('test');

/** A store whose `method` waits for `gate`, as a slow disk would. */
function slow(store: BlobStore, method: 'commit' | 'read', gate: Promise<void>): BlobStore {
  return new Proxy(store, {
    get(target, name) {
      const found = Reflect.get(target, name) as unknown;
      if (typeof found !== 'function') return found;
      if (name !== method) return found.bind(target);
      return async (...args: unknown[]) => {
        await gate;
        return found.apply(target, args);
      };
    },
  });
}

describe('blob holder', () => {
  const directory = scratch();
  let network: MemoryNetwork;
  let store: BlobStore;
  const clientOf = (requester: string, options: { silenceMs?: number; requestTimeoutMs?: number } = {}) => {
    const transport = network.connect();
    return new BlobClient({ transport: () => transport, topics, requester, holders: ['box'], ...options });
  };

  beforeEach(async () => {
    network = new MemoryNetwork();
    store = await BlobStore.open(join(directory(), 'box'), { durable: false });
  });

  it('tells who waits that it is at it, for longer than silence would be borne', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const holder = new BlobHolder({ store: slow(store, 'commit', gate), topics, holder: 'box', busyMs: 20 });
    await holder.attach(network.connect());
    const watcher = network.connect();
    let busy = 0;
    watcher.listen((_, payload) => {
      if (decode(blobAnswer, payload).op === 'busy' && ++busy === 40) open();
    });
    await watcher.subscribe([topics.blobAnswer('box', 'one')], 1);
    const client = clientOf('one', { silenceMs: 400, requestTimeoutMs: 50 });
    const beginMs = performance.now();
    await client.put(noise(10));
    assert.ok(performance.now() - beginMs > 400);
    assert.ok(store.has(nameOf(noise(10))));
    await client.close();
    await holder.close();
  });

  it('holds a bounded number of requests; what it dropped is asked again', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const codes: ErrorCode[] = [];
    const holder = new BlobHolder({
      store: slow(store, 'read', gate),
      topics,
      holder: 'box',
      maxOperations: 2,
      maxQueued: 3,
      onProblem: ({ code }) => {
        codes.push(code);
        if (codes.length === 5) open();
      },
    });
    await holder.attach(network.connect());
    const reference = await store.put(noise(10 * chunk));
    const clients = Array.from({ length: 8 }, (_, i) => clientOf(`client-${i}`, { requestTimeoutMs: 40 }));
    const found = await Promise.all(clients.map((client) => client.get(reference)));
    for (const bytes of found) sameBytes(bytes, noise(10 * chunk));
    assert.ok(holder.stats().dropped >= 5);
    assert.deepEqual(new Set(codes), new Set(['MESH_LIMIT_EXCEEDED']));
    for (const client of clients) await client.close();
    await holder.close();
  });

  it('serves on every connection it has, and stops on the one that ended', async () => {
    const holder = new BlobHolder({ store, topics, holder: 'box' });
    const first = network.connect();
    await holder.attach(first);
    const reference = await store.put(noise(3 * chunk));
    const client = clientOf('one');
    sameBytes(await client.getRange(reference, 0, 5), noise(3 * chunk).subarray(0, 5));
    first.break();
    await holder.attach(network.connect());
    sameBytes(await client.get(reference), noise(3 * chunk));
    await client.close();
    await holder.close();
    await assert.rejects(holder.attach(network.connect()), /closed/);
  });
});
