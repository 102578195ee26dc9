import type {
  FirstRoom,
  InboxMessage,
  NodeForecast,
  Output,
  QueryAnswer,
  TaskInput,
} from '@foremesh/node-runtime/contract';
import type { LedgerCommand, PlannerEffect, PlannerState } from '@foremesh/node-runtime/core';

/** One line per effect. */
export function showEffect(effect: PlannerEffect): string {
  switch (effect.type) {
    case 'propose':
      return `propose ${effect.commands.map(showCommand).join('; ')}`;
    case 'send':
      return `-> ${effect.node}: ${showMessage(effect.message)}`;
    case 'announce':
      return `announce term=${effect.hint.term} seq=${effect.hint.seq}`;
    case 'publish-state': {
      const { job, phase, revision, stages, problem } = effect.state;
      const counts = stages.map((each) => {
        const reason = each.reason === undefined ? '' : ` (${each.reason})`;
        return `${each.stage} ${each.done}/${each.tasks} running=${each.running} at ${each.progress.toFixed(2)}${reason}`;
      });
      const number = revision === Number.MAX_SAFE_INTEGER ? 'last' : revision;
      return `state ${job} ${phase} rev=${number} [${counts.join(', ')}]${problem === undefined ? '' : ` ${problem.code}: ${problem.message}`}`;
    }
    case 'publish-result': {
      const { job, phase, outputs, problem, tasksByNode } = effect.result;
      const said = problem === undefined ? JSON.stringify(outputs) : `${problem.code}: ${problem.message}`;
      return `result ${job} ${phase} ${said} by ${JSON.stringify(tasksByNode)}`;
    }
    case 'clear-spec':
    case 'clear-job':
      return `${effect.type} ${effect.job}`;
    case 'clear-status':
      return `clear the status of ${effect.node}`;
    case 'publish-forecast':
      return showForecast(effect.forecast);
    case 'clear-forecast':
      return `clear the forecast of ${effect.node}`;
    case 'index':
      return `index ${effect.stage} of ${effect.job} by ${effect.by}: ${'inline' in effect.source ? showOutput(effect.source) : 'a blob'}`;
    case 'event':
      return `event ${effect.event.kind}: ${effect.event.text}`;
  }
}

