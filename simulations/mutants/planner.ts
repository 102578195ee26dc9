import type { Mutant } from './mutant.ts';

/** Bugs of the leader. */
export const plannerMutants: readonly Mutant[] = [
  {
    name: 'use the number of an attempt again',
    file: 'planner/dispatch.ts',
    find: 'state.nextAttempt += 1;',
    replace: '',
  },
  {
    name: 'number attempts without the term',
    file: 'planner/dispatch.ts',
    find: '#${state.term}.${state.nextAttempt}',
    replace: '#1.${state.nextAttempt}',
  },
  {
    name: 'begin anew in spite of a checkpoint',
    file: 'planner/dispatch.ts',
    find: 'const resume = checkpoint?.state.blob === task.lostState ? undefined : checkpoint;',
    replace: 'const resume = undefined as typeof checkpoint;',
  },
  {
    name: 'go on for ever from a state that nobody can have',
    file: 'planner/reports.ts',
    find: "if (message.code === 'MESH_CHECKPOINT_LOST' &&",
    replace: "if (message.code === '' &&",
  },
  {
    name: 'assign before a node has said what it has',
    file: 'planner/dispatch.ts',
    find: 'if (!node.online || !node.confirmed) continue;',
    replace: 'if (!node.online) continue;',
  },
  {
    name: 'merge the parts in another order',
    file: 'planner/dispatch.ts',
    find: 'partsOf(stage).map((part) => part.output!)',
    replace: 'partsOf(stage).reverse().map((part) => part.output!)',
  },
  {
    name: 'promise more than a node offers',
    file: 'planner/dispatch.ts',
    find: 'return Math.min(queue, Math.floor(',
    replace: 'return Math.max(queue, Math.floor(',
  },
  {
    name: 'give a task away while its result is on the way into the log',
    file: 'planner/reports.ts',
    find: 'tell(task.story, `${message.attempt} done on ${from}`);',
    replace: 'task.committing = false;',
  },
  {
    name: 'never settle what comes late',
    file: 'planner/reports.ts',
    find: "if (task === undefined || task.state === 'done' || task.state === 'waiting' || counted) {",
    replace: "if (task === undefined) return;\n  if (task.state === 'done' || task.state === 'waiting' || counted) {",
  },
  {
    name: 'believe in an attempt that its node does not know',
    file: 'planner/reports.ts',
    find: 'if (!listed.has(attempt.key) && attempt.request < message.request && !attempt.task.committing) {',
    replace: "if (attempt.key === '') {",
  },
  {
    name: 'give up an attempt that has just been sent',
    file: 'planner/reports.ts',
    find: '&& attempt.request < message.request && !attempt.task.committing',
    replace: '&& !attempt.task.committing',
  },
  {
    name: 'refuse a job that is said twice',
    file: 'planner/step.ts',
    find: 'if (held !== specHash) return',
    replace: "if (held !== '') return",
  },
  {
    name: 'one retry less than promised',
    file: 'planner/jobs.ts',
    find: 'failures.length > task.stage.plan.retries',
    replace: 'failures.length >= task.stage.plan.retries',
  },
  {
    name: 'merge before every part is done',
    file: 'planner/jobs.ts',
    find: 'if (!last.merges || stage.openParts > 0) return;',
    replace: 'if (!last.merges) return;',
  },
  {
    name: 'forget under another leader what is not cut yet',
    file: 'planner/jobs.ts',
    find: 'if (ledger.rest !== undefined) effects.push(askForIndex(job, stage, ledger.source!));',
    replace: '',
  },
  {
    name: 'go on cutting from the beginning',
    file: 'planner/chunks.ts',
    find: 'const { firstRecord, start } = rest ?? {',
    replace: 'const { firstRecord, start } = {',
  },
  {
    name: 'copy without end',
    file: 'planner/copies.ts',
    find: 'at === node || task.attempts.size > 1) continue;',
    replace: 'at === node) continue;',
  },
  {
    name: 'go on with what was split anew',
    file: 'planner/jobs.ts',
    find: "for (const attempt of [...task.attempts]) stopAttempt(state, attempt, 'its records were split anew', effects);",
    replace: '',
  },
  {
    name: 'begin a stage before what it needs',
    file: 'planner/jobs.ts',
    find: 'if (!stage.plan.needs.every((need) => job.stages.get(need)!.done)) continue;',
    replace: '',
  },
  {
    name: 'stand in the queue twice',
    file: 'planner/tasks.ts',
    find: 'if (!task.queued) enqueue',
    replace: 'enqueue',
  },
  {
    name: 'say but once who leads',
    file: 'planner/step.ts',
    find: "if (watchNodes(state, effects)) effects.push({ type: 'announce', hint: hintOf(state) });",
    replace: 'watchNodes(state, effects);',
  },
  {
    name: 'say nothing of jobs that the leader before ended',
    file: 'planner/step.ts',
    find: 'else publishEnd(state, job, effects);',
    replace: '',
  },
  {
    name: 'take up no job of the leader before',
    file: 'planner/step.ts',
    find: "if (job.phase === 'running') openJob(state, job, effects);",
    replace: "if (job.phase === 'running') continue;",
  },
  {
    name: 'lose a task with its node',
    file: 'planner/tasks.ts',
    find: "else if (task.state === 'assigned' || task.state === 'running') makeReady(",
    replace: "else if (task.state === 'assigned') makeReady(",
  },
];
