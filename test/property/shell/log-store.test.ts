import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { LogStore } from '../../../node-runtime/shell/voter/log-store.ts';
import { type Entry, entry, plain } from '../../unit/shell/entries.ts';

type Step =
  | { readonly do: 'persist'; readonly sizes: readonly number[]; readonly term: boolean }
  /** Several at once, not waited for one by one, and a compaction between them when `compact`. */
  | { readonly do: 'burst'; readonly writes: number; readonly compact: boolean }
  | { readonly do: 'compact'; readonly share: number }
  | { readonly do: 'reopen' }
  /** The process dies while it writes: of the last write, this share reached the disk. */
  | { readonly do: 'tear'; readonly share: number };

const share = fc.double({ min: 0, max: 1, noNaN: true });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('persist'),
      sizes: fc.array(fc.nat(2_000), { maxLength: 4 }),
      term: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('burst'), writes: fc.integer({ min: 2, max: 6 }), compact: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('compact'), share }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tear'), share }) },
) as fc.Arbitrary<Step>;

/** The dumbest log there is, beside the real one. */
class Model {
  readonly #directory: string;
  #store!: LogStore;
  #term = 0;
  #log: Entry[] = [];
  #snapshotIndex = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get #last(): number {
    return this.#snapshotIndex + this.#log.length;
  }

  async open(): Promise<void> {
    const { store, restored, ledger } = await LogStore.open(this.#directory);
    this.#store = store;
    assert.deepEqual(plain(restored.log), this.#log);
    assert.equal(restored.snapshotIndex, this.#snapshotIndex);
    assert.equal(restored.hard.term, this.#term);
    assert.deepEqual(ledger, this.#snapshotIndex === 0 ? undefined : { upTo: this.#snapshotIndex });
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  #append(sizes: readonly number[]): Entry[] {
    const entries = sizes.map((size, offset) =>
      entry(this.#last + 1 + offset, 'x'.repeat(size), Math.max(1, this.#term)),
    );
    this.#log.push(...entries);
    return entries;
  }

  #persist(sizes: readonly number[], newTerm: boolean): Promise<void> {
    if (newTerm || this.#term === 0) this.#term += 1;
    return this.#store.persist({ term: this.#term, votedFor: 'ada' }, this.#append(sizes));
  }

  #compact(part: number): Promise<void> {
    const index = this.#snapshotIndex + Math.floor(part * this.#log.length);
    if (index === this.#snapshotIndex) return Promise.resolve();
    const removed = this.#log.splice(0, index - this.#snapshotIndex);
    this.#snapshotIndex = index;
    return this.#store.compact(index, removed.at(-1)!.term, { upTo: index }, [...this.#log]);
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case 'persist':
        await this.#persist(step.sizes, step.term);
        return;
      case 'burst': {
        const waiting: Promise<void>[] = [];
        for (let n = 0; n < step.writes; n += 1) {
          // Entries that a snapshot covers were applied, so they are on the disk: as the voter does it.
          if (step.compact && n === 1) await Promise.all(waiting).then(() => waiting.push(this.#compact(0.5)));
          waiting.push(this.#persist([n * 100], false));
        }
        await Promise.all(waiting);
        return;
      }
      case 'compact':
        await this.#compact(step.share);
        return;
      case 'reopen':
        await this.close();
        await this.open();
        return;
      case 'tear': {
        const answered = this.#log.length;
        await this.#persist([300], false);
        await this.close();
        await this.#tear(answered, step.share);
        await this.open();
      }
    }
  }

  async #tear(answered: number, part: number): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => /^segment-\d+$/.test(name)).sort();
    const file = join(this.#directory, names.at(-1)!);
    const { size } = await stat(file);
    const writeBytes = lastFrameBytes(await readFile(file));
    const lost = Math.ceil(part * writeBytes);
    await truncate(file, size - lost);
    if (lost > 0) this.#log.length = answered;
  }
}

function lastFrameBytes(bytes: Buffer): number {
  let at = 0;
  for (;;) {
    const next = at + 12 + bytes.readUInt32BE(at);
    if (next >= bytes.length) return bytes.length - at;
    at = next;
  }
}

describe('LogStore, against a model', () => {
  it('gives back exactly what it answered for, whatever it is put through', async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const directory = await mkdtemp(join(tmpdir(), 'foremesh-log-'));
        try {
          const model = new Model(directory);
          await model.open();
          for (const each of steps) await model.run(each);
          await model.close();
          await model.open();
          await model.close();
        } finally {
          await rm(directory, { recursive: true });
        }
      }),
      { numRuns: 30 },
    );
  });
});
