import type { HardState, LedgerCommand, LogEntry, RaftRestored } from '@foremesh/node-runtime/core';
import { encodeFrame, readFrames } from '../engine/frames.ts';
import type { Lifetime } from '../engine/machine.ts';

type Entry = LogEntry<LedgerCommand>;

interface Snapshot {
  readonly index: number;
  readonly term: number;
  readonly ledger: unknown;
}

interface Write {
  readonly kind: 'write';
  readonly hard?: HardState;
  readonly entries: readonly Entry[];
  readonly done: (error?: Error) => void;
}

interface Compaction {
  readonly kind: 'compaction';
  readonly frame: Uint8Array;
  readonly tail: readonly Entry[];
}

/**
 * The log on a virtual disk, in the order of effects of `shell/log-store.ts`: term and vote before entries, writes that wait
 * while one is being synced go together, a compaction in its turn, a snapshot before the segment that follows it, and after a
 * failure nothing.
 */
export class VirtualLogStore {
  readonly #life: Lifetime;
  #queue: (Write | Compaction)[] = [];
  #writing = false;
  #failed: Error | undefined;
  /** The last entry that is certainly on the disk. */
  durableIndex: number;
  readonly restored: RaftRestored<LedgerCommand>;
  readonly ledger: unknown;

  constructor(life: Lifetime) {
    this.#life = life;
    const { disk } = life.machine;
    const read = (name: string) => readFrames(disk.read(name) ?? new Uint8Array());
    const hard = read('hard-state').values[0] as HardState | undefined;
    const snapshot = read('snapshot').values[0] as Snapshot | undefined;
    const segment = read('segment');
    disk.truncate('segment', segment.goodBytes);
    const entries: Entry[] = [];
    let next = (snapshot?.index ?? 0) + 1;
    for (const entry of segment.values as Entry[]) {
      if (entry.index !== next) continue; // in the snapshot, or written twice
      entries.push(entry);
      next += 1;
    }
    this.durableIndex = next - 1;
    this.ledger = snapshot?.ledger;
    this.restored = {
      hard: hard ?? { term: 0 },
      log: entries,
      snapshotIndex: snapshot?.index ?? 0,
      snapshotTerm: snapshot?.term ?? 0,
    };
  }

  persist(hard: HardState | undefined, entries: readonly Entry[], done: (error?: Error) => void): void {
    this.#queue.push({ kind: 'write', ...(hard === undefined ? {} : { hard }), entries, done });
    if (this.#writing) return;
    this.#writing = true;
    this.#life.after(0, () => this.#drain());
  }

  compact(index: number, term: number, ledger: unknown, tail: () => readonly Entry[]): void {
    // Both taken right here: ledger and log move on.
    const frame = encodeFrame({ index, term, ledger } satisfies Snapshot);
    this.#queue.push({ kind: 'compaction', frame, tail: tail() });
    if (this.#writing) return;
    this.#writing = true;
    this.#life.after(0, () => this.#drain());
  }

  #drain(): void {
    const [first] = this.#queue;
    if (first === undefined) {
      this.#writing = false;
      return;
    }
    if (first.kind === 'compaction') {
      this.#queue.shift();
      if (this.#failed === undefined) this.#replace(first, () => this.#drain());
      else this.#drain();
      return;
    }
    // Writes up to the next compaction go together.
    const next = this.#queue.findIndex(({ kind }) => kind === 'compaction');
    const batch = this.#queue.splice(0, next < 0 ? this.#queue.length : next) as Write[];
    const settle = this.#life.wrap((error?: Error) => {
      this.#failed ??= error;
      for (const { done } of batch) done(this.#failed);
      this.#drain();
    });
    if (this.#failed !== undefined) settle(this.#failed);
    else this.#write(batch, settle);
  }

  #write(batch: readonly Write[], done: (error?: Error) => void): void {
    const { disk } = this.#life.machine;
    const hard = batch.findLast((each) => each.hard !== undefined)?.hard;
    const entries = batch.flatMap((each) => each.entries);
    const writeEntries = (error?: Error) => {
      if (error !== undefined || entries.length === 0) return done(error);
      try {
        for (const entry of entries) disk.append('segment', encodeFrame(entry));
      } catch (failure) {
        return done(failure as Error);
      }
      disk.sync('segment', (failure) => {
        if (failure === undefined) this.durableIndex = Math.max(this.durableIndex, entries.at(-1)!.index);
        done(failure);
      });
    };
    if (hard === undefined) writeEntries();
    else disk.replace('hard-state', encodeFrame(hard), this.#life.wrap(writeEntries));
  }

  #replace({ frame, tail }: Compaction, done: () => void): void {
    const { disk } = this.#life.machine;
    const fail = (error: Error) => {
      this.#failed ??= error;
      done();
    };
    const replaceSegment = this.#life.wrap((error?: Error) => {
      if (error !== undefined) return fail(error);
      const frames = tail.map(encodeFrame);
      const bytes = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0));
      let at = 0;
      for (const frame of frames) {
        bytes.set(frame, at);
        at += frame.length;
      }
      disk.replace(
        'segment',
        bytes,
        this.#life.wrap((failure?: Error) => (failure === undefined ? done() : fail(failure))),
      );
    });
    disk.replace('snapshot', frame, replaceSegment);
  }
}
