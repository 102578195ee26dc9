import type { Allocation, Assign, InboxMessage, Outcome } from '@foremesh/node-runtime/contract';
import {
  type AgentEffect,
  type AgentEvent,
  type AgentOffer,
  type AgentState,
  createAgent,
  stepAgent,
  validateAgent,
} from '@foremesh/node-runtime/core';
import { code, json, usage } from '../../unit/core/samples.ts';
import { goldenFiles, Options, runGolden } from './golden.ts';

/**
 * Commands: new [slots= queue= memory= prefetch= prefetchBytes= only= term= outcomes=a,b],
 * inbox term= then messages: assign:<attempt>:[memory]:[priority]:[bytes]:[engine]:[label], cancel:<attempt>,
 * committed:<attempt>, inventory:<request>, reallocate:<attempt>:[cpu]:[slots]:[memory]; fetched, fetch-failed,
 * made, placed <attempt> sequence= (a checkpoint), started <attempt>, progressed <attempt> fraction=, ended <attempt> done|task|node|memory;
 * limits takes|finishes|leaves, with the offer as in `new`; pressed
 */
describe('golden: agent', () => {
  for (const file of goldenFiles('agent')) {
    it(file, () => {
      let agent = create(new Options([]));
      runGolden(file, (command, words, options) => {
        if (command === 'new') {
          agent = create(options);
          return [show(agent)];
        }
        const effects = stepAgent(agent, eventOf(command, words, options));
        validateAgent(agent);
        return [...effects.map(showEffect), show(agent)];
      });
    });
  }
});

function create(options: Options): AgentState {
  return createAgent('bob', offerOf(options), {
    term: options.number('term'),
    outcomes: options.list('outcomes').map((attempt) => outcome(attempt, 'done')),
  });
}

function offerOf(options: Options): AgentOffer {
  const only = options.list('only');
  return {
    engines: ['js'],
    slots: options.number('slots', 1),
    queue: options.number('queue', 1),
    memoryBytes: options.number('memory', 100),
    prefetchAttempts: options.number('prefetch', 1),
    prefetchBytes: options.number('prefetchBytes', 1_000),
    ...(only.length === 0 ? {} : { onlyLabels: only }),
  };
}

function outcome(attempt: string, how: string): Outcome {
  if (how === 'memory') return { ...outcome(attempt, 'task'), code: 'MESH_TASK_MEMORY' } as Outcome;
  if (how === 'done') return { type: 'done', attempt, usage, output: json(1) };
  return {
    type: 'failed',
    attempt,
    usage,
    fault: how === 'task' ? 'task' : 'node',
    code: 'MESH_TASK_THREW',
    message: 'boom',
  };
}

function message(text: string): InboxMessage {
  const [type, name, ...rest] = text.split(':') as [string, string, ...string[]];
  switch (type) {
    case 'assign':
      return assign(name, rest);
    case 'cancel':
      return { type, attempt: name, reason: 'not wanted' };
    case 'committed':
      return { type, attempts: [name] };
    case 'reallocate': {
      const [cpu, slots, memory] = rest.map(Number);
      const wanted = { ...(cpu && { cpuShare: cpu }), ...(slots && { slots }), ...(memory && { memoryBytes: memory }) };
      return { type, request: 7, attempt: name, ...wanted };
    }
    case 'inventory':
      return { type: 'inventory-request', request: Number(name) };
    default:
      throw new Error(`no message ${type}`);
  }
}

function assign(attempt: string, [memory, priority, bytes, engine, label]: string[]): Assign {
  const number = (text: string | undefined, otherwise: number) =>
    text === undefined || text === '' ? otherwise : Number(text);
  return {
    type: 'assign',
    attempt,
    account: 'me',
    job: 'j',
    stage: 's',
    task: 's-0',
    ...(label === undefined ? {} : { labels: [label] }),
    code: { ...code, ...(engine === undefined || engine === '' ? {} : { engine: engine as 'wasm' }) },
    input: { kind: 'whole', source: { blob: code.blob, sizeBytes: number(bytes, 10) } },
    limits: { memoryBytes: number(memory, 10), cpuMs: 1, wallMs: 1, outputBytes: 1 },
    inlineOutputBytes: 1,
    priority: number(priority, 5),
  };
}

function eventOf(command: string, words: string[], options: Options): AgentEvent {
  const attempt = words[0]!;
  switch (command) {
    case 'inbox':
      return { type: 'inbox', term: options.number('term', 1), messages: words.map(message) };
    case 'fetched':
    case 'started':
      return { type: command, attempt };
    case 'fetch-failed':
      return { type: command, attempt, problem: { code: 'MESH_BLOB_MISSING', message: 'no holder has it' } };
    case 'made':
    case 'placed':
      return {
        type: `checkpoint-${command}`,
        attempt,
        checkpoint: { sequence: options.number('sequence', 1), state: { blob: code.blob, sizeBytes: 10 } },
      };
    case 'progressed':
      return { type: command, attempt, fraction: options.number('fraction') };
    case 'ended':
      return { type: command, outcome: outcome(attempt, words[1]!) };
    case 'limits':
      return {
        type: 'owner-limits',
        offer: offerOf(options),
        stance: words[0] as 'takes',
        reason: 'the owner said so',
      };
    case 'pressed':
      return { type: 'pressed', reason: 'memory' };
    default:
      throw new Error(`no command ${command}`);
  }
}

function showEffect(effect: AgentEffect): string {
  switch (effect.type) {
    case 'persist-term':
      return `persist-term ${effect.term}`;
    case 'fetch':
    case 'run':
      return `${effect.type} ${effect.assign.attempt}`;
    case 'place-checkpoint':
      return `place-checkpoint ${effect.checkpoint.sequence} of ${effect.attempt}`;
    case 'stop':
      return `stop ${effect.attempt} (${effect.reason})`;
    case 'keep-outcome':
      return `keep-outcome ${effect.outcome.attempt} ${effect.outcome.type}`;
    case 'forget-outcomes':
      return `forget-outcomes ${effect.attempts.join(' ')}`;
    case 'reallocate':
      return `reallocate ${effect.attempt} ${showAllocation(effect.allocation)}`;
    case 'report': {
      const { message: said } = effect;
      if (said.type === 'inventory') return `report inventory request=${said.request} [${said.attempts.join(' ')}]`;
      if (said.type === 'failed') return `report failed ${said.attempt} ${said.fault} ${said.code}: ${said.message}`;
      if (said.type === 'released') return `report released ${said.attempt} (${said.reason})`;
      if (said.type === 'request-failed') return `report request-failed ${said.request} ${said.problem.code}`;
      if (said.type === 'history' || said.type === 'preferences' || said.type === 'trusted')
        throw new Error(`an agent tells no ${said.type}`);
      if (said.type === 'checkpointed') return `report checkpointed ${said.attempt} ${said.checkpoint.sequence}`;
      return `report ${said.type} ${said.attempt}${said.type === 'progress' ? ` ${said.fraction}` : ''}`;
    }
  }
}

function showAllocation({ cpuShare, slots, memoryBytes }: Allocation): string {
  return `cpu=${cpuShare} slots=${slots} memory=${memoryBytes}`;
}

function show(agent: AgentState): string {
  const held = [...agent.held].map(([attempt, { phase }]) => `${attempt}:${phase}`);
  return `= term=${agent.term} held=[${held.join(' ')}] outcomes=[${[...agent.outcomes.keys()].join(' ')}]`;
}
