import { type Ledger, type LedgerCommand, partName, partsOf } from '@foremesh/node-runtime/core';
import type { Chance } from '../engine/chance.ts';

/** What another leader might have proposed in its place. */
export function rivalOf(command: LedgerCommand): LedgerCommand | undefined {
  switch (command.type) {
    case 'commit-task':
    case 'fail-attempt':
      return command.type === 'fail-attempt' ? command : { ...command, attempt: `${command.attempt}9` };
    case 'cut-stage':
      return { ...command, tasks: command.tasks.slice(0, 1).map(({ task }) => ({ task })) };
    case 'accept-job':
      return { ...command, specHash: 'another' };
    case 'end-job':
      return { ...command, phase: command.phase === 'failed' ? 'cancelled' : 'failed' };
    case 'enroll-node':
      return { ...command, publicKey: 'A'.repeat(43) };
    case 'count-checkpoint':
      return { ...command, checkpoint: { ...command.checkpoint, sequence: 1 } };
    case 'start-occurrence':
      // An earlier one, as of a leader that does not know of the last.
      return { ...command, occurrenceMs: command.occurrenceMs - 1_000 };
    case 'certify-voters':
    case 'retire-task':
    case 'drop-checkpoint':
    case 'begin-schedule':
    case 'miss-deadline':
    case 'expire-job':
      return command;
    case 'promise-job':
      return { ...command, promise: { ...command.promise, withinMs: command.promise.withinMs + 1 } };
    case 'remove-node':
    case 'set-voters':
    case 'keep-model':
    case 'set-quota':
    case 'pass-time':
      return undefined;
  }
}

/** What another leader might propose of a stage: to split a task anew, be it done, or to cut the same records once more. Undefined: there is none. */
export function rivalCutOf(ledger: Ledger, chance: Chance): LedgerCommand | undefined {
  const running = [...ledger.jobs.values()].filter(({ phase }) => phase === 'running');
  const ranged = running.flatMap((job) =>
    [...job.stages.values()].flatMap((stage) =>
      partsOf(stage).flatMap(({ task, range }) => (range === undefined ? [] : { job, stage, task, range })),
    ),
  );
  const large = ranged.filter(({ range }) => range.records > 1);
  const splits = large.length > 0 && chance.percent(60);
  if (ranged.length === 0) return undefined;
  const { job, stage, task, range } = chance.pick(splits ? large : ranged);
  const { start, end, firstRecord, records } = range;
  const next = stage.tasks.filter(({ merges }) => !merges).length;
  const piece = (number: number, from: number, to: number) => {
    const byte = (record: number) => start + ((end - start) / records) * record;
    const of = { start: byte(from), end: byte(to), firstRecord: firstRecord + from, records: to - from };
    return { task: partName(stage.stage, next + number), range: of };
  };
  const head = { account: job.account, job: job.job, atMs: 0 };
  if (splits) {
    const middle = chance.between(1, records - 1);
    return { type: 'retire-task', ...head, task, into: [piece(0, 0, middle), piece(1, middle, records)] };
  }
  const { totalRecords } = stage.rest ?? {};
  const of = totalRecords === undefined ? {} : { totalRecords };
  return { type: 'cut-stage', ...head, stage: stage.stage, ...of, tasks: [piece(0, 0, records)] };
}

export function describeCommand(command: LedgerCommand): string {
  switch (command.type) {
    case 'commit-task':
    case 'fail-attempt':
      return `${command.type} ${command.attempt} of ${command.node}`;
    case 'count-checkpoint':
      return `count-checkpoint ${command.checkpoint.sequence} of ${command.attempt}`;
    case 'drop-checkpoint':
      return `drop-checkpoint of ${command.job}/${command.task}`;
    case 'cut-stage':
      return `cut-stage ${command.job}/${command.stage} into ${command.tasks.length}`;
    case 'retire-task':
      return `retire-task ${command.job}/${command.task} into ${command.into.map(({ task }) => task).join(' ')}`;
    case 'accept-job':
      return `accept-job ${command.job}`;
    case 'end-job':
      return `end-job ${command.job} ${command.phase}: ${command.problem.message}`;
    case 'start-occurrence':
      return `start-occurrence ${command.occurrenceMs} of ${command.job}${command.skip === undefined ? '' : `, not: ${command.skip}`}`;
    case 'begin-schedule':
      return `begin-schedule ${command.job} from ${command.fromMs}`;
    case 'miss-deadline':
    case 'expire-job':
      return `${command.type} ${command.job}`;
    case 'promise-job':
      return `promise-job ${command.job} within ${command.promise.withinMs}`;
    case 'enroll-node':
      return `enroll-node ${command.node} with ${command.publicKey}`;
    case 'remove-node':
      return `remove-node ${command.node}`;
    case 'certify-voters':
      return `certify-voters ${command.link.voters.map((voter) => voter.node).join(' ')} of ${command.link.index}`;
    case 'pass-time':
      return `pass-time ${command.passedMs}`;
    case 'keep-model':
      return `keep-model ${command.model} of ${command.kind}`;
    case 'set-quota':
      return `set-quota ${command.account} ${JSON.stringify(command.change)}`;
    case 'set-voters':
      return `set-voters ${command.settings.count ?? 'auto'}`;
  }
}
