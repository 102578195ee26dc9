import { setTimeout as sleep } from 'node:timers/promises';
import type { JobHandle, MeshClient } from '@foremesh/node-runtime/sdk';
import type { Watch } from './fleet.ts';

const atOnce = 4;
const numbers = 60;
const tasks = 20;
/** Some hundred milliseconds of work per task. */
const code = `export default async (task) => {
  let sum = 0;
  for await (const line of task.input) {
    let square = 0;
    for (let i = 0; i < 120000; i += 1) square = Number(line) * Number(line);
    sum += square;
  }
  return sum;
}`;
const expected = (numbers * (numbers + 1) * (2 * numbers + 1)) / 6;
/** A job that has not ended by then, or was not even accepted, is lost. */
const lostAfterMs = 180_000;

/** Jobs, some at a time, for as long as it is wanted; every result is compared with what it must be. */
export class JobStream {
  readonly #client: MeshClient;
  readonly #watch: Watch;
  readonly #streams: Promise<void>[] = [];
  #wanted = true;
  #failure: unknown;
  done = 0;
  lost = 0;
  wrong = 0;
  duplicated = 0;

  constructor(client: MeshClient, watch: Watch) {
    this.#client = client;
    this.#watch = watch;
  }

  start(): void {
    for (let stream = 0; stream < atOnce; stream += 1) {
      this.#streams.push(
        this.#run().catch((error: unknown) => {
          this.#failure = error;
        }),
      );
    }
  }

  async #run(): Promise<void> {
    while (this.#wanted) {
      const inline = Array.from({ length: numbers }, (_, index) => `${index + 1}\n`).join('');
      const merge = { inline: 'export default (task) => task.parts.reduce((sum, part) => sum + part, 0)' };
      const squares = {
        code: { inline: code },
        input: { inline },
        split: { by: 'lines' as const, chunks: tasks },
        merge,
      };
      await this.#judge(this.#client.submit({ stages: { squares } }));
    }
  }

  async #judge(handle: JobHandle): Promise<void> {
    const late = setTimeout(() => handle.close(), lostAfterMs);
    const result = await handle.result().catch(() => undefined);
    clearTimeout(late);
    if (result === undefined) {
      this.lost += 1;
      return;
    }
    const output = result.outputs?.squares;
    if (result.phase !== 'done' || output === undefined || !('value' in output) || output.value !== expected) {
      this.wrong += 1;
      process.stderr.write(`wrong: ${JSON.stringify(result)}\n`);
    }
    // Every task counts once, whatever ran twice; and a result that is published again is the same one.
    const counted = Object.values(result.tasksByNode).reduce((sum, each) => sum + each, 0);
    if (counted !== tasks + 1 || this.#watch.resultsOf(handle.job) > 1) {
      this.duplicated += 1;
      process.stderr.write(
        `twice: ${counted} of ${tasks + 1} tasks counted, ${this.#watch.resultsOf(handle.job)} results\n`,
      );
    }
    this.done += 1;
  }

  /** Resolves when tasks are being worked on. */
  async untilRunning(): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const { rows } = await this.#client.jobs();
      if (rows.some(({ phase, stages }) => phase === 'running' && stages.some(({ running }) => running > 0))) return;
      await sleep(20);
    }
  }

  async finish(): Promise<void> {
    this.#wanted = false;
    await Promise.all(this.#streams);
    if (this.#failure !== undefined) throw this.#failure;
  }
}
