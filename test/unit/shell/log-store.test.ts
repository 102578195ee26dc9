import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LogStore } from '../../../node-runtime/shell/voter/log-store.ts';
import { type Entry, entriesFrom, entry, plain } from './entries.ts';
import { endAll, meshError, scratch } from './scratch.ts';

/** Opens, looks and closes. */
async function reopen(directory: string) {
  const { store, restored, ledger, tornBytes } = await LogStore.open(directory);
  await store.close();
  return { ...restored, ledger, tornBytes };
}

async function flip(file: string, bit: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[bit >> 3]! ^= 1 << (bit & 7);
  await writeFile(file, bytes);
}

/** A log of two terms, with a snapshot of everything up to 3 when `compacted`. */
async function makeLog(directory: string, compacted = false): Promise<void> {
  const { store } = await LogStore.open(directory);
  await store.persist({ term: 1, votedFor: 'ada' }, []);
  await store.persist(undefined, entriesFrom(1, 5));
  await store.persist({ term: 2, votedFor: 'ada' }, [entry(6, 'six', 2), entry(7, 'seven', 2)]);
  if (compacted)
    await store.compact(3, 1, { upTo: 3 }, [...entriesFrom(4, 2), entry(6, 'six', 2), entry(7, 'seven', 2)]);
  await store.close();
}

async function segmentOf(directory: string): Promise<string> {
  const segments = (await readdir(directory)).filter((name) => /^segment-\d+$/.test(name)).sort();
  return join(directory, segments.at(-1)!);
}

