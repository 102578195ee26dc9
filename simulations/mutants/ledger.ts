import type { Mutant } from './mutant.ts';

const file = 'ledger.ts';
const cuts = 'ledger-cuts.ts';

/** Bugs of what the mesh has promised. */
export const ledgerMutants: readonly Mutant[] = [
  {
    name: 'the last result wins',
    file,
    find: "if (task.committed !== undefined) return 'the task is done';",
    replace: '',
  },
  {
    name: 'commit two cuts of one stage',
    file: cuts,
    find: "if (cut && rest === undefined) return 'the stage is cut already';",
    replace: '',
  },
  {
    name: 'cut the same records once more',
    file: cuts,
    find: 'if (range.firstRecord !== at.record || (at.byte !== undefined && range.start !== at.byte))',
    replace: "if (task === '')",
  },
  {
    name: 'commit what was split anew',
    file,
    find: "if (task.replacedBy !== undefined) return 'its records are in other tasks now';",
    replace: '',
  },
  {
    name: 'split anew what is done',
    file,
    find: "const fault = findOutcomeFault(job, task); if (task === undefined || fault !== undefined) return [{ type: 'dropped', command, reason: fault ?? 'no such task' }]; if (command.type === 'retire-task')",
    replace:
      "const fault = command.type === 'retire-task' && task !== undefined ? undefined : findOutcomeFault(job, task); if (task === undefined || fault !== undefined) return [{ type: 'dropped', command, reason: fault ?? 'no such task' }]; if (command.type === 'retire-task')",
  },
  {
    name: 'merge before all is cut',
    file: cuts,
    find: 'else if (stagePlanOf(job, stage.stage).merge !== undefined)',
    replace: 'if (stagePlanOf(job, stage.stage).merge !== undefined && !stage.tasks.some(({ merges }) => merges))',
  },
  {
    name: 'split anew and lose the last records',
    file: cuts,
    find: 'const added = command.into.map((each) => newTask(stage.stage, each));',
    replace: 'const added = command.into.slice(0, -1).map((each) => newTask(stage.stage, each));',
  },
  {
    name: 'name the parts of a merge in the order of their names',
    file: cuts,
    find: 'return parts.sort((a, b) => (a.range?.firstRecord ?? 0) - (b.range?.firstRecord ?? 0));',
    replace: 'return parts;',
  },
  {
    name: 'count the merge as a part',
    file,
    find: 'if (!task.merges) stage.openParts -= 1;',
    replace: 'stage.openParts -= 1;',
  },
  {
    name: 'a stage is done without its merge',
    file: cuts,
    find: 'return isWhole(stage) && stage.openParts === 0 && (last === undefined || last.committed !== undefined);',
    replace: 'return isWhole(stage) && stage.openParts === 0;',
  },
  {
    name: 'a job is done with its first stage',
    file,
    find: 'if (stage.done && [...job.stages.values()].every((each) => each.done)) {',
    replace: 'if (stage.done) {',
  },
  {
    name: 'drop the result with the outputs between',
    file,
    find: "if (!sink || job.phase !== 'done' || task !== tasks.at(-1)) delete task.output;",
    replace: 'delete task.output;',
  },
  {
    name: 'forget in a snapshot which jobs have ended',
    file: 'ledger-snapshot.ts',
    find: '    ended: ledger.ended,',
    replace: '    ended: [],',
  },
  {
    name: 'lose a job in a snapshot',
    file: 'ledger-snapshot.ts',
    find: 'jobs: [...ledger.jobs.values()].map((job) => ({ ...job,',
    replace: "jobs: [...ledger.jobs.values()].filter((job) => job.phase !== 'running').map((job) => ({ ...job,",
  },
  {
    name: 'an earlier checkpoint counts after a later one',
    file: 'ledger-checkpoints.ts',
    find: "if (checkpoint.sequence <= (task.checkpoint?.sequence ?? 0)) return dropped('a later one counts');",
    replace: '',
  },
  {
    name: 'a lost checkpoint goes on counting',
    file: 'ledger-checkpoints.ts',
    find: 'delete task.checkpoint;',
    replace: '',
  },
  {
    name: 'begin again where an attempt went wrong',
    file,
    find: 'delete task.checkpoint; // the next attempt',
    replace: '// the next attempt',
  },
  {
    name: 'keep the checkpoint of what is done',
    file,
    find: 'task.output = command.output; delete task.checkpoint;',
    replace: 'task.output = command.output;',
  },
  {
    name: 'learn again from an outcome that comes too late',
    file,
    find: "'commit-task' }, ): LedgerEvent[] { const task = findTask(job, command.task);",
    replace:
      "'commit-task' }, ): LedgerEvent[] { const task = findTask(job, command.task); if (task?.committed !== undefined) learn(ledger, job, task, command);",
  },
  {
    name: 'forget in a snapshot what tasks took',
    file: 'ledger-snapshot.ts',
    find: 'profiles: [...ledger.profiles.values()],',
    replace: 'profiles: [],',
  },
];
