import { mkdir, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { asMeshError, MeshError } from '@foremesh/node-runtime/contract';
import { ClassicLevel } from 'classic-level';

const bytes = { keyEncoding: 'utf8', valueEncoding: 'buffer' } as const;
/** Small on purpose: the broker shares a Raspberry Pi with a node. LevelDB's own defaults are 8 and 4 MiB. */
const tuning = { cacheSize: 2 * 1024 ** 2, writeBufferSize: 1024 ** 2, maxOpenFiles: 200 };

/**
 * Directories that this process has open. LevelDB's own lock is not enough here: a second attempt by the same process
 * fails, but it also gives the first one's lock away (POSIX: closing any descriptor of a file releases its locks).
 */
const openHere = new Set<string>();

export interface DatabaseOptions {
  /** Directory of the store; made when missing. */
  readonly location: string;
  /** fsync each batch. */
  readonly sync: boolean;
  /** Rebuild from what is readable before opening. */
  readonly repair: boolean;
  /** A batch could not be written: the disk is full or broken. */
  readonly onWriteFailed: (error: MeshError) => void;
}

/**
 * A key-value store whose writes are ordered. LevelDB's bindings run concurrent writes on several threads in any order,
 * so two values for one key may land reversed; here one batch is under way at a time, and what comes meanwhile is
 * gathered into the next. Reads see what has been written, on disk or not.
 *
 * A write that has resolved survives the death of the process (`kill -9`): the kernel has it. It survives a power cut
 * only with `sync`.
 */
export class Database {
  readonly #level: ClassicLevel<string, Buffer>;
  readonly #sync: boolean;
  readonly #onWriteFailed: (error: MeshError) => void;
  #next = new Map<string, Buffer | undefined>();
  #flying = new Map<string, Buffer | undefined>();
  #nextWritten: { promise: Promise<void>; resolve(): void; reject(error: unknown): void } | undefined;
  #writing: Promise<void> | undefined;
  #closed = false;

  private constructor(level: ClassicLevel<string, Buffer>, options: DatabaseOptions) {
    this.#level = level;
    this.#sync = options.sync;
    this.#onWriteFailed = options.onWriteFailed;
  }

  /**
   * Throws `MESH_IDENTITY_IN_USE` when another process has it open, `MESH_STORAGE_FAILED` when it is damaged or the disk
   * refuses.
   */
  static async open(options: DatabaseOptions): Promise<Database> {
    const location = resolve(options.location);
    if (openHere.has(location)) throw inUse(location);
    openHere.add(location);
    try {
      await mkdir(location, { recursive: true, mode: 0o700 });
      if (options.repair && (await exists(`${location}/CURRENT`))) await ClassicLevel.repair(location);
      const level = new ClassicLevel<string, Buffer>(location, { ...bytes, ...tuning });
      await level.open();
      return new Database(level, options);
    } catch (error) {
      openHere.delete(location);
      throw openError(location, error);
    }
  }

  /** Sets `key`, or deletes it when `value` is undefined. The promise is that of the whole batch it goes into. */
  write(key: string, value: Buffer | undefined): Promise<void> {
    if (this.#closed) {
      const refused = Promise.reject(new MeshError('MESH_STORAGE_FAILED', 'the store is closed'));
      refused.catch(() => undefined);
      return refused;
    }
    this.#next.set(key, value);
    if (this.#nextWritten === undefined) {
      this.#nextWritten = deferred();
      // Not everyone who writes waits; `onWriteFailed` hears of every failure.
      this.#nextWritten.promise.catch(() => undefined);
    }
    const { promise } = this.#nextWritten;
    this.#writing ??= this.#writeAll();
    return promise;
  }

  async read(key: string): Promise<Buffer | undefined> {
    if (this.#next.has(key)) return this.#next.get(key);
    if (this.#flying.has(key)) return this.#flying.get(key);
    if (this.#closed) return undefined;
    return this.#level.get(key, bytes);
  }

  /** Every entry whose key begins with `prefix` (which ends with ':'), in key order. For start-up: it sees the disk only. */
  async *scan(prefix: string): AsyncGenerator<[string, Buffer]> {
    const end = `${prefix.slice(0, -1)};`;
    try {
      yield* this.#level.iterator<string, Buffer>({ gte: prefix, lt: end, fillCache: false, ...bytes });
    } catch (error) {
      throw openError(this.#level.location, error);
    }
  }

  /** Resolves when everything written so far is on its way to disk or failed. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    await this.#level.close();
    openHere.delete(this.#level.location);
  }

  async #writeAll(): Promise<void> {
    // One turn later, so that all that one read of a socket brought goes into one batch.
    await new Promise((go) => setImmediate(go));
    while (this.#nextWritten !== undefined) {
      const written = this.#nextWritten;
      this.#flying = this.#next;
      this.#next = new Map();
      this.#nextWritten = undefined;
      const operations = [...this.#flying].map(([key, value]) =>
        value === undefined ? ({ type: 'del', key } as const) : ({ type: 'put', key, value } as const),
      );
      try {
        await this.#level.batch<string, Buffer>(operations, { ...bytes, sync: this.#sync });
        written.resolve();
      } catch (error) {
        const failed = asMeshError(error, 'MESH_STORAGE_FAILED');
        this.#onWriteFailed(failed);
        written.reject(failed);
      }
      this.#flying = new Map();
    }
    this.#writing = undefined;
  }
}

function deferred() {
  let fulfil!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    fulfil = yes;
    reject = no;
  });
  return { promise, resolve: fulfil, reject };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function openError(location: string, error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  const cause = (error as { cause?: unknown }).cause ?? error;
  const code = (cause as { code?: string }).code;
  if (code === 'LEVEL_LOCKED') {
    return inUse(location, cause);
  }
  const message = cause instanceof Error ? cause.message : String(cause);
  if (code === 'LEVEL_CORRUPTION' || /corrupt|no such file|missing files/i.test(message)) {
    return storeDamaged(location, cause);
  }
  return new MeshError('MESH_STORAGE_FAILED', `the broker's store cannot be opened: ${message}`, {
    where: location,
    mend: 'see that the directory belongs to this user and the disk has room',
    cause,
  });
}

function inUse(location: string, cause?: unknown): MeshError {
  return new MeshError('MESH_IDENTITY_IN_USE', 'another broker uses this store', {
    where: location,
    mend: 'stop the other one, or give this one another home',
    cause,
  });
}

export function storeDamaged(location: string, cause: unknown): MeshError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new MeshError('MESH_STORAGE_FAILED', `the broker's store is damaged: ${message}`, {
    where: location,
    mend: 'start once with --repair-store to keep what is readable, or move the directory away to start empty (nodes publish their state again)',
    cause,
  });
}