/** The first and the last step of what is left to the mesh: 10 %, 50 %, 90 %. */
function showForecast({ node, resources, observedSteps }: NodeForecast): string {
  const shown = resources.flatMap(({ resource, available }) => {
    if (available === undefined) return [];
    const { q10, q50, q90 } = available;
    const at = (step: number) =>
      [q10, q50, q90].map((curve) => (resource === 'memory' ? mebibytes(curve.at(step)!) : curve.at(step))).join(' ');
    return [`${resource} ${at(0)} .. ${at(-1)}`];
  });
  return `forecast of ${node} from ${observedSteps} minutes: ${shown.join(', ')}`;
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)}M`;
}

export function showWhy(answer: QueryAnswer): string[] {
  if (answer.query !== 'why') return [JSON.stringify(answer)];
  const { task, reason, text, code, room, nodes } = answer.why;
  const seconds = (ms: number | undefined) => (ms === undefined ? 'beyond' : `${Math.round(ms / 1_000)}s`);
  const when = ({ earliestMs, afterMs, latestMs }: FirstRoom) => [afterMs, earliestMs, latestMs].map(seconds).join(' ');
  return [
    `${task} ${reason}${code === undefined ? '' : ` ${code}`}: ${text}`,
    ...(room === undefined ? [] : [`first room on ${room.node} in ${when(room)}`]),
    ...nodes.map(
      (each) => `${each.node} ${each.verdict}: ${each.text}${each.room ? `; room in ${when(each.room)}` : ''}`,
    ),
  ];
}

function showCommand(command: LedgerCommand): string {
  switch (command.type) {
    case 'enroll-node':
      return `enroll ${command.node} with ${command.publicKey}`;
    case 'remove-node':
      return `remove ${command.node}`;
    case 'certify-voters':
      return `certify voters of entry ${command.link.index}`;
    case 'accept-job':
      return `accept ${command.job} cut [${command.cuts.map((each) => each.stage).join(' ')}]`;
    case 'cut-stage': {
      const tasks = command.tasks.map(({ task, range }) =>
        range === undefined ? task : `${task}:${range.firstRecord}+${range.records}`,
      );
      const of = command.totalRecords === undefined ? '' : ` of ${command.totalRecords}`;
      return `cut ${command.stage} [${tasks.join(' ')}]${of}`;
    }
    case 'retire-task':
      return `retire ${command.task} into ${command.into.map(({ task, range }) => `${task}:${range?.firstRecord}+${range?.records}`).join(' ')}`;
    case 'commit-task':
      return `commit ${command.task} of ${command.attempt} by ${command.node}`;
    case 'fail-attempt':
      return `fail ${command.attempt} on ${command.node}: ${command.problem.code}`;
    case 'count-checkpoint':
      return `count checkpoint ${command.checkpoint.sequence} of ${command.attempt}`;
    case 'drop-checkpoint':
      return `drop the checkpoint of ${command.task}`;
    case 'begin-schedule':
      return `begin ${command.job} from ${command.fromMs}`;
    case 'start-occurrence':
      return `occurrence ${command.occurrenceMs} of ${command.job}${command.skip === undefined ? '' : `, left out: ${command.skip}`}`;
    case 'miss-deadline':
    case 'expire-job':
      return `${command.type} ${command.job}`;
    case 'promise-job':
      return `promise ${command.job} within ${command.promise.withinMs} ms (${command.promise.confidence})`;
    case 'end-job':
      return `end ${command.job} ${command.phase}: ${command.problem.code}: ${command.problem.message}`;
    case 'pass-time':
      return `${command.passedMs} ms have passed`;
    case 'keep-model':
      return `keep ${command.model} of ${command.kind}`;
    case 'set-quota':
      return `set quota of ${command.account}`;
    case 'set-voters':
      return `set voters ${command.settings.count ?? 'auto'}`;
  }
}

function showMessage(message: InboxMessage): string {
  switch (message.type) {
    case 'assign': {
      const from = message.resume === undefined ? '' : ` from checkpoint ${message.resume.sequence}`;
      return `assign ${message.attempt}${from} reads ${showInput(message.input)}, priority ${message.priority}`;
    }
    case 'cancel':
      return `cancel ${message.attempt} (${message.reason})`;
    case 'committed':
      return `committed ${message.attempts.join(' ')}`;
    case 'inventory-request':
      return `inventory? ${message.request}`;
    case 'refused':
      return `refused: ${message.problem.code}`;
    case 'history-request':
    case 'preferences-request':
    case 'trust-request':
    case 'reallocate':
      return `${message.type} ${message.request}`;
  }
}

function showInput(input: TaskInput): string {
  switch (input.kind) {
    case 'records':
      return `records ${input.firstRecord}+${input.records} at ${input.start}..${input.end}`;
    case 'parts':
      return `parts [${input.parts.map(showOutput).join(' ')}]`;
    case 'outputs':
      return Object.entries(input.needs)
        .map(([need, outputs]) => `${need}=[${[outputs].flat().map(showOutput).join(' ')}]`)
        .join(' ');
    default:
      return input.kind;
  }
}

function showOutput(output: Output): string {
  return 'inline' in output ? new TextDecoder().decode(output.inline) : 'a blob';
}

/** What the planner believes, a line per node and job. */
export function showPlanner(state: PlannerState): string[] {
  const nodes = [...state.nodes].map(([id, node]) => {
    const words = [
      node.online ? 'online' : 'lost',
      ...(node.confirmed ? ['confirmed'] : []),
      ...(node.owes ? ['owes'] : []),
    ];
    return `= node ${id} ${words.join(' ')} [${[...node.attempts].map((attempt) => attempt.key).join(' ')}]`;
  });
  const jobs = [...state.jobs].map(([key, job]) => {
    const stages = [...job.stages.values()].map(({ plan, phase }) => {
      const tasks = [...job.tasks.values()].filter((task) => task.stage.plan.stage === plan.stage);
      const shown = tasks.map((task) => {
        const marks = `${task.committing ? '*' : ''}${'!'.repeat(task.ledger.failures.length)}`;
        return `${task.ledger.task}:${task.state}${marks}`;
      });
      return `${plan.stage} ${phase} [${shown.join(' ')}]`;
    });
    return `= job ${key}${job.ending ? ' ending' : ''}: ${stages.join(', ')}`;
  });
  return [...nodes, ...jobs];
}
