import assert from 'node:assert/strict';
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits, MeshError } from '@foremesh/node-runtime/contract';
import { BlobStore, chunkCount, describeBytes } from '@foremesh/node-runtime/data';
import fc from 'fast-check';
import { noise, sameBytes } from '../../unit/data/scratch.ts';

const chunk = limits.blobChunkBytes;
const blobs = [0, 3, chunk + 5, 2 * chunk + 1, 4 * chunk].map((size) => described(noise(size, size)));

function described(bytes: Uint8Array) {
  return { bytes, ...describeBytes(bytes) };
}

const blob = fc.nat({ max: blobs.length - 1 });
const step = fc.oneof(
  fc.record({ do: fc.constant('put' as const), blob }),
  fc.record({ do: fc.constant('some' as const), blob, chunks: fc.subarray([0, 1, 2, 3]) }),
  fc.record({ do: fc.constant('commit' as const), blob }),
  fc.record({ do: fc.constant('read' as const), blob }),
  fc.record({ do: fc.constant('delete' as const), blob }),
  fc.record({ do: fc.constant('reopen' as const) }),
  fc.record({ do: fc.constant('damage' as const), file: fc.nat(), at: fc.nat(), how: fc.constantFrom('flip', 'cut') }),
);

async function files(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const kind of ['whole', 'large']) {
    const entries = await readdir(join(directory, kind), { recursive: true, withFileTypes: true });
    for (const entry of entries) if (entry.isFile()) found.push(join(entry.parentPath, entry.name));
  }
  return found.sort();
}

describe('blob store under any story', () => {
  it('never gives a wrong byte, and what it lacks can always be put again', async () => {
    const options = fc.constantFrom({}, { budgetBytes: 3 * chunk }, { budgetBytes: chunk, durable: true });
    await fc.assert(
      fc.asyncProperty(options, fc.array(step, { maxLength: 25 }), async (how, steps) => {
        const directory = await mkdtemp(join(tmpdir(), 'foremesh-store-'));
        let store = await BlobStore.open(directory, how);
        const allowed = ['MESH_BLOB_MISSING', 'MESH_BLOB_CORRUPT', 'MESH_LIMIT_EXCEEDED'];
        const attempt = async (work: () => Promise<unknown>) => {
          try {
            await work();
          } catch (error) {
            assert.ok(error instanceof MeshError && allowed.includes(error.code), String((error as Error).stack));
          }
        };
        try {
          for (const each of steps) {
            if (each.do === 'reopen') {
              await store.close();
              store = await BlobStore.open(directory, how);
            } else if (each.do === 'damage') {
              const all = await files(directory);
              const path = all[each.file % Math.max(1, all.length)];
              const size = path === undefined ? 0 : (await stat(path)).size;
              if (size === 0) continue;
              const handle = await open(path!, 'r+');
              const at = each.at % size;
              if (each.how === 'cut') await handle.truncate(at);
              else {
                const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
                await handle.write(Uint8Array.of(buffer[0]! ^ 4), 0, 1, at);
              }
              await handle.close();
            } else {
              const { bytes, reference, manifest } = blobs[each.blob]!;
              if (each.do === 'put') await attempt(() => store.put(bytes));
              else if (each.do === 'delete') await store.delete(reference);
              else if (each.do === 'commit') await attempt(() => store.commit(reference));
              else if (each.do === 'read') {
                await attempt(async () => sameBytes(await store.read(reference), bytes));
              } else {
                await attempt(async () => {
                  if (store.begin(reference).manifest) await store.writeManifest(reference, 0, manifest!);
                  for (const part of each.chunks.filter((one) => one < chunkCount(reference))) {
                    await store.writeChunk(reference, part, bytes.subarray(part * chunk, (part + 1) * chunk));
                    sameBytes(
                      await store.read(reference, part * chunk, part * chunk + 1),
                      bytes.subarray(part * chunk, part * chunk + 1),
                    );
                  }
                });
              }
            }
            if ('budgetBytes' in how) assert.ok(store.stats().usedBytes <= how.budgetBytes);
          }
          const listed = [...store.list()].reduce((sum, { bytes }) => sum + bytes, 0);
          assert.equal(store.stats().usedBytes, listed);
          if ('budgetBytes' in how) return;
          for (const { bytes, reference } of blobs) {
            // A damaged chunk is found by a read at the latest, and then a second put mends it.
            await store.put(bytes);
            await attempt(() => store.read(reference));
            for (let again = 0; again < chunkCount(reference); again++) {
              await attempt(() => store.put(bytes));
              await attempt(() => store.read(reference));
            }
            await store.put(bytes);
            sameBytes(await store.read(reference), bytes);
          }
        } finally {
          await store.close();
          await rm(directory, { recursive: true, force: true });
        }
      }),
      { numRuns: 150, seed: 339062777 },
    );
  });
});
