import type { DataReference, OutboxMessage, Output } from '../contract/index.ts';
import type { JobPlan } from './job-plan.ts';
import type { Ledger, LedgerJob } from './ledger.ts';
import { logsOf } from './ledger-logs.ts';
import type { PlannerState } from './planner/index.ts';

type Named = Pick<DataReference, 'blob' | 'sizeBytes'>;

/** Of these blobs, those that no job and no model of the log names, in any way: they can go. */
export function unneededBlobs<T extends Named>(ledger: Ledger, among: readonly T[]): T[] {
  const left = new Map(among.map((each) => [blobKeyOf(each), each]));
  for (const { weights } of ledger.models.values()) left.delete(blobKeyOf(weights));
  for (const job of ledger.jobs.values()) {
    if (left.size === 0) break;
    for (const each of blobsOf(job)) left.delete(blobKeyOf(each));
  }
  return [...left.values()];
}

/** A blob is known by its name and its size together. */
export function blobKeyOf({ blob, sizeBytes }: Named): string {
  return `${blob}-${sizeBytes}`;
}

/** Everything that a job names: code and input, what its stages were cut from, what has come of its tasks. */
export function* blobsOf(job: LedgerJob): IterableIterator<Named> {
  yield* blobsOfPlan(job.plan);
  for (const { source, tasks } of job.stages.values()) {
    if (source !== undefined) yield source;
    for (const task of tasks) {
      const { output, checkpoint } = task;
      if (output !== undefined && isBlob(output)) yield output;
      if (checkpoint !== undefined) yield checkpoint.state;
      yield* logsOf(task);
    }
  }
}

/** What it names from the beginning. */
export function* blobsOfPlan({ stages }: JobPlan): IterableIterator<Named> {
  for (const { code, merge, input, command } of stages) {
    yield code;
    if (merge !== undefined) yield merge;
    if (input !== undefined) yield input;
    yield* Object.values(command?.files ?? {});
  }
}

function isBlob(output: Output): output is Output & Named {
  return 'blob' in output;
}

/**
 * What a node says has come of an attempt, and names a blob, while the leader did not know that the attempt was still going on: a
 * node that was away for long may have put it so long ago that its holder has let it go since. Whoever feeds the report to the
 * planner asks first.
 */
export function lateBlobOf(planner: PlannerState, message: OutboxMessage): DataReference | undefined {
  if (!isLate(planner, message) || (message.type !== 'done' && message.type !== 'checkpointed')) return undefined;
  if (message.type === 'checkpointed') return message.checkpoint.state;
  const { output } = message;
  return isBlob(output) ? { blob: output.blob, sizeBytes: output.sizeBytes } : undefined;
}

/** The same for its log: without that it counts all the same. */
export function lateLogOf(planner: PlannerState, message: OutboxMessage): DataReference | undefined {
  if (!isLate(planner, message) || (message.type !== 'done' && message.type !== 'failed')) return undefined;
  return message.log;
}

function isLate(planner: PlannerState, message: OutboxMessage): boolean {
  return 'attempt' in message && !planner.attempts.has(message.attempt);
}
