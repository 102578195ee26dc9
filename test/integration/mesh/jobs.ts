import type { JobResult, JobSpecInput, TaskRow } from '@foremesh/node-runtime/contract';
import type { JobHandle, MeshClient } from '@foremesh/node-runtime/sdk';
import { until } from '../../support/until.ts';

/** Sums the squares of its lines the slow way: a few hundred milliseconds a task, the same answer wherever it runs. */
const slowSquares = `export default async (task) => {
  let sum = 0;
  for await (const line of task.input) {
    const n = Number(line);
    let square = 0;
    for (let i = 0; i < task.parameters.rounds; i += 1) square = n * n;
    sum += square;
  }
  return sum;
}`;
const add = 'export default (task) => task.parts.reduce((sum, part) => sum + part, 0)';

/** A job of `chunks` tasks over the numbers 1 to `numbers`. */
export function squaresJob(numbers: number, chunks: number, rounds: number): JobSpecInput {
  const lines = Array.from({ length: numbers }, (_, index) => `${index + 1}\n`).join('');
  return {
    stages: {
      squares: {
        code: { inline: slowSquares },
        input: { inline: lines },
        split: { by: 'lines', chunks },
        merge: { inline: add },
        parameters: { rounds },
      },
    },
  };
}

export function sumOfSquares(numbers: number): number {
  return (numbers * (numbers + 1) * (2 * numbers + 1)) / 6;
}

export function outputOf(result: JobResult, stage = 'squares'): unknown {
  const output = result.outputs?.[stage];
  if (output === undefined || !('value' in output)) throw new Error(`no value: ${JSON.stringify(result)}`);
  return output.value;
}

/** Waits until some tasks of the job are done, one of them by `node`, which runs another. */
export async function untilMidJob(
  client: MeshClient,
  handle: JobHandle,
  node: string,
  doneAtLeast = 2,
): Promise<readonly TaskRow[]> {
  const { job } = await handle.accepted();
  return until(`${node} is in the middle of ${job}`, async () => {
    const { tasks } = await client.job(job);
    const done = tasks.filter((task) => task.state === 'done');
    const here = (state: TaskRow['state']) => tasks.some((task) => task.state === state && task.node === node);
    return done.length >= doneAtLeast && here('done') && here('running') ? tasks : undefined;
  });
}
