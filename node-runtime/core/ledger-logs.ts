import { type DataReference, limits } from '../contract/index.ts';
import type { LedgerJob, LedgerTask } from './ledger.ts';

/** The last quarter is for those that fail: they are read. */
const ofDoneShare = 0.75;

/** What is remembered of where the log of an attempt that has ended is: nothing once its job has as much as it may. */
export function keptLog(
  job: LedgerJob,
  log: DataReference | undefined,
  failed: boolean,
): { readonly log?: DataReference } {
  const most = failed ? limits.logBytesPerJob : limits.logBytesPerJob * ofDoneShare;
  if (log === undefined || (job.logBytes ?? 0) + log.sizeBytes > most) return {};
  job.logBytes = (job.logBytes ?? 0) + log.sizeBytes;
  return { log };
}

/** Where the logs are of the attempts of a task that have ended. */
export function* logsOf({ committed, failures }: LedgerTask): IterableIterator<DataReference> {
  for (const { log } of failures) if (log !== undefined) yield log;
  if (committed?.log !== undefined) yield committed.log;
}
