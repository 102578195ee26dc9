import type { JobPlan, StagePlan } from './job-plan.ts';
import type { LedgerJob, LedgerStage, LedgerTask } from './ledger.ts';
import type { Cut, CutTask, JobCommand, LedgerEvent } from './ledger-commands.ts';

/** Where a task's records begin, and the ranges of those that follow it. */
interface Place {
  readonly record: number;
  /** Unknown ahead of the first range of an input. */
  readonly byte?: number;
}

export function stagePlanOf({ plan }: { readonly plan: JobPlan }, stage: string): StagePlan {
  return plan.stages.find((each) => each.stage === stage)!;
}

/** The name of part `number` of a stage, and of the task that merges its parts. */
export function partName(stage: string, number: number): string {
  return `${stage}-${number}`;
}
export function mergeName(stage: string): string {
  return `${stage}-merge`;
}

/** How many parts the stage has had, those that were re-split included: the number of the next one. */
export function partsNamed({ tasks }: LedgerStage): number {
  return tasks.length - (tasks.at(-1)?.merges === true ? 1 : 0);
}

/** The tasks that together have what is cut of the stage, each record once, in record order; the merge is none of them. */
export function partsOf({ tasks }: LedgerStage): LedgerTask[] {
  const parts = tasks.filter((task) => !task.merges && task.replacedBy === undefined);
  // Those that took the place of another were named later; without ranges the order of the names is the order.
  return parts.sort((a, b) => (a.range?.firstRecord ?? 0) - (b.range?.firstRecord ?? 0));
}

/** Whether every record is in a task: before that nothing is merged. */
export function isWhole({ cut, rest }: LedgerStage): boolean {
  return cut && rest === undefined;
}

/** Whether every task that the stage will ever have is done. */
export function isDone(stage: LedgerStage): boolean {
  const last = stage.tasks.at(-1);
  return isWhole(stage) && stage.openParts === 0 && (last === undefined || last.committed !== undefined);
}

export function applyCut(job: LedgerJob, key: string, command: JobCommand & { type: 'cut-stage' }): LedgerEvent {
  const stage = job.schedule === undefined ? job.stages.get(command.stage) : undefined;
  const fault = stage === undefined ? 'no such stage' : findCutFault(stage, command);
  if (stage === undefined || fault !== undefined) return { type: 'dropped', command, reason: fault! };
  const tasks = cutStage(job, stage, command).map(({ task }) => task);
  return { type: 'stage-cut', key, stage: stage.stage, tasks, stageDone: stage.done };
}

/** Returns the tasks that are new, the merge, which comes with the last records, among them. */
export function cutStage(job: LedgerJob, stage: LedgerStage, { source, totalRecords, tasks }: Cut): LedgerTask[] {
  stage.cut = true;
  if (source !== undefined) stage.source = source;
  stage.openParts += tasks.length;
  const added = tasks.map((each) => newTask(stage.stage, each));
  const last = tasks.at(-1)?.range;
  const next = last === undefined ? 0 : last.firstRecord + last.records;
  delete stage.rest;
  if (last !== undefined && totalRecords !== undefined && next < totalRecords)
    stage.rest = { firstRecord: next, start: last.end, totalRecords };
  else if (stagePlanOf(job, stage.stage).merge !== undefined)
    added.push({ task: mergeName(stage.stage), stage: stage.stage, merges: true, failures: [] });
  stage.tasks.push(...added);
  // Nothing to read and nothing to merge: the stage has no task and is done with an empty list of outputs.
  stage.done = isDone(stage);
  return added;
}

/** Whatever a second leader proposes, no record is in two tasks: a cut goes on exactly where the one before it ended. */
export function findCutFault(stage: LedgerStage, { tasks, totalRecords }: Cut): string | undefined {
  const { cut, rest } = stage;
  if (cut && rest === undefined) return 'the stage is cut already';
  if (rest !== undefined && rest.totalRecords !== totalRecords) return 'it is of another number of records';
  const from: Place = rest === undefined ? { record: 0 } : { record: rest.firstRecord, byte: rest.start };
  const end = findRangesFault(stage, tasks, from);
  if (typeof end === 'string' || totalRecords === undefined) return typeof end === 'string' ? end : undefined;
  if (end.record > totalRecords) return `the stage has but ${totalRecords} records`;
  return tasks.length === 0 && end.record < totalRecords ? 'it cuts nothing' : undefined;
}

/** An open task makes room for others with exactly its records: for what went on of it nobody asks any more. */
export function retireTask(
  job: LedgerJob,
  key: string,
  task: LedgerTask,
  command: JobCommand & { type: 'retire-task' },
): LedgerEvent {
  const stage = job.stages.get(task.stage)!;
  const fault = findRetirementFault(stage, task, command.into);
  if (fault !== undefined) return { type: 'dropped', command, reason: fault };
  const added = command.into.map((each) => newTask(stage.stage, each));
  stage.tasks.splice(partsNamed(stage), 0, ...added);
  stage.openParts += added.length - 1;
  task.replacedBy = added.map((each) => each.task);
  delete task.checkpoint;
  return { type: 'task-retired', key, stage: stage.stage, task: task.task, into: task.replacedBy };
}

function findRetirementFault(
  stage: LedgerStage,
  { merges, range }: LedgerTask,
  into: readonly CutTask[],
): string | undefined {
  if (merges || range === undefined) return 'it has no records of its own';
  if (into.length < 2) return 'it would stay whole';
  const end = findRangesFault(stage, into, { record: range.firstRecord, byte: range.start });
  if (typeof end === 'string') return end;
  const isExact = end.record === range.firstRecord + range.records && end.byte === range.end;
  return isExact ? undefined : 'they are other records';
}

/** Names must be the next numbers, and ranges follow each other without a gap or an overlap; else where they end. */
function findRangesFault(stage: LedgerStage, tasks: readonly CutTask[], from: Place): string | Place {
  const first = partsNamed(stage);
  const goesOn = from.byte !== undefined;
  let at = from;
  for (const [index, { task, range }] of tasks.entries()) {
    if (task !== partName(stage.stage, first + index)) return `task ${first + index} is called ${task}`;
    if (range === undefined && goesOn) return `task ${task} has no records`;
    if (range === undefined) continue;
    if (range.firstRecord !== at.record || (at.byte !== undefined && range.start !== at.byte))
      return `record ${at.record} is skipped or cut twice`;
    if (goesOn && range.records < 1) return `task ${task} has no records`;
    at = { record: range.firstRecord + range.records, byte: range.end };
  }
  return at;
}

function newTask(stage: string, { task, range }: CutTask): LedgerTask {
  return { task, stage, merges: false, failures: [], ...(range === undefined ? {} : { range }) };
}
