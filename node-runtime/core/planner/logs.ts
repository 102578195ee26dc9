import type { LogRow, Problem } from '../../contract/index.ts';
import { findTask, type LedgerJob, type LedgerTask } from '../ledger.ts';

/** What was logged by the attempts that have ended, of all tasks or of one: in their order, the attempt that counts last. */
export function logRowsOf(job: LedgerJob, task: string | undefined): LogRow[] | Problem {
  if (task === undefined) return [...job.stages.values()].flatMap(({ tasks }) => tasks).flatMap(rowsOf);
  const found = findTask(job, task);
  if (found !== undefined) return rowsOf(found);
  const mend = `\`foremesh job ${job.job}\` lists them`;
  return { code: 'MESH_TASK_UNKNOWN', message: `job "${job.job}" has no task "${task}"`, mend };
}

function rowsOf({ task, failures, committed }: LedgerTask): LogRow[] {
  const rows: LogRow[] = [];
  for (const { node, attempt, log } of failures)
    if (log !== undefined) rows.push({ task, node, attempt, failed: true, log });
  if (committed?.log !== undefined) {
    const { node, attempt, log } = committed;
    rows.push({ task, node, attempt, failed: false, log });
  }
  return rows;
}
