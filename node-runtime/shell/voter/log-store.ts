import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeCbor, MeshError } from '../../contract/index.ts';
import type { Configuration, HardState, LedgerCommand, LogEntry, RaftRestored } from '../../core/index.ts';
import { onDisk, syncDirectory } from '../../data/files.ts';
import { writeDurably } from '../durable-file.ts';
import { encodeFrame, readFrames } from '../frames.ts';

type Entry = LogEntry<LedgerCommand>;

interface Snapshot {
  readonly index: number;
  readonly term: number;
  /** Absent where the voters never changed. */
  readonly configuration?: Configuration;
  readonly ledger: unknown;
}

interface PendingWrite {
  readonly kind: 'write';
  readonly hard?: HardState;
  readonly frames: readonly Buffer[];
  readonly done: (error?: Error) => void;
}

interface Compaction {
  readonly kind: 'compaction';
  readonly index: number;
  readonly frame: Buffer;
  readonly tail: Buffer;
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
  #queue: (PendingWrite | Compaction)[] = [];
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
    const { entries, tornBytes, newest } = await readSegments(directory, names, snapshot);
    // A segment is there before anything else is written, and every term before an entry of it.
    if (newest === undefined && (hard !== undefined || snapshot !== undefined))
      throw corrupt(directory, 'the entries are missing');
    const lastTerm = entries.at(-1)?.term ?? snapshot?.term ?? 0;
    if ((hard?.term ?? 0) < lastTerm)
      throw corrupt(join(directory, 'hard-state'), `there are entries of term ${lastTerm}, and it is older or missing`);
    for (const name of names) if (name.endsWith('.new')) await unlink(join(directory, name)); // of a write that a crash cut off
    const name = segmentName((snapshot?.index ?? 0) + 1);
    // A crash came between a snapshot and its segment: what was to be in it may not mingle with what the old one has.
    if (newest !== undefined && newest !== name)
      await writeDurably(join(directory, name), Buffer.concat(entries.map(encodeFrame)), 0o600);
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
        ...(snapshot?.configuration === undefined ? {} : { snapshotConfiguration: snapshot.configuration }),
      },
      ledger: snapshot?.ledger,
      tornBytes,
    };
  }

  /** Bytes in the segment that is being written: what a snapshot would save. */
  get segmentBytes(): number {
    return this.#segmentBytes;
  }

  /**
   * Resolves when hard state and entries are fsynced. An entry replaces what the log has at its index and after, unless
   * that is of the same term: then it is the same entry. Rejects with `MESH_STORAGE_FAILED`, and from then on always.
   */
  persist(hard: HardState | undefined, entries: readonly Entry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => (error === undefined ? resolve() : reject(error));
      this.#queue.push({
        kind: 'write',
        ...(hard === undefined ? {} : { hard }),
        frames: entries.map(encodeFrame),
        done,
      });
      this.#writing ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // One turn of the event loop gathers what is proposed together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      // In order: writes up to the next compaction, or that compaction.
      const first = this.#queue[0]!;
      const end = this.#queue.findIndex(({ kind }) => kind === 'compaction');
      const taken = this.#queue.splice(0, first.kind === 'compaction' ? 1 : end === -1 ? this.#queue.length : end);
      try {
        if (this.#failed !== undefined) throw this.#failed;
        if (first.kind === 'compaction') await this.#replace(first);
        else await this.#write(taken as PendingWrite[]);
        for (const { done } of taken) done();
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
        for (const { done } of taken) done(this.#failed);
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
   * Replaces everything up to `index` by a snapshot; `tail` gives the entries after `index` as they are now. Both are taken
   * before this returns; resolves when it is durable.
   */
  compact(
    index: number,
    term: number,
    ledger: unknown,
    tail: readonly Entry[],
    configuration?: Configuration,
  ): Promise<void> {
    const changed = configuration === undefined ? {} : { configuration };
    const frame = encodeFrame({ index, term, ...changed, ledger } satisfies Snapshot);
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => (error === undefined ? resolve() : reject(error));
      this.#queue.push({ kind: 'compaction', index, frame, tail: Buffer.concat(tail.map(encodeFrame)), done });
      this.#writing ??= this.#drain();
    });
  }

  async #replace({ index, frame, tail }: Compaction): Promise<void> {
    const before = await readdir(this.#directory);
    const snapshot = `snapshot-${index}`;
    await writeDurably(join(this.#directory, snapshot), frame, 0o600);
    const name = segmentName(index + 1);
    await this.#segment.close();
    await writeDurably(join(this.#directory, name), tail, 0o600);
    this.#segment = await openSegment(join(this.#directory, name));
    this.#segmentBytes = tail.length;
    this.writtenBytes += frame.length + tail.length;
    for (const old of before) {
      if ((isSegment(old) && old !== name) || (isSnapshot(old) && old !== snapshot))
        await unlink(join(this.#directory, old));
    }
  }

  /** The newest snapshot as it is on disk, CBOR; undefined when there is none. Throws `MESH_LOG_CORRUPT`. */
  async readSnapshot(): Promise<Buffer | undefined> {
    for (;;) {
      const newest = newestSnapshot(await readdir(this.#directory));
      if (newest === undefined) return undefined;
      const file = join(this.#directory, newest);
      try {
        return Buffer.from(encodeCbor(await readOnlyFrame(file)));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // else a newer one has just taken its place
      }
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
  const newest = newestSnapshot(names);
  return newest === undefined ? undefined : ((await readOnlyFrame(join(directory, newest))) as Snapshot);
}

function newestSnapshot(names: readonly string[]): string | undefined {
  const indexes = names.filter(isSnapshot).map((name) => Number(name.slice('snapshot-'.length)));
  return indexes.length === 0 ? undefined : `snapshot-${Math.max(...indexes)}`;
}

async function readSegments(
  directory: string,
  names: readonly string[],
  snapshot: Snapshot | undefined,
): Promise<{ entries: Entry[]; tornBytes: number; newest: string | undefined }> {
  const snapshotIndex = snapshot?.index ?? 0;
  const all = names.filter(isSegment).sort();
  // The one that came with the snapshot has all that is still wanted of those before.
  const superseded = all.includes(segmentName(snapshotIndex + 1)) ? segmentName(snapshotIndex + 1) : '';
  const segments = all.filter((name) => name >= superseded);
  const log: Entry[] = [];
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
    for (const entry of values as Entry[]) addEntry(log, entry, directory);
  }
  const entries = log.filter(({ index }) => index > snapshotIndex);
  const covered = log.find(({ index }) => index === snapshotIndex);
  // A snapshot that came from a leader, of another history than this log: nothing of the log is good.
  if (covered !== undefined && covered.term !== snapshot?.term) entries.length = 0;
  if (entries.length > 0 && entries[0]!.index !== snapshotIndex + 1)
    throw corrupt(directory, `entry ${snapshotIndex + 1} is missing`);
  return { entries, tornBytes, newest: segments.at(-1) };
}

/** The log as it was written: an entry of another term took the place of what was there, and of all after it. */
function addEntry(log: Entry[], entry: Entry, directory: string): void {
  const first = log[0];
  const at = first === undefined ? 0 : entry.index - first.index;
  if (at < 0 || at > log.length) throw corrupt(directory, `entry ${(log.at(-1)?.index ?? 0) + 1} is missing`);
  if (log[at]?.term === entry.term) return;
  log.length = at;
  log.push(entry);
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

/** An older copy of a log has forgotten votes and entries that the others count on: only who has no others may take one. */
export const newIdentityMend =
  'if other nodes vote, give this one a new identity: remove node.json, node.key, node.voter and the folder node; ' +
  'if it is the only voter, restore the folder of the log from the newest backup';

function corrupt(where: string, what: string): MeshError {
  return new MeshError('MESH_LOG_CORRUPT', what, {
    where,
    mend: newIdentityMend,
  });
}
