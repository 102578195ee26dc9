import { encodeCbor, joinedBytes } from '@foremesh/node-runtime/contract';
import type { HardState, LedgerCommand, LogEntry, VoterRestored, VoterSnapshot } from '@foremesh/node-runtime/core';
import { encodeFrame, readFrames } from '../engine/frames.ts';
import type { Lifetime } from '../engine/machine.ts';

type Entry = LogEntry<LedgerCommand>;

interface Write {
  readonly kind: 'write';
  readonly hard?: HardState;
  readonly entries: readonly Entry[];
  readonly done: (error?: Error) => void;
}

/** A snapshot in the place of the log up to its index; of our own, or of another voter. */
interface Replacement {
  readonly kind: 'replacement';
  readonly index: number;
  readonly term: number;
  readonly frame: Uint8Array;
  readonly tail: readonly Entry[];
  readonly done: (error?: Error) => void;
}

/** What is certainly on the disk, for whoever sees all disks at once. */
export interface DurableLog {
  hard: HardState;
  snapshotIndex: number;
  snapshotTerm: number;
  /** Terms of the entries after the snapshot. */
  terms: number[];
}

/**
 * The log on a virtual disk, in the order of effects of `shell/voter/log-store.ts`: term and vote before entries, writes that
 * wait while one is being synced go together, a snapshot in its turn and before the segment that follows it, and after a
 * failure nothing.
 */
export class VirtualLogStore {
  readonly #life: Lifetime;
  #queue: (Write | Replacement)[] = [];
  #writing = false;
  #failed: Error | undefined;
  readonly durable: DurableLog;
  readonly restored: VoterRestored;

  static isThere({ disk }: Lifetime['machine']): boolean {
    return disk.has('segment') || disk.has('hard-state') || disk.has('snapshot');
  }

  constructor(life: Lifetime) {
    this.#life = life;
    const { disk } = life.machine;
    const read = (name: string) => readFrames(disk.read(name) ?? new Uint8Array());
    const hard = (read('hard-state').values[0] as HardState | undefined) ?? { term: 0 };
    const snapshot = read('snapshot').values[0] as VoterSnapshot | undefined;
    const segment = read('segment');
    disk.truncate('segment', segment.goodBytes);
    const log: Entry[] = [];
    for (const entry of segment.values as Entry[]) addEntry(log, entry);
    const entries = entriesAfter(log, snapshot?.index ?? 0, snapshot?.term ?? 0);
    // A crash came between a snapshot and its segment: what was to be in it may not mingle with what the old one has.
    if (log.length > 0 && log[0] !== entries[0]) disk.rewrite('segment', joinedBytes(entries.map(encodeFrame)));
    this.durable = {
      hard,
      snapshotIndex: snapshot?.index ?? 0,
      snapshotTerm: snapshot?.term ?? 0,
      terms: entries.map(({ term }) => term),
    };
    this.restored = {
      hard,
      log: entries,
      snapshotIndex: snapshot?.index ?? 0,
      snapshotTerm: snapshot?.term ?? 0,
      ...(snapshot === undefined ? {} : { snapshotConfiguration: snapshot.configuration, ledger: snapshot.ledger }),
    };
  }

