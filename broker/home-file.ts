import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asMeshError, MeshError } from '@foremesh/node-runtime/contract';
import type * as z from 'zod';

export interface HomeFileOptions<T> {
  readonly path: string;
  /** What is in it, for errors: 'accounts'. */
  readonly what: string;
  readonly schema: z.ZodType<T>;
  /** What a missing file stands for. */
  readonly empty: () => T;
  readonly mostBytes: number;
  /** What a person does about a damaged one. */
  readonly mend: string;
}

/**
 * A JSON file of the home that several processes read and change: kept in memory, and read again when it has changed.
 * A change is on disk before it is told; two at once wait for each other.
 */
export class HomeFile<T> {
  readonly #options: HomeFileOptions<T>;
  #value: T;
  #stamp = '';
  readonly #listeners: (() => void)[] = [];
  #changing: Promise<unknown> = Promise.resolve();

  constructor(options: HomeFileOptions<T>) {
    this.#options = options;
    this.#value = options.empty();
  }

  get path(): string {
    return this.#options.path;
  }
  get value(): T {
    return this.#value;
  }

  /** Called after every change that was read, whoever noticed it. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Reads the file if it changed since the last time; returns whether it did. Throws `MESH_CONFIG_INVALID` or
   * `MESH_STORAGE_FAILED` and then keeps what it knew.
   */
  async refresh(): Promise<boolean> {
    const stamp = await fileStamp(this.path);
    if (stamp === this.#stamp) return false;
    this.#value = await this.#read();
    this.#stamp = stamp;
    for (const listener of this.#listeners) listener();
    return true;
  }

  /** Throws what `change` throws, and then has changed nothing. */
  async change<R>(change: (value: T) => R): Promise<R> {
    const turn = this.#changing.then(() =>
      withFileLock(this.path, async () => {
        const value = await this.#read();
        const result = change(value);
        await replaceFile(this.path, `${JSON.stringify(value, null, 2)}\n`);
        await this.refresh();
        return result;
      }),
    );
    this.#changing = turn.catch(() => undefined); // its caller hears of it
    return turn;
  }

  async #read(): Promise<T> {
    const { path, schema, empty, mostBytes } = this.#options;
    let text: string;
    try {
      const { size } = await stat(path);
      if (size > mostBytes) {
        throw new MeshError('MESH_LIMIT_EXCEEDED', `the ${this.#options.what} file may have ${mostBytes} bytes`, {
          where: path,
        });
      }
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (isMissing(error)) return empty();
      throw asMeshError(error, 'MESH_STORAGE_FAILED');
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw this.#damaged('it is not JSON', error);
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw this.#damaged(`${issue?.path.join('.')}: ${issue?.message}`);
  }

  #damaged(how: string, cause?: unknown): MeshError {
    const { path, what, mend } = this.#options;
    return new MeshError('MESH_CONFIG_INVALID', `the ${what} file is damaged: ${how}`, {
      where: path,
      mend,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

async function fileStamp(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if (isMissing(error)) return 'none';
    throw asMeshError(error, 'MESH_STORAGE_FAILED');
  }
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** Two processes that change one file must not lose a change: the second waits for the first's lock file. */
async function withFileLock<R>(path: string, action: () => Promise<R>): Promise<R> {
  const lock = `${path}.lock`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await (await open(lock, 'wx', 0o600)).close();
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw asMeshError(error, 'MESH_STORAGE_FAILED');
      if (attempt === 100) {
        throw new MeshError('MESH_IDENTITY_IN_USE', 'another process is changing this file', {
          where: path,
          mend: `if none is, remove ${lock}`,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  try {
    return await action();
  } catch (error) {
    throw asMeshError(error, 'MESH_STORAGE_FAILED');
  } finally {
    await rm(lock, { force: true });
  }
}

/** Readable by its owner alone; after a power cut it is the old file or the new one. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(draft, 0o600);
  await rename(draft, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
