import { type Allocation, type Assign, type InboxMessage, limits } from '../contract/index.ts';
import type { AgentEffect, AgentEvent, AgentState } from './agent.ts';
import { fits, memoryOf } from './agent-memory.ts';

/** What the agent does when the owner of the device, or the leader, gives more or less of it to what is held. */
export function followOwner(
  state: AgentState,
  { offer, stance, reason }: AgentEvent & { type: 'owner-limits' },
  effects: AgentEffect[],
): void {
  Object.assign(state, { offer, stance, reason });
  if (stance !== 'takes') {
    for (const [attempt, held] of [...state.held].reverse())
      if (stance === 'leaves' || !held.started) release(state, attempt, reason, effects);
  }
  // What the smaller offer has no room for, the newest first: what has run longest stays.
  const kept: number[] = [];
  let running = 0;
  for (const [attempt, held] of [...state.held]) {
    const isWanted = (held.assign.labels ?? []).some((label) => offer.onlyLabels?.includes(label));
    const inSlots = held.started !== true || running < offer.slots;
    const isInRoom = kept.length < offer.slots + offer.queue && inSlots && fits(kept, memoryOf(held), offer);
    if (isInRoom && (isWanted || offer.onlyLabels === undefined)) {
      kept.push(memoryOf(held));
      if (held.started === true) running += 1;
    } else release(state, attempt, 'its owner gives less of the device', effects);
  }
}

/** The newest that runs; when none does, nothing can be won. */
export function pressOut(state: AgentState, reason: string, effects: AgentEffect[]): void {
  const newest = [...state.held].filter(([, { started }]) => started === true).at(-1);
  if (newest !== undefined) release(state, newest[0], reason, effects);
}

/** It ends here, and no outcome is kept of it: should the word be lost, the next inventory says the same. */
export function release(state: AgentState, attempt: string, reason: string, effects: AgentEffect[]): void {
  state.held.delete(attempt);
  effects.push({ type: 'stop', attempt, reason }, { type: 'report', message: { type: 'released', attempt, reason } });
}

/**
 * Gives back what the leader wants elsewhere, unless it has started: then nothing of it is lost. What is not here, whatever became of
 * it, is given back too, so that the leader need not wait for an inventory.
 */
export function giveBack(
  state: AgentState,
  { attempt, reason }: InboxMessage & { type: 'reclaim' },
  effects: AgentEffect[],
): void {
  const outcome = state.outcomes.get(attempt);
  if (outcome !== undefined) effects.push({ type: 'report', message: outcome });
  else if (state.held.get(attempt)?.started === true)
    effects.push({ type: 'report', message: { type: 'started', attempt } });
  else release(state, attempt, reason, effects);
}

/** Why the owner does not let it run here, if so. */
export function ownersRefusal({ stance, reason, offer }: AgentState, { labels = [] }: Assign): string | undefined {
  if (stance !== 'takes') return reason;
  if (offer.onlyLabels === undefined || labels.some((label) => offer.onlyLabels!.includes(label))) return undefined;
  return `only tasks that ask for ${offer.onlyLabels.join(', ')}`.slice(0, limits.reasonCharacters);
}

/** Gives a running attempt what is asked for, if the offer has it; what is left out stays as it is. */
export function reallocate(
  state: AgentState,
  message: InboxMessage & { type: 'reallocate' },
  effects: AgentEffect[],
): void {
  const { attempt, request } = message;
  const fail = (code: string, text: string) =>
    effects.push({ type: 'report', message: { type: 'request-failed', request, problem: { code, message: text } } });
  const held = state.held.get(attempt);
  if (held?.phase !== 'engine' || held.started !== true) {
    fail('MESH_TASK_NOT_RUNNING', `${attempt} does not run on ${state.node}`);
    return;
  }
  const { cpuShare = 1, slots = 1, memoryBytes = memoryOf(held) } = { ...held.allocation, ...wantedOf(message) };
  const others = [...state.held.values()].filter((each) => each !== held && each.phase === 'engine');
  const most = held.assign.limits.memoryBytes * limits.memoryRaiseMost;
  if (memoryBytes > most) {
    fail('MESH_LIMIT_EXCEEDED', `memoryRaiseMost is ${limits.memoryRaiseMost}: ${most} bytes, not ${memoryBytes}`);
    return;
  }
  const signedBytes = held.assign.code.manifest?.limits.memoryBytes ?? memoryBytes;
  if (memoryBytes > signedBytes) {
    fail('MESH_CODE_LIMITS', `the manifest of its code allows ${signedBytes} bytes, not ${memoryBytes}`);
    return;
  }
  if (slots > state.offer.slots || !fits(others.map(memoryOf), memoryBytes, state.offer)) {
    const { node, offer } = state;
    fail('MESH_NODE_FULL', `${node} offers ${offer.slots} slots and ${offer.memoryBytes} bytes to all that runs there`);
    return;
  }
  held.allocation = { cpuShare, slots, memoryBytes };
  effects.push(
    { type: 'reallocate', attempt, allocation: held.allocation },
    { type: 'report', message: { type: 'reallocated', request, attempt, cpuShare, slots, memoryBytes } },
  );
}

function wantedOf({ cpuShare, slots, memoryBytes }: Allocation): Allocation {
  return {
    ...(cpuShare === undefined ? {} : { cpuShare }),
    ...(slots === undefined ? {} : { slots }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}
