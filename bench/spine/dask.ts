import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './mesh.ts';
import { LineProcess } from './processes.ts';

const script = join(import.meta.dirname, 'dask-bench.py');
/** Debian's package is of Debian's Python, which need not be the first in the path. */
const pythons = ['python3', '/usr/bin/python3'];

/** A Python that has Dask distributed, or undefined. */
export function findPython(): string | undefined {
  return pythons.find((python) => spawnSync(python, ['-c', 'import distributed']).status === 0);
}

/** A Dask scheduler, two workers of one thread each and a client, four processes on the loopback. */
export class DaskUnderTest {
  readonly version: string;
  readonly #processes: readonly LineProcess[];
  readonly #client: LineProcess;
  readonly #directory: string;

  private constructor(version: string, processes: readonly LineProcess[], client: LineProcess, directory: string) {
    this.version = version;
    this.#processes = processes;
    this.#client = client;
    this.#directory = directory;
  }

  static async start(python: string): Promise<DaskUnderTest> {
    const directory = await mkdtemp(join(tmpdir(), 'foremesh-bench-dask-'));
    const address = `tcp://127.0.0.1:${await freePort()}`;
    const run = (name: string, ...words: string[]) => new LineProcess(name, python, words, { HOME: directory });
    const dask = (name: string, ...words: string[]) => run(name, '-m', `distributed.cli.${name}`, ...words);
    // No page and no nanny: as lean as it goes.
    const scheduler = dask('dask_scheduler', '--host', address, '--no-dashboard');
    const lean = ['--nthreads', '1', '--no-nanny', '--no-dashboard', '--memory-limit', '0'];
    const workers = ['a', 'b'].map((name) =>
      dask('dask_worker', address, ...lean, '--name', name, '--local-directory', directory),
    );
    const client = run('dask client', script, address);
    const processes = [client, ...workers, scheduler];
    try {
      const { version } = await client.next();
      return new DaskUnderTest(String(version), processes, client, directory);
    } catch (error) {
      for (const process of processes) await process.end();
      throw error;
    }
  }

  /** Milliseconds from the first submit to the last result of so many distinct no-op tasks. */
  async throughput(tasks: number): Promise<number> {
    this.#client.write(`throughput ${tasks}`);
    return (await this.#client.next()).elapsedMs as number;
  }

  async latencies(jobs: number): Promise<number[]> {
    this.#client.write(`latency ${jobs}`);
    return (await this.#client.next()).elapsedMs as number[];
  }

  async end(): Promise<void> {
    for (const process of this.#processes) await process.end();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