describe('LogStore', () => {
  afterEach(endAll);

  it('is empty at first, and again when opened twice without a word', async () => {
    const directory = join(await scratch(), 'node', 'log');
    for (let times = 0; times < 2; times += 1) {
      const found = await reopen(directory);
      assert.deepEqual(found, {
        hard: { term: 0 },
        log: [],
        snapshotIndex: 0,
        snapshotTerm: 0,
        ledger: undefined,
        tornBytes: 0,
      });
    }
  });

  it('gives back after each operation what that operation made durable', async () => {
    const directory = await scratch();
    const log: Entry[] = [];
    const check = async (hard: object, snapshotIndex = 0) => {
      const found = await reopen(directory);
      assert.deepEqual(
        plain(found.log),
        log.filter(({ index }) => index > snapshotIndex),
      );
      assert.deepEqual(plain(found.hard), hard);
      assert.equal(found.snapshotIndex, snapshotIndex);
      return found;
    };
    const run = async (work: (store: LogStore) => Promise<void>) => {
      const { store } = await LogStore.open(directory);
      await work(store);
      await store.close();
    };
    await run((store) => store.persist({ term: 4, votedFor: 'ada' }, []));
    await check({ term: 4, votedFor: 'ada' });
    await run((store) => store.persist(undefined, [{ index: 1, term: 4 }]));
    log.push({ index: 1, term: 4 });
    await check({ term: 4, votedFor: 'ada' });
    const more = entriesFrom(2, 3).map((each) => ({ ...each, term: 4 }));
    await run((store) => store.persist({ term: 5 }, more));
    log.push(...more);
    await check({ term: 5 });
    await run((store) => store.compact(3, 4, { jobs: ['a'] }, log.slice(3)));
    const { ledger, snapshotTerm } = await check({ term: 5 }, 3);
    assert.deepEqual([plain(ledger), snapshotTerm], [{ jobs: ['a'] }, 4]);
    await run((store) => store.persist(undefined, [entry(5, 'after the snapshot', 5)]));
    log.push(entry(5, 'after the snapshot', 5));
    await check({ term: 5 }, 3);
  });

  it('writes what is persisted together in one turn with one fsync, in order', async () => {
    const directory = await scratch();
    const { store } = await LogStore.open(directory);
    const order: number[] = [];
    await Promise.all(
      entriesFrom(1, 200).map((each) => store.persist({ term: each.index }, [each]).then(() => order.push(each.index))),
    );
    await store.close();
    assert.deepEqual(
      order,
      entriesFrom(1, 200).map(({ index }) => index),
    );
    const found = await reopen(directory);
    assert.equal(found.log.length, 200);
    assert.equal(found.hard.term, 200);
  });

  it('compacts while writes wait, without losing one', async () => {
    const directory = await scratch();
    const { store } = await LogStore.open(directory);
    const log = entriesFrom(1, 50);
    await store.persist({ term: 1 }, log.slice(0, 20));
    const waiting = log.slice(20).map((each) => store.persist(undefined, [each]));
    const compacted = store.compact(10, 1, 'snapshot', log.slice(10));
    await Promise.all([...waiting, compacted]);
    await store.close();
    const found = await reopen(directory);
    assert.deepEqual(plain(found.log), log.slice(10));
    assert.deepEqual((await readdir(directory)).sort(), ['hard-state', 'segment-0000000000000011', 'snapshot-10']);
  });

  it('takes an entry of another term in the place of what was there, and of all after it', async () => {
    const directory = await scratch();
    const { store } = await LogStore.open(directory);
    await store.persist({ term: 1 }, entriesFrom(1, 6));
    await store.persist({ term: 2 }, [entry(4, 'another', 2)]);
    // The same entry again is the same entry: nothing after it is lost.
    await store.persist(undefined, [entry(2)]);
    await store.close();
    assert.deepEqual(plain((await reopen(directory)).log), [...entriesFrom(1, 3), entry(4, 'another', 2)]);
  });

  it('keeps nothing of a log of another history under a snapshot that came from a leader', async () => {
    const configuration = { voters: ['ada', 'bob', 'cyd'], learners: [] };
    for (const crashed of [false, true]) {
      const directory = await scratch();
      const { store } = await LogStore.open(directory);
      await store.persist({ term: 3 }, entriesFrom(1, 6));
      const old = await readFile(join(directory, 'segment-0000000000000001'));
      await store.persist({ term: 5 }, []);
      const installed = store.compact(4, 5, { upTo: 4 }, [], configuration);
      await Promise.all([installed, store.persist(undefined, [entry(5, 'new', 5)])]);
      await store.close();
      if (crashed) {
        // After the snapshot was written, and before the segment was replaced.
        await writeFile(join(directory, 'segment-0000000000000001'), old);
        await rm(join(directory, 'segment-0000000000000005'));
      }
      const found = await reopen(directory);
      assert.deepEqual(plain(found.log), crashed ? [] : [entry(5, 'new', 5)]);
      assert.deepEqual(plain(found.snapshotConfiguration), configuration);
      // What comes after it stays, once more.
      const again = await LogStore.open(directory);
      await again.store.persist(undefined, [entry(5, 'new', 5), entry(6, 'newer', 5)]);
      await again.store.close();
      assert.deepEqual(plain((await reopen(directory)).log), [entry(5, 'new', 5), entry(6, 'newer', 5)]);
    }
  });

  describe('damage', () => {
    it('in any byte of any file is noticed, never taken for a shorter log', async () => {
      const directory = await scratch();
      await makeLog(directory, true);
      for (const name of await readdir(directory)) {
        const file = join(directory, name);
        const { length } = await readFile(file);
        for (let byte = 0; byte < length; byte += 1) {
          const bit = byte * 8 + (byte % 8);
          await flip(file, bit);
          await assert.rejects(reopen(directory), meshError('MESH_LOG_CORRUPT', name), `${name} byte ${byte}`);
          await flip(file, bit);
        }
      }
      assert.equal((await reopen(directory)).log.length, 4);
    });

    for (const missing of ['hard-state', 'segment-0000000000000004', 'snapshot-3']) {
      it(`is a file that is gone: ${missing}`, async () => {
        const directory = await scratch();
        await makeLog(directory, true);
        await rm(join(directory, missing));
        await assert.rejects(reopen(directory), meshError('MESH_LOG_CORRUPT', directory));
      });
    }

    it('is a hard state of a time before the entries: a vote could be given twice', async () => {
      const directory = await scratch();
      const { store } = await LogStore.open(directory);
      await store.persist({ term: 1, votedFor: 'ada' }, [entry(1)]);
      const old = await readFile(join(directory, 'hard-state'));
      await store.persist({ term: 2 }, [entry(2, 'two', 2)]);
      await store.close();
      await writeFile(join(directory, 'hard-state'), old);
      await assert.rejects(reopen(directory), meshError('MESH_LOG_CORRUPT', 'hard-state'));
    });

    for (const content of ['', 'garbage', '\u0000'.repeat(64)]) {
      it(`is a hard state of ${JSON.stringify(content.slice(0, 8))}`, async () => {
        const directory = await scratch();
        await makeLog(directory);
        await writeFile(join(directory, 'hard-state'), content);
        await assert.rejects(reopen(directory), meshError('MESH_LOG_CORRUPT', 'hard-state'));
      });
    }

    it('that the system reports is a failed storage, with the folder named', async () => {
      const directory = await scratch();
      await makeLog(directory);
      await rm(join(directory, 'hard-state'));
      await mkdir(join(directory, 'hard-state'));
      await assert.rejects(reopen(directory), meshError('MESH_STORAGE_FAILED', directory));
      await writeFile(join(directory, 'file'), '');
      await assert.rejects(reopen(join(directory, 'file')), meshError('MESH_STORAGE_FAILED', 'file'));
    });
  });

  describe('a write that was cut off', () => {
    it('at any byte is dropped, and what was there before stays, also when the next start dies too', async () => {
      const directory = await scratch();
      const { store } = await LogStore.open(directory);
      await store.persist({ term: 1 }, entriesFrom(1, 2));
      const kept = store.segmentBytes;
      await store.persist(undefined, [entry(3)]);
      const all = store.segmentBytes;
      await store.close();
      const file = await segmentOf(directory);
      const bytes = await readFile(file);
      for (let length = kept; length < all; length += 9) {
        await writeFile(file, bytes);
        await truncate(file, length);
        const found = await reopen(directory);
        assert.equal(found.log.length, 2, `cut at ${length}`);
        assert.equal(found.tornBytes, length - kept);
        assert.equal((await reopen(directory)).log.length, 2);
      }
    });

    it('at any step of its mending leaves the log whole', async () => {
      // The torn bytes are kept beside; a crash may leave that copy, whole or not, and the segment as it was.
      const directory = await scratch();
      await makeLog(directory);
      const file = await segmentOf(directory);
      const { length } = await readFile(file);
      await truncate(file, length - 3);
      await writeFile(`${file}.torn`, 'half a copy');
      assert.equal((await reopen(directory)).log.length, 6);
      assert.equal((await reopen(directory)).log.length, 6);
    });

    it('whose sectors never reached the disk reads as zeros and is dropped', async () => {
      const directory = await scratch();
      const { store } = await LogStore.open(directory);
      await store.persist({ term: 1 }, entriesFrom(1, 2));
      const kept = store.segmentBytes;
      await store.persist(undefined, [entry(3, 'x'.repeat(4_000))]);
      await store.close();
      const file = await segmentOf(directory);
      const bytes = await readFile(file);
      for (const [from, to] of [
        [kept, bytes.length],
        [1_024, 1_536],
        [3_072, bytes.length],
      ] as const) {
        await writeFile(file, Buffer.from(bytes).fill(0, from, to));
        assert.equal((await reopen(directory)).log.length, 2, `zeros from ${from} to ${to}`);
      }
    });

    it('in a segment that is not the last is damage', async () => {
      const directory = await scratch();
      await makeLog(directory);
      const file = await segmentOf(directory);
      await truncate(file, (await readFile(file)).length - 1);
      await writeFile(join(directory, 'segment-0000000000000008'), '');
      await assert.rejects(reopen(directory), meshError('MESH_LOG_CORRUPT', 'segment-0000000000000001'));
    });
  });

  describe('a crash between the steps of a compaction', () => {
    /** The folder before and after, from which every state between is put together. */
    async function beforeAndAfter(): Promise<{ before: string; after: string; folder: string }> {
      const folder = await scratch();
      const before = join(folder, 'before');
      const after = join(folder, 'after');
      await makeLog(before, true);
      await cp(before, after, { recursive: true });
      const { store, restored } = await LogStore.open(after);
      await store.compact(6, 2, { upTo: 6 }, restored.log.slice(3));
      await store.close();
      return { before, after, folder };
    }

    const [oldSnapshot, newSnapshot] = ['snapshot-3', 'snapshot-6'];
    const [oldSegment, newSegment] = ['segment-0000000000000004', 'segment-0000000000000007'];
    const states: [string, string[], number][] = [
      ['half a snapshot', [oldSnapshot, oldSegment, `${newSnapshot}.new`], 3],
      ['the snapshot', [oldSnapshot, oldSegment, newSnapshot], 6],
      ['half a segment', [oldSnapshot, oldSegment, newSnapshot, `${newSegment}.new`], 6],
      ['the segment', [oldSnapshot, oldSegment, newSnapshot, newSegment], 6],
      ['the old segment deleted', [oldSnapshot, newSnapshot, newSegment], 6],
      ['the old snapshot deleted', [oldSegment, newSnapshot, newSegment], 6],
    ];
    for (const [name, files, snapshotIndex] of states) {
      it(`after ${name}: nothing is lost, and the log goes on`, async () => {
        const { before, after, folder } = await beforeAndAfter();
        const state = join(folder, 'state');
        await mkdir(state);
        for (const file of [...files, 'hard-state']) {
          const whole = file.replace(/\.new$/, '');
          const from = whole === oldSnapshot || whole === oldSegment ? before : after;
          const bytes = await readFile(join(from, whole));
          await writeFile(join(state, file), whole === file ? bytes : bytes.subarray(0, bytes.length >> 1));
        }
        const { store, restored, ledger } = await LogStore.open(state);
        assert.deepEqual([restored.snapshotIndex, plain(ledger)], [snapshotIndex, { upTo: snapshotIndex }]);
        assert.deepEqual(
          restored.log.map(({ index }) => index),
          [4, 5, 6, 7].filter((index) => index > snapshotIndex),
        );
        await store.persist(undefined, [entry(8, 'eight', 2)]);
        await store.close();
        const again = await LogStore.open(state);
        assert.equal(again.restored.log.at(-1)!.index, 8);
        await again.store.compact(8, 2, { upTo: 8 }, []);
        await again.store.close();
        assert.deepEqual((await readdir(state)).sort(), ['hard-state', 'segment-0000000000000009', 'snapshot-8']);
        assert.equal((await reopen(state)).snapshotIndex, 8);
      });
    }
  });
});
