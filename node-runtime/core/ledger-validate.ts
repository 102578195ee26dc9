import { limits } from '../contract/index.ts';
import type { Ledger, LedgerJob, LedgerStage } from './ledger.ts';
import { isWhole, partsOf } from './ledger-cuts.ts';
import { logsOf } from './ledger-logs.ts';
import { findMembersFault } from './ledger-members.ts';
import { findModelsFault } from './ledger-models.ts';
import { findProfilesFault } from './ledger-profiles.ts';
import { tasksOf } from './ledger-retention.ts';
import { findScheduleFault } from './ledger-schedules.ts';

/** Throws when the ledger contradicts itself (I4 and the shape of a job). For tests and simulation. */
export function validateLedger(ledger: Ledger): void {
  const endedTasks = ledger.ended.reduce((sum, key) => sum + tasksOf(ledger.jobs.get(key)!), 0);
  if (endedTasks !== ledger.endedTasks)
    throw new Error(`ledger: counts ${ledger.endedTasks} tasks of ended jobs, has ${endedTasks}`);
  const generalFault =
    findMembersFault(ledger) ?? findProfilesFault(ledger.profiles, ledger.learnedTasks) ?? findModelsFault(ledger);
  if (generalFault !== undefined) throw new Error(`ledger: ${generalFault}`);
  for (const [key, job] of ledger.jobs) {
    const fault =
      findFault(job) ??
      findScheduleFault(job) ??
      (ledger.ended.includes(key) === (job.phase !== 'running') ? undefined : 'ended list is wrong');
    if (fault !== undefined) throw new Error(`ledger: job ${key}: ${fault}`);
  }
}

function findFault(job: LedgerJob): string | undefined {
  let logBytes = 0;
  for (const stage of job.stages.values()) {
    const parts = partsOf(stage);
    const open = parts.filter((task) => task.committed === undefined).length;
    if (open !== stage.openParts) return `stage ${stage.stage} counts ${stage.openParts} open parts, has ${open}`;
    const isOpen = stage.tasks.some((task) => task.committed === undefined && task.replacedBy === undefined);
    if (stage.done !== (isWhole(stage) && !isOpen)) return `stage ${stage.stage}: done is wrong`;
    for (const task of stage.tasks) for (const { sizeBytes } of logsOf(task)) logBytes += sizeBytes;
    const cutsFault = findCutsFault(stage);
    if (cutsFault !== undefined) return `stage ${stage.stage}: ${cutsFault}`;
    const merge = stage.tasks.find((task) => task.merges);
    if (merge?.committed !== undefined && (open > 0 || !isWhole(stage)))
      return `stage ${stage.stage} was merged before its parts were done`;
  }
  const kept = [...job.stages.values()].flatMap((stage) => stage.tasks).find((task) => task.checkpoint !== undefined);
  if (kept !== undefined && (kept.committed !== undefined || kept.replacedBy !== undefined || job.phase !== 'running'))
    return `task ${kept.task} is over and has a checkpoint`;
  if (logBytes !== (job.logBytes ?? 0) || logBytes > limits.logBytesPerJob)
    return `counts ${job.logBytes} bytes of logs, has ${logBytes}`;
  if (job.phase === 'done' && ![...job.stages.values()].every((stage) => stage.done)) return 'done with open stages';
  return undefined;
}

/** Every record that is cut is in one task, and no task of which the records went to others is done. */
function findCutsFault(stage: LedgerStage): string | undefined {
  let nextRecord = 0;
  for (const { task, range } of partsOf(stage)) {
    if (range === undefined) continue;
    if (range.firstRecord !== nextRecord)
      return `task ${task} begins at record ${range.firstRecord}, not ${nextRecord}`;
    nextRecord += range.records;
  }
  const { rest, tasks } = stage;
  if (rest !== undefined && (rest.firstRecord !== nextRecord || nextRecord >= rest.totalRecords))
    return `${nextRecord} of ${rest.totalRecords} records are cut, it goes on with ${rest.firstRecord}`;
  if (rest !== undefined && tasks.some(({ merges }) => merges)) return 'it is merged before it is whole';
  const both = tasks.find(({ committed, replacedBy }) => committed !== undefined && replacedBy !== undefined);
  return both === undefined ? undefined : `task ${both.task} is done, and its records are in other tasks`;
}