  /** The newest snapshot on the disk, for a voter that has fallen behind. */
  readSnapshot(): Uint8Array | undefined {
    const [snapshot] = readFrames(this.#life.machine.disk.read('snapshot') ?? new Uint8Array()).values;
    return snapshot === undefined ? undefined : encodeCbor(snapshot);
  }

  persist(hard: HardState | undefined, entries: readonly Entry[], done: (error?: Error) => void): void {
    this.#push({ kind: 'write', ...(hard === undefined ? {} : { hard }), entries, done });
  }

  /** Both are taken right here: ledger and log move on. */
  replace(
    { index, term, configuration, ledger }: VoterSnapshot,
    tail: readonly Entry[],
    done: (error?: Error) => void,
  ): void {
    const frame = encodeFrame({ index, term, configuration, ledger } satisfies VoterSnapshot);
    this.#push({ kind: 'replacement', index, term, frame, tail: [...tail], done });
  }

  #push(item: Write | Replacement): void {
    this.#queue.push(item);
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
    // Writes up to the next snapshot go together.
    const next = this.#queue.findIndex(({ kind }) => kind === 'replacement');
    const batch = this.#queue.splice(0, next < 0 ? this.#queue.length : Math.max(1, next));
    const settle = this.#life.wrap((error?: Error) => {
      this.#failed ??= error;
      for (const { done } of batch) done(this.#failed);
      this.#drain();
    });
    if (this.#failed !== undefined) settle(this.#failed);
    else if (first.kind === 'replacement') this.#replace(first, settle);
    else this.#write(batch as Write[], settle);
  }

  #write(batch: readonly Write[], done: (error?: Error) => void): void {
    const { disk } = this.#life.machine;
    const hard = batch.findLast((each) => each.hard !== undefined)?.hard;
    const entries = batch.flatMap((each) => each.entries);
    const writeEntries = this.#life.wrap((error?: Error) => {
      if (error !== undefined || entries.length === 0) return done(error);
      try {
        for (const entry of entries) disk.append('segment', encodeFrame(entry));
      } catch (failure) {
        return done(failure as Error);
      }
      disk.sync('segment', (failure) => {
        if (failure === undefined) this.#noteEntries(entries);
        done(failure);
      });
    });
    if (hard === undefined) writeEntries();
    else {
      disk.replace('hard-state', encodeFrame(hard), (failure) => {
        if (failure === undefined) this.durable.hard = hard;
        writeEntries(failure);
      });
    }
  }

  #replace({ index, term, frame, tail }: Replacement, done: (error?: Error) => void): void {
    const { disk } = this.#life.machine;
    const replaceSegment = this.#life.wrap((error?: Error) => {
      if (error !== undefined) return done(error);
      disk.replace('segment', joinedBytes(tail.map(encodeFrame)), (failure) => {
        if (failure === undefined) this.#noteSnapshot(index, term, tail);
        done(failure);
      });
    });
    disk.replace('snapshot', frame, replaceSegment);
  }

  #noteEntries(entries: readonly Entry[]): void {
    const { terms, snapshotIndex } = this.durable;
    for (const { index, term } of entries) {
      const at = index - snapshotIndex - 1;
      if (at < 0) continue;
      if (at > terms.length) throw new Error(`raft: a gap on the disk before entry ${index}`);
      if (terms[at] === term) continue;
      terms.length = at;
      terms.push(term);
    }
  }

  #noteSnapshot(index: number, term: number, tail: readonly Entry[]): void {
    Object.assign(this.durable, { snapshotIndex: index, snapshotTerm: term, terms: tail.map((entry) => entry.term) });
  }
}

/** The log as it was written: an entry of another term took the place of what was there, and of all after it. */
function addEntry(log: Entry[], entry: Entry): void {
  const first = log[0];
  const at = first === undefined ? 0 : entry.index - first.index;
  if (at < 0 || at > log.length) throw new Error(`raft: entry ${(log.at(-1)?.index ?? 0) + 1} is missing on the disk`);
  if (log[at]?.term === entry.term) return;
  log.length = at;
  log.push(entry);
}

function entriesAfter(log: readonly Entry[], index: number, term: number): Entry[] {
  const entries = log.filter((entry) => entry.index > index);
  const covered = log.find((entry) => entry.index === index);
  // A snapshot that came from a leader, of another history than this log: nothing of the log is good.
  if (covered !== undefined && covered.term !== term) return [];
  if (entries.length > 0 && entries[0]!.index !== index + 1)
    throw new Error(`raft: entry ${index + 1} is missing on the disk`);
  return entries;
}

export function lastDurableIndex({ snapshotIndex, terms }: DurableLog): number {
  return snapshotIndex + terms.length;
}
