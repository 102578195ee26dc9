import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshClient } from '@foremesh/node-runtime/sdk';
import { type PlannedJob, specOf, sumsOf } from './job-list.ts';

export interface RunJob extends PlannedJob {
  /** From accepted to ended, by the leader's clock. */
  readonly finishSeconds: number;
  readonly deadlineSeconds?: number;
  readonly missed: boolean;
  /** Tasks that were moved, or begun anew, elsewhere. */
  readonly moves: number;
  readonly tasksByNode: Readonly<Record<string, number>>;
}

/**
 * Submits each job at its time, and waits for all. Throws when one does not end as it must.
 *
 * @param secondsPerLineMost by it a job has its deadline; undefined: it has none
 */
export async function runJobs(
  client: MeshClient,
  jobs: readonly PlannedJob[],
  fromMs: number,
  secondsPerLineMost: number | undefined,
  onDone: (done: number, job: RunJob) => void,
): Promise<RunJob[]> {
  let done = 0;
  return Promise.all(
    jobs.map(async (planned) => {
      const { atMs, lines } = planned;
      const deadlineSeconds = secondsPerLineMost === undefined ? undefined : lines * secondsPerLineMost;
      await sleep(Math.max(0, fromMs + atMs - Date.now()));
      const handle = client.submit(specOf(lines, deadlineSeconds));
      const { phase, problem, outputs, deadline, tasksByNode, elapsedMs } = await handle.result();
      const finishSeconds = elapsedMs / 1_000;
      const output = outputs?.sums;
      const value = output !== undefined && 'value' in output ? output.value : undefined;
      if (phase !== 'done') throw new Error(`job ${handle.job} is ${phase}: ${problem?.message}`);
      if (JSON.stringify(value) !== JSON.stringify(sumsOf(lines)))
        throw new Error(`job ${handle.job} gave ${JSON.stringify(value)}`);
      let moves = 0;
      // The last state tells of all of them.
      for await (const state of handle.states())
        moves = Object.values(state.moves ?? {}).reduce((sum, each) => sum + each, 0);
      const job = {
        ...planned,
        finishSeconds,
        ...(deadlineSeconds === undefined ? {} : { deadlineSeconds }),
        missed: deadline?.missed === true,
        moves,
        tasksByNode,
      };
      done += 1;
      onDone(done, job);
      return job;
    }),
  );
}
