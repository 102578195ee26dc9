import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '../contract/index.ts';
import type { HardState, LedgerCommand, LogEntry, RaftRestored } from '../core/index.ts';
import { onDisk, syncDirectory } from '../data/files.ts';
import { writeDurably } from './durable-file.ts';
import { encodeFrame, readFrames } from './frames.ts';

type Entry = LogEntry<LedgerCommand>;

interface Snapshot {
  readonly index: number;
  readonly term: number;
  readonly ledger: unknown;
}

interface PendingWrite {
  readonly hard?: HardState;
  readonly frames: readonly Buffer[];
  readonly done: (error?: Error) => void;
}

interface Compaction {
  readonly index: number;
  readonly frame: Buffer;
  readonly tail: () => readonly Entry[];
  readonly done: (error?: Error) => void;
}

export interface OpenedLog {
  readonly store: LogStore;
  readonly restored: RaftRestored<LedgerCommand>;
  /** What the ledger was at `restored.snapshotIndex`; undefined when there is no snapshot. */
  readonly ledger: unknown;
  /** Bytes of a write that a crash cut off; they were never answered for. */
  readonly tornBytes: number;
}

/**
 * The log on disk: `hard-state` (term and vote), segments of checksummed frames, one snapshot. What `persist` resolved
 * for survives a kill and a power cut (as far as the disk keeps its word on fsync). Writes that wait while one is being
 * fsynced go together in the next: a slow disk costs latency, not throughput.
 */
export class LogStore {
  readonly #directory: string;
  #segment: FileHandle;
  #segmentBytes: number;
  #queue: PendingWrite[] = [];
  #compaction: Compaction | undefined;
  #writing: Promise<void> | undefined;
  #failed: MeshError | undefined;
  /** Bytes written since the start, for the wear of SD cards. */
  writtenBytes = 0;

  private constructor(directory: string, segment: FileHandle, segmentBytes: number) {
    this.#directory = directory;
    this.#segment = segment;
    this.#segmentBytes = segmentBytes;
  }

  /** Throws `MESH_LOG_CORRUPT` or `MESH_STORAGE_FAILED`. */
  static open(directory: string): Promise<OpenedLog> {
    return onDisk('open the log', directory, () => LogStore.#open(directory));
  }

  static async #open(directory: string): Promise<OpenedLog> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const names = await readdir(directory);
    const hard = await readHardState(directory, names);
    const snapshot = await readSnapshot(directory, names);
    const { entries, tornBytes, newest } = await readSegments(directory, names, snapshot?.index ?? 0);
    // A segment is there before anything else is written, and every term before an entry of it.
    if (newest === undefined && (hard !== undefined || snapshot !== undefined))
      throw corrupt(directory, 'the entries are missing');
    const lastTerm = entries.at(-1)?.term ?? snapshot?.term ?? 0;
    if ((hard?.term ?? 0) < lastTerm)
      throw corrupt(join(directory, 'hard-state'), `there are entries of term ${lastTerm}, and it is older or missing`);
    for (const name of names) if (name.endsWith('.new')) await unlink(join(directory, name)); // of a write that a crash cut off
    const name = newest ?? segmentName((snapshot?.index ?? 0) + 1);
    const segment = await openSegment(join(directory, name));
    if (newest === undefined) await syncDirectory(directory);
    const { size } = await segment.stat();
    return {
      store: new LogStore(directory, segment, size),
      restored: {
        hard: hard ?? { term: 0 },
        log: entries,
        snapshotIndex: snapshot?.index ?? 0,
        snapshotTerm: snapshot?.term ?? 0,
      },
      ledger: snapshot?.ledger,
      tornBytes,
    };
  }

  /** Bytes in the segment that is being written: what a snapshot would save. */
  get segmentBytes(): number {
    return this.#segmentBytes;
  }

