import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits, Topics } from '@foremesh/node-runtime/contract';
import { BlobClient, BlobHolder, BlobStore, nameOf } from '@foremesh/node-runtime/data';
import fc from 'fast-check';
import { MemoryNetwork, type MemoryTransport } from '../../unit/data/memory-network.ts';
import { noise, sameBytes } from '../../unit/data/scratch.ts';

const chunk = limits.blobChunkBytes;
const topics = new Topics('test');

/** The same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const size = fc.oneof(
  fc.constantFrom(0, 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1),
  fc.integer({ min: 0, max: 9 * chunk }),
);

describe('blob transfers', () => {
  it('survive loss, doubling, overtaking, and connections that break at any message', async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(
        size,
        fc.integer(),
        fc.record({
          lose: fc.constantFrom(0, 0.05, 0.2),
          double: fc.constantFrom(0, 0.2),
          delay: fc.constantFrom(0, 0.3),
          broken: fc.constantFrom(0, 0.05),
        }),
        async (sizeBytes, seed, { broken, ...chances }) => {
          const directory = await mkdtemp(join(tmpdir(), 'foremesh-transfers-'));
          const network = new MemoryNetwork();
          const random = randomFrom(seed);
          const store = await BlobStore.open(join(directory, 'box'), { durable: false });
          const holder = new BlobHolder({ store, topics, holder: 'box' });
          await holder.attach(network.connect());
          let transport: MemoryTransport = network.connect();
          const client = new BlobClient({
            // Asked before every message: now and then the connection is another one.
            transport: () => {
              if (random() < broken) {
                transport.break();
                transport = network.connect();
              }
              return transport;
            },
            topics,
            requester: 'one',
            holders: ['box'],
            requestTimeoutMs: 5,
            silenceMs: 20_000,
          });
          try {
            network.faults = { ...chances, random };
            const bytes = noise(sizeBytes, seed);
            const reference = await client.put(bytes);
            assert.deepEqual(reference, nameOf(bytes));
            sameBytes(await store.read(reference), bytes);
            sameBytes(await client.get(reference), bytes);
            const start = Math.floor(random() * (sizeBytes + 1));
            const end = start + Math.floor(random() * (sizeBytes - start + 1));
            sameBytes(await client.getRange(reference, start, end), bytes.subarray(start, end));
          } finally {
            await client.close();
            await holder.close();
            await store.close();
            await rm(directory, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
