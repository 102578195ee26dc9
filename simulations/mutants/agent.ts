import type { Mutant } from './mutant.ts';

const file = 'agent.ts';

/** Bugs of a node. */
export const agentMutants: readonly Mutant[] = [
  {
    name: 'do not keep an outcome',
    file,
    find: "effects.push({ type: 'keep-outcome', outcome }, { type: 'report', message: outcome });",
    replace: "effects.push({ type: 'report', message: outcome });",
  },
  {
    name: 'report an outcome before it is kept',
    file,
    find: "effects.push({ type: 'keep-outcome', outcome }, { type: 'report', message: outcome });",
    replace: "effects.push({ type: 'report', message: outcome }, { type: 'keep-outcome', outcome });",
  },
  {
    name: 'take the same assignment twice',
    file,
    find: 'if (state.held.has(attempt)) return; // the same assignment twice',
    replace: '',
  },
  {
    name: 'run again what has ended',
    file,
    find: 'const outcome = state.outcomes.get(attempt);',
    replace: 'const outcome = undefined as Outcome | undefined;',
  },
  {
    name: 'run what does not fit the memory',
    file: 'agent-memory.ts',
    find: 'return largest.reduce((sum, each) => sum + each, 0) <= offer.memoryBytes;',
    replace: 'return largest.length > 0;',
  },
  {
    name: 'never forget an outcome',
    file,
    find: 'const known = message.attempts.filter((attempt) => state.outcomes.delete(attempt));',
    replace: 'const known = message.attempts.filter((attempt) => state.outcomes.has(attempt));',
  },
  {
    name: 'an inventory without outcomes',
    file,
    find: "for (const outcome of state.outcomes.values()) effects.push({ type: 'report', message: outcome });",
    replace: '',
  },
  {
    name: 'an inventory without attempts',
    file,
    find: 'attempts: [...state.held.keys()]',
    replace: 'attempts: []',
  },
  {
    name: 'forget at a restart what has ended',
    file,
    find: 'outcomes: new Map(restored.outcomes.map((outcome) => [outcome.attempt, outcome])),',
    replace: 'outcomes: new Map(),',
  },
  {
    name: 'count an undurable checkpoint',
    file,
    find: "if (state.held.has(attempt)) effects.push({ type: 'place-checkpoint', attempt, checkpoint });",
    replace:
      "if (state.held.has(attempt)) effects.push({ type: 'place-checkpoint', attempt, checkpoint }, { type: 'report', message: { type: 'checkpointed', attempt, checkpoint } });",
  },
  {
    name: 'let run on what is cancelled',
    file,
    find: 'if (state.held.delete(message.attempt)) effects.push(',
    replace: 'if (!state.held.delete(message.attempt)) effects.push(',
  },
];
