import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { blobAsk, decode, limits, Topics, type Transport } from '@foremesh/node-runtime/contract';
import { BlobClient, BlobHolder, BlobStore, nameOf } from '@foremesh/node-runtime/data';
import { connectMqtt } from '../../../node-runtime/shell/mqtt-transport.ts';
import { noise, sameBytes, scratch } from '../../unit/data/scratch.ts';
import { type LoopbackBroker, loopbackBroker } from './aedes-broker.ts';

const chunk = limits.blobChunkBytes;
const topics = new Topics('test');

describe('blobs and processes that are killed', function () {
  this.timeout(120_000);
  const directory = scratch();
  let broker: LoopbackBroker;
  let transport: Transport;
  let client: BlobClient;
  let children: ChildProcess[] = [];

  /** Resolves once the process has said "ready". */
  const start = async (script: string, ...rest: string[]): Promise<ChildProcess> => {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const child = spawn(process.execPath, ['--conditions=mesh-source', '--import', 'tsx', path, ...rest], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [word] = await once(child.stdout!, 'data');
    assert.match(String(word), /^ready/);
    return child;
  };
  const kill = async (child: ChildProcess) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  /** Calls back with every content chunk that is put, of all uploaders. */
  const watchPuts = async (seen: (chunk: number) => void) => {
    transport.listen((topic, payload) => {
      if (topics.parse(topic)?.kind !== 'blobAsk') return;
      const ask = decode(blobAsk, payload);
      if (ask.op === 'put' && ask.part === 'content') seen(ask.offset / chunk);
    });
    await transport.subscribe([topics.blobAsk('box', '+')], 1);
  };

  beforeEach(async () => {
    broker = await loopbackBroker();
    transport = await connectMqtt({ url: broker.url, clientId: 'test' });
    client = new BlobClient({
      transport: () => transport,
      topics,
      requester: 'test',
      holders: ['box'],
      requestTimeoutMs: 1_000,
    });
  });
  afterEach(async () => {
    for (const child of children) await kill(child);
    children = [];
    await client.close();
    await transport.close();
    await broker.close();
  });

  it('an upload goes on when its holder is killed in the middle and comes back', async () => {
    const bytes = noise(40 * chunk + 3);
    const place = join(directory(), 'box');
    let holder = await start('holder-process.ts', broker.url, place);
    const sent = new Set<number>();
    await watchPuts((each) => void sent.add(each));
    let restarted: Promise<void> | undefined;
    const reference = await client.put(bytes, {
      onProgress: ({ doneBytes }) => {
        if (doneBytes < 12 * chunk || restarted !== undefined) return;
        sent.clear();
        restarted = kill(holder).then(async () => {
          holder = await start('holder-process.ts', broker.url, place);
        });
      },
    });
    await restarted;
    // 12 chunks were acknowledged, in their order but for the few that may overtake: they are not sent again.
    const again = [...sent].filter((each) => each < 12 - limits.blobWindowRequests);
    assert.ok(again.length < limits.blobWindowRequests, `${again.length} chunks were sent again`);
    await kill(holder);
    const store = await BlobStore.open(place);
    sameBytes(await store.read(reference), bytes);
    await store.close();
  });

  it('an upload is resumed by whoever brings the same bytes when the uploader is killed', async () => {
    const bytes = noise(40 * chunk);
    const file = join(directory(), 'file');
    await writeFile(file, bytes);
    const store = await BlobStore.open(join(directory(), 'box'));
    const holder = new BlobHolder({ store, topics, holder: 'box' });
    await holder.attach(transport);
    let child: ChildProcess | undefined;
    let arrived = 0;
    const killed = new Promise<void>((resolve) => {
      void watchPuts(() => {
        if (++arrived === 15) resolve(child === undefined ? undefined : kill(child));
      });
    });
    child = await start('uploader-process.ts', broker.url, file);
    await killed;
    const reference = nameOf(bytes);
    assert.equal(store.has(reference), false);
    const before = arrived;
    let first: number | undefined;
    await client.put(file, {
      onProgress: ({ doneBytes }) => {
        first ??= doneBytes;
      },
    });
    assert.ok(first! >= 8 * chunk, `${first}`);
    assert.ok(arrived - before <= 40 - first! / chunk + 8, `${arrived - before}`);
    sameBytes(await store.read(reference), bytes);
    await holder.close();
    await store.close();
  });
});
