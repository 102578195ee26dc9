import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BlobAnswer,
  blobAsk,
  type DataReference,
  decode,
  decodeCbor,
  encode,
  limits,
  type MeshError,
  Topics,
  type Transport,
} from '@foremesh/node-runtime/contract';
import {
  BlobClient,
  type BlobClientOptions,
  BlobHolder,
  type BlobHolderOptions,
  BlobStore,
  nameOf,
  type TransferProgress,
} from '@foremesh/node-runtime/data';
import { noise, rejectsWith, sameBytes, scratch } from './scratch.ts';

/** Somewhere to connect to. */
export interface Network {
  connect(): Promise<Transport>;
  close(): Promise<void>;
}

const chunk = limits.blobChunkBytes;
const topics = new Topics('test');

/** What blobs must do over every transport. */
export function blobSuite(name: string, open: () => Promise<Network>): void {
  describe(`blobs over ${name}`, () => {
    const directory = scratch();
    let network: Network;
    let store: BlobStore;
    let holder: BlobHolder;
    const ends: (() => Promise<unknown>)[] = [];
    const problems: MeshError[] = [];

    const serve = async (id: string, where: BlobStore, options: Partial<BlobHolderOptions> = {}) => {
      const onProblem = (problem: MeshError) => void problems.push(problem);
      const made = new BlobHolder({ store: where, topics, holder: id, onProblem, ...options });
      const transport = await network.connect();
      await made.attach(transport);
      ends.push(async () => {
        await made.close();
        await transport.close();
      });
      return made;
    };
    let clients = 0;
    const client = async (options: Partial<BlobClientOptions> = {}) => {
      const transport = await network.connect();
      const made = new BlobClient({
        transport: () => transport,
        topics,
        requester: `client-${clients++}`,
        holders: ['box'],
        silenceMs: 10_000,
        ...options,
      });
      ends.push(async () => {
        await made.close();
        await transport.close();
      });
      return made;
    };
    const openStore = (id: string, options = {}) => BlobStore.open(join(directory(), id), options);

    beforeEach(async () => {
      network = await open();
      store = await openStore('box', { durable: false });
      holder = await serve('box', store);
    });
    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end();
      await store.close();
      await network.close();
      problems.length = 0;
    });

    for (const sizeBytes of [0, 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1, 9 * chunk + 77]) {
      it(`brings ${sizeBytes} bytes there and back`, async () => {
        const bytes = noise(sizeBytes, sizeBytes);
        const reference = await (await client()).put(bytes);
        assert.deepEqual(reference, nameOf(bytes));
        assert.ok(store.has(reference));
        sameBytes(await (await client()).get(reference), bytes);
      });
    }

    it('takes files and streams, and downloads to a file', async () => {
      const one = await client({ cache: await openStore('cache', { budgetBytes: 1e9 }) });
      const bytes = noise(3 * chunk + 5);
      const path = join(directory(), 'file');
      await writeFile(path, bytes);
      const reference = await one.put(path);
      async function* pieces() {
        for (let at = 0; at < bytes.length; at += 10_007) yield bytes.subarray(at, at + 10_007);
      }
      const { receivedBytes } = holder.stats();
      assert.deepEqual(await (await client()).put(pieces()), reference);
      assert.ok(holder.stats().receivedBytes - receivedBytes < 1_000, 'what is held is not sent again');
      async function* few() {
        yield Uint8Array.of(1, 2);
        yield Uint8Array.of(3);
      }
      sameBytes(await one.get(await one.put(few())), Uint8Array.of(1, 2, 3));
      const seen: TransferProgress[] = [];
      await one.download(reference, join(directory(), 'copy'), { onProgress: (each) => void seen.push(each) });
      sameBytes(await readFile(join(directory(), 'copy')), bytes);
      assert.deepEqual(seen.at(-1), { doneBytes: bytes.length, totalBytes: bytes.length });
      await rejectsWith(one.put(join(directory(), 'nowhere')), 'MESH_STORAGE_FAILED');
      assert.deepEqual(
        (await readdir(directory())).filter((each) => each.endsWith('.part')),
        [],
      );
      assert.deepEqual(await readdir(join(directory(), 'cache', 'temporary')), []);
    });

    it('says nothing about what it confirmed lately, and two puts of the same are one', async () => {
      const one = await client();
      const bytes = noise(5 * chunk);
      await Promise.all([one.put(bytes), one.put(bytes), one.put(bytes)]);
      const { receivedBytes, answered } = holder.stats();
      assert.ok(receivedBytes < 5.5 * chunk, `${receivedBytes}`);
      const seen: TransferProgress[] = [];
      await one.put(bytes, { onProgress: (each) => void seen.push(each) });
      assert.equal(holder.stats().answered, answered);
      assert.deepEqual(seen, [{ doneBytes: 5 * chunk, totalBytes: 5 * chunk }]);
    });

    it('fetches just the chunks of a range, each once however many want it', async () => {
      const reference = await store.put(noise(20 * chunk));
      const one = await client();
      const { sentBytes } = holder.stats();
      const found = await Promise.all(
        Array.from({ length: 5 }, () => one.getRange(reference, 3 * chunk - 1, 5 * chunk)),
      );
      for (const bytes of found) sameBytes(bytes, noise(20 * chunk).subarray(3 * chunk - 1, 5 * chunk));
      const sent = holder.stats().sentBytes - sentBytes;
      assert.ok(sent > 3 * chunk && sent < 3.1 * chunk, `${sent}`);
      await rejectsWith(one.getRange(reference, 5, 20 * chunk + 1), 'MESH_INPUT_INVALID');
    });

    it('keeps what it fetched in its cache, and fetches anew what rots there', async () => {
      const bytes = noise(4 * chunk);
      const reference = await store.put(bytes);
      const small = await store.put(noise(100));
      const cache = await openStore('cache', { budgetBytes: 1e9 });
      const one = await client({ cache, onProblem: (problem) => void problems.push(problem) });
      await one.get(reference);
      await one.get(small);
      const { answered } = holder.stats();
      sameBytes(await one.get(reference), bytes);
      sameBytes(await one.get(small), noise(100));
      assert.equal(holder.stats().answered, answered);
      const files = await readdir(join(directory(), 'cache'), { recursive: true });
      const path = join(directory(), 'cache', files.find((file) => file.endsWith('partial'))!);
      const rotten = await readFile(path);
      rotten[2 * chunk + 1]! ^= 1;
      await writeFile(path, rotten);
      sameBytes(await one.get(reference), bytes);
      assert.equal(holder.stats().answered, answered + 1);
      assert.deepEqual(
        problems.map((problem) => problem.code),
        ['MESH_BLOB_CORRUPT'],
      );
    });

    it('a full cache is no failure', async () => {
      const reference = await store.put(noise(4 * chunk));
      const one = await client({ cache: await openStore('cache', { budgetBytes: 10 }) });
      sameBytes(await one.get(reference), noise(4 * chunk));
    });

    it('compresses what shrinks, both ways, and nothing else', async () => {
      const one = await client();
      const text = Buffer.from('temperature,21.5,humidity,40\n'.repeat(30_000));
      const reference = await one.put(text);
      assert.ok(holder.stats().receivedBytes < text.length / 5, `${holder.stats().receivedBytes}`);
      sameBytes(await one.get(reference), text);
      assert.ok(holder.stats().sentBytes < text.length / 5);
    });

    it('asks the next holder for what one lacks, and says so when all do', async () => {
      const far = await openStore('far');
      await serve('far', far, { acceptUploads: false });
      const reference = await far.put(noise(3 * chunk));
      const one = await client({ holders: ['box', 'far'] });
      sameBytes(await one.get(reference), noise(3 * chunk));
      const error = await rejectsWith(one.get(nameOf(noise(9))), 'MESH_BLOB_MISSING');
      assert.match(error.message, /box: .*far: /);
      await rejectsWith((await client({ holders: ['far'] })).put(noise(8)), 'MESH_NOT_AUTHORIZED');
      await rejectsWith((await client({ holders: [] })).get(reference), 'MESH_BLOB_MISSING');
    });

    it('never takes wrong bytes from a holder, but takes the right ones from the next', async () => {
      const evil = await network.connect();
      evil.listen((topic, payload) => {
        const parsed = topics.parse(topic);
        if (parsed?.kind !== 'blobAsk') return;
        const ask = decode(blobAsk, payload);
        if (ask.op !== 'get') return;
        const answer = { v: 1, id: ask.id, op: 'data', compression: 'none', data: noise(ask.length, 666) };
        void evil.publish(topics.blobAnswer('evil', parsed.requester), encode(answer, 'cbor'), { qos: 1 });
      });
      await evil.subscribe([topics.blobAsk('evil', '+')], 1);
      ends.push(() => evil.close());
      const references = [await store.put(noise(100)), await store.put(noise(5 * chunk))];
      for (const reference of references) {
        const alone = await client({ holders: ['evil'] });
        await rejectsWith(alone.get(reference), 'MESH_BLOB_CORRUPT');
        sameBytes(await (await client({ holders: ['evil', 'box'] })).get(reference), noise(reference.sizeBytes));
      }
    });

    it('gives up on a silent holder within the limit, and turns to the next', async () => {
      const reference = await store.put(noise(2 * chunk + 1));
      const timing = { requestTimeoutMs: 30, silenceMs: 150 };
      const beginMs = performance.now();
      await rejectsWith((await client({ holders: ['nobody'], ...timing })).get(reference), 'MESH_UNREACHABLE');
      assert.ok(performance.now() - beginMs < 5_000);
      const one = await client({ holders: ['nobody', 'box'], ...timing, silenceMs: 1_000 });
      sameBytes(await one.get(reference), noise(2 * chunk + 1));
      await one.put(noise(10));
      assert.ok(store.has(nameOf(noise(10))));
    });

    it('goes on where it was when the connection breaks, and gives up when none comes', async () => {
      let transport: Transport | undefined = await network.connect();
      const one = new BlobClient({
        transport: () => transport,
        topics,
        requester: 'breaker',
        holders: ['box'],
        silenceMs: 10_000,
      });
      ends.push(() => one.close());
      const bytes = noise(24 * chunk);
      let breaks = 0;
      const onProgress = async ({ doneBytes }: TransferProgress) => {
        if (doneBytes < (breaks + 1) * 6 * chunk || breaks === 3) return;
        breaks++;
        const old = transport!;
        transport = undefined;
        await old.close();
        transport = await network.connect();
        if (breaks % 2 === 1) one.reconnected();
      };
      const report = (progress: TransferProgress) => void onProgress(progress);
      const reference = await one.put(bytes, { onProgress: report });
      assert.equal(breaks, 3);
      assert.ok(store.has(reference));
      assert.ok(holder.stats().receivedBytes < 24 * chunk * 1.6, `${holder.stats().receivedBytes}`);
      breaks = 0;
      sameBytes(await one.get(reference, { onProgress: report }), bytes);
      assert.equal(breaks, 3);
      await transport?.close();
      transport = undefined;
      const alone = new BlobClient({
        transport: () => undefined,
        topics,
        requester: 'alone',
        holders: ['box'],
        silenceMs: 50,
      });
      const error = await rejectsWith(alone.get(reference), 'MESH_UNREACHABLE');
      assert.match(error.message, /no connection/);
      await alone.close();
    });

    it('resumes an upload that was aborted, and one that the holder forgot', async () => {
      const bytes = noise(12 * chunk);
      const abort = new AbortController();
      const one = await client();
      const options = {
        signal: abort.signal,
        onProgress: ({ doneBytes }: TransferProgress) =>
          void (doneBytes >= 6 * chunk && abort.abort(new Error('enough'))),
      };
      await assert.rejects(one.put(bytes, options), /enough/);
      const { receivedBytes } = holder.stats();
      let first: TransferProgress | undefined;
      let forgot = false;
      const reference = await one.put(bytes, {
        onProgress: (progress) => {
          first ??= progress;
          if (progress.doneBytes < 10 * chunk || forgot) return;
          forgot = true;
          void store.delete(nameOf(bytes));
        },
      });
      assert.ok(first!.doneBytes >= 6 * chunk);
      assert.ok(receivedBytes < 12 * chunk);
      sameBytes(await store.read(reference), bytes);
      await assert.rejects(one.get(reference, { signal: AbortSignal.abort(new Error('not now')) }), /not now/);
      await assert.rejects(
        one.download(reference, join(directory(), 'x'), { signal: AbortSignal.abort(new Error('not now')) }),
        /not now/,
      );
    });

    it('indexes lines and items, and explains what cannot be split', async () => {
      const one = await client();
      const lines = await one.put(Buffer.from('x\n'.repeat(300_000)));
      const index = await one.index(lines, 'lines');
      assert.equal(index.totalRecords, 300_000);
      assert.equal(index.endOffset, 600_000);
      assert.ok(index.records.length <= limits.indexMarks && index.records.length >= limits.indexMarks / 2);
      const items = await one.put(Buffer.from('[1, 2, {"a": 3}]'));
      assert.deepEqual((await one.index(items, 'items')).offsets, [1, 4, 7]);
      for (let again = 0; again < 2; again++) {
        const error = await rejectsWith(one.index(lines, 'items'), 'MESH_INPUT_INVALID');
        assert.match(error.message, /cannot split by items: byte 0: expected a JSON array/);
      }
      await rejectsWith(one.index(nameOf(noise(3)), 'lines'), 'MESH_BLOB_MISSING');
    });

    it('a full holder says which limit, and the next one is used', async () => {
      await serve('full', await openStore('full', { limitBytes: chunk }));
      const bytes = noise(3 * chunk);
      const error = await rejectsWith((await client({ holders: ['full'] })).put(bytes), 'MESH_LIMIT_EXCEEDED');
      assert.match(error.message, /limitBytes/);
      assert.ok(error.mend);
      await (await client({ holders: ['full', 'box'] })).put(bytes);
      assert.ok(store.has(nameOf(bytes)));
    });

    it('answers malformed requests when it can, counts them, and goes on', async () => {
      const transport = await network.connect();
      ends.push(() => transport.close());
      const answers: BlobAnswer[] = [];
      let arrived: () => void = () => undefined;
      transport.listen((_, payload) => {
        answers.push(decodeCbor(payload) as BlobAnswer);
        arrived();
      });
      await transport.subscribe([topics.blobAnswer('box', 'rogue')], 1);
      const topic = topics.blobAsk('box', 'rogue');
      const reference: DataReference = nameOf(noise(3 * chunk));
      const put = { op: 'put', ...reference, part: 'content', offset: 0, compression: 'none', data: noise(5) };
      const wrong: unknown[] = [
        { op: 'get', ...reference, part: 'content', offset: 0, length: chunk + 1 },
        { op: 'dance' },
        { op: 'begin', blob: 'sha256-..', sizeBytes: 1 },
        { op: 'begin', ...reference, sizeBytes: limits.blobBytes + 1 },
        { ...put, compression: 'deflate' },
        { ...put, offset: 7 },
        { ...put, sizeBytes: 5, offset: 4 * chunk },
        { ...put, data: 'text' },
        { ...put, part: 'manifest', offset: 1 },
        { op: 'commit', ...reference },
        { op: 'get', ...reference, part: 'manifest', offset: 0, length: 9 },
      ];
      await transport.publish(topic, Uint8Array.of(0xff, 1, 2), { qos: 1 });
      await transport.publish(topic, Buffer.from('{"v":1,"id":"a b","op":"get"}'), { qos: 1 });
      await transport.publish(topic, new Uint8Array(0), { qos: 1 });
      for (const [i, ask] of wrong.entries()) {
        await transport.publish(topic, encode({ v: 1, id: `w${i}`, ...(ask as object) }, 'cbor'), { qos: 1 });
      }
      while (answers.length < wrong.length) {
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
      }
      assert.deepEqual(new Set(answers.map(({ op }) => op)), new Set(['error']));
      assert.deepEqual(new Set(answers.map(({ id }) => id)), new Set(wrong.map((_, i) => `w${i}`)));
      assert.ok(holder.stats().malformed >= 3 && problems.length >= 3);
      const one = await client();
      sameBytes(await one.get(await one.put(noise(10))), noise(10));
    });

    it('ends what is under way when it is closed', async () => {
      const one = await client({ holders: ['nobody'] });
      const transfer = rejectsWith(one.put(noise(10)), 'MESH_UNREACHABLE');
      await one.close();
      await transfer;
      await rejectsWith(one.get(nameOf(noise(10))), 'MESH_UNREACHABLE');
    });
  });
}