  /** Resolves when hard state and entries are fsynced. Rejects with `MESH_STORAGE_FAILED`, and from then on always. */
  persist(hard: HardState | undefined, entries: readonly Entry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => (error === undefined ? resolve() : reject(error));
      this.#queue.push({ ...(hard === undefined ? {} : { hard }), frames: entries.map(encodeFrame), done });
      this.#writing ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // One turn of the event loop gathers what is proposed together.
    await Promise.resolve();
    while (this.#queue.length > 0 || this.#compaction !== undefined) {
      const batch = this.#queue;
      const compaction = this.#compaction;
      this.#queue = [];
      this.#compaction = undefined;
      try {
        if (this.#failed !== undefined) throw this.#failed;
        if (batch.length > 0) await this.#write(batch);
        for (const { done } of batch) done();
        if (compaction !== undefined) await this.#replace(compaction);
        compaction?.done();
      } catch (error) {
        // After a failed fsync nobody knows what is on disk: only a restart, which reads it, may go on.
        this.#failed ??= new MeshError(
          'MESH_STORAGE_FAILED',
          `the log cannot be written: ${(error as Error).message}`,
          {
            where: this.#directory,
            mend: 'free space or replace the disk, then start the node again',
            cause: error,
          },
        );
        for (const { done } of batch) done(this.#failed);
        compaction?.done(this.#failed);
      }
    }
    this.#writing = undefined;
  }

  async #write(batch: readonly PendingWrite[]): Promise<void> {
    const hard = batch.findLast((each) => each.hard !== undefined)?.hard;
    if (hard !== undefined) await writeDurably(join(this.#directory, 'hard-state'), encodeFrame(hard), 0o600);
    const bytes = Buffer.concat(batch.flatMap((each) => each.frames));
    if (bytes.length === 0) return;
    await appendDurably(this.#segment, bytes);
    this.#segmentBytes += bytes.length;
    this.writtenBytes += bytes.length;
  }

  /**
   * Replaces everything up to `index` by a snapshot, which is encoded before this returns; `tail` gives the entries after
   * `index`. Resolves when it is durable.
   */
  compact(index: number, term: number, ledger: unknown, tail: () => readonly Entry[]): Promise<void> {
    const frame = encodeFrame({ index, term, ledger } satisfies Snapshot);
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => (error === undefined ? resolve() : reject(error));
      this.#compaction = { index, frame, tail, done };
      this.#writing ??= this.#drain();
    });
  }

  async #replace({ index, frame, tail }: Compaction): Promise<void> {
    const before = await readdir(this.#directory);
    const snapshot = `snapshot-${index}`;
    await writeDurably(join(this.#directory, snapshot), frame, 0o600);
    const name = segmentName(index + 1);
    // Entries that wait for their turn are in it too and will be written again: the same entry twice is read as one.
    const tailBytes = Buffer.concat(tail().map(encodeFrame));
    await this.#segment.close();
    await writeDurably(join(this.#directory, name), tailBytes, 0o600);
    this.#segment = await openSegment(join(this.#directory, name));
    this.#segmentBytes = tailBytes.length;
    this.writtenBytes += frame.length + tailBytes.length;
    for (const old of before) {
      if ((isSegment(old) && old !== name) || (isSnapshot(old) && old !== snapshot))
        await unlink(join(this.#directory, old));
    }
  }

  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    await this.#segment.close();
  }
}

/** Where the system has it, a write returns when it is on disk: one call instead of a write and an fsync. */
const synchronous: number | undefined = constants.O_DSYNC;

function openSegment(file: string): Promise<FileHandle> {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (synchronous ?? 0);
  return open(file, flags, 0o600);
}

async function appendDurably(segment: FileHandle, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await segment.write(bytes, written)).bytesWritten;
  }
  if (synchronous === undefined) await segment.datasync();
}

function segmentName(firstIndex: number): string {
  return `segment-${String(firstIndex).padStart(16, '0')}`;
}
function isSegment(name: string): boolean {
  return /^segment-\d+$/.test(name);
}
function isSnapshot(name: string): boolean {
  return /^snapshot-\d+$/.test(name);
}

async function readHardState(directory: string, names: readonly string[]): Promise<HardState | undefined> {
  if (!names.includes('hard-state')) return undefined;
  const file = join(directory, 'hard-state');
  return (await readOnlyFrame(file)) as HardState;
}

/** A file of one frame is replaced as a whole: anything else in it is damage. */
async function readOnlyFrame(file: string): Promise<unknown> {
  const { values, fault } = readFrames(await readFile(file));
  if (fault !== undefined || values.length !== 1) throw corrupt(file, 'the file is damaged');
  return values[0];
}

async function readSnapshot(directory: string, names: readonly string[]): Promise<Snapshot | undefined> {
  const indexes = names.filter(isSnapshot).map((name) => Number(name.slice('snapshot-'.length)));
  if (indexes.length === 0) return undefined;
  return (await readOnlyFrame(join(directory, `snapshot-${Math.max(...indexes)}`))) as Snapshot;
}

async function readSegments(
  directory: string,
  names: readonly string[],
  snapshotIndex: number,
): Promise<{ entries: Entry[]; tornBytes: number; newest: string | undefined }> {
  const segments = names.filter(isSegment).sort();
  const byIndex = new Map<number, Entry>();
  let tornBytes = 0;
  for (const name of segments) {
    const file = join(directory, name);
    const bytes = await readFile(file);
    const { values, goodBytes, fault } = readFrames(bytes);
    if (fault === 'damaged' || (fault === 'torn' && name !== segments.at(-1))) {
      throw corrupt(file, `damaged at byte ${goodBytes} of ${bytes.length}`);
    }
    if (fault === 'torn') {
      tornBytes = bytes.length - goodBytes;
      await writeFile(`${file}.torn`, bytes.subarray(goodBytes)); // kept, should the guess be wrong
      await truncateDurably(file, goodBytes);
    }
    for (const entry of values as Entry[]) if (entry.index > snapshotIndex) byIndex.set(entry.index, entry);
  }
  const entries = [...byIndex.values()].sort((a, b) => a.index - b.index);
  for (const [offset, entry] of entries.entries()) {
    if (entry.index !== snapshotIndex + 1 + offset)
      throw corrupt(directory, `entry ${snapshotIndex + 1 + offset} is missing`);
  }
  return { entries, tornBytes, newest: segments.at(-1) };
}

async function truncateDurably(file: string, length: number): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.truncate(length);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function corrupt(where: string, what: string): MeshError {
  return new MeshError('MESH_LOG_CORRUPT', what, {
    where,
    mend: 'restore the folder from a backup; the mesh cannot be continued from a damaged log without losing promises',
  });
}
