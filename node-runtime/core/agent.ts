import {
  type Allocation,
  type Assign,
  type Checkpoint,
  type InboxMessage,
  limits,
  type OutboxMessage,
  type Outcome,
  type Problem,
} from '../contract/index.ts';
import { fits, memoryOf } from './agent-memory.ts';
import { followOwner, giveBack, ownersRefusal, pressOut, reallocate, release } from './agent-owner.ts';
import type { Stance } from './owner/index.ts';

/**
 * What a node does with what the leader sends: takes attempts within its offer, fetches what they read, hands them to an
 * engine, keeps every outcome until the log has it. Pure: the driver fetches, runs, persists, publishes.
 */
export interface AgentState {
  readonly node: string;
  /** The highest term seen: durable, never lowered (the fence, I2). */
  term: number;
  offer: AgentOffer;
  /** What its owner lets it do now, and why. */
  stance: Stance;
  reason: string;
  /** Accepted and not ended, in the order of arrival. */
  readonly held: Map<string, HeldAttempt>;
  /** Ended and not known to be in the log. */
  readonly outcomes: Map<string, Outcome>;
}

export interface AgentOffer {
  readonly engines: readonly string[];
  readonly slots: number;
  readonly queue: number;
  readonly memoryBytes: number;
  /** Attempts, beyond the slots, whose inputs may be in memory so that a slot never waits for a fetch. */
  readonly prefetchAttempts: number;
  /** Bytes of input that may be in memory beyond one attempt per slot. */
  readonly prefetchBytes: number;
  /** Its owner takes only tasks that ask for one of these labels. */
  readonly onlyLabels?: readonly string[];
}

export interface HeldAttempt {
  readonly assign: Assign;
  /** `engine`: handed to the engine's pool, which runs `slots` of them at once. */
  phase: 'queued' | 'fetching' | 'fetched' | 'engine';
  readonly inputBytes: number;
  /** Its code runs. */
  started?: boolean;
  /** What the leader gave it since it was assigned. */
  allocation?: Allocation;
}

export type AgentEvent =
  | { readonly type: 'inbox'; readonly term: number; readonly messages: readonly InboxMessage[] }
  | { readonly type: 'fetched'; readonly attempt: string }
  | { readonly type: 'fetch-failed'; readonly attempt: string; readonly problem: Problem }
  | { readonly type: 'started'; readonly attempt: string }
  | { readonly type: 'progressed'; readonly attempt: string; readonly fraction: number }
  /** The engine has the attempt's state, on this machine alone. */
  | { readonly type: 'checkpoint-made'; readonly attempt: string; readonly checkpoint: Checkpoint }
  | { readonly type: 'checkpoint-placed'; readonly attempt: string; readonly checkpoint: Checkpoint }
  | { readonly type: 'ended'; readonly outcome: Outcome }
  /** The owner wants to give more or less, or a limit of the owner's is passed, or not any more. */
  | { readonly type: 'owner-limits'; readonly offer: AgentOffer; readonly stance: Stance; readonly reason: string }
  /** Its owner does not let these run here any more. */
  | { readonly type: 'forbidden'; readonly attempts: readonly string[]; readonly reason: string }
  /** The device needs room: the newest that runs must go. */
  | { readonly type: 'pressed'; readonly reason: string };

export type AgentEffect =
  /** Must be fsynced before any later effect is carried out. */
  | { readonly type: 'persist-term'; readonly term: number }
  /** Load code and input. Answer: `fetched` or `fetch-failed`. */
  | { readonly type: 'fetch'; readonly assign: Assign }
  | { readonly type: 'run'; readonly assign: Assign }
  /** Stop fetching or running it; nothing is reported. */
  | { readonly type: 'stop'; readonly attempt: string; readonly reason: string }
  /** Put the state in a holder. Answer, once it is durable there: `checkpoint-placed`; none when that fails. */
  | { readonly type: 'place-checkpoint'; readonly attempt: string; readonly checkpoint: Checkpoint }
  /** Must be on disk before the report that follows it. */
  | { readonly type: 'keep-outcome'; readonly outcome: Outcome }
  | { readonly type: 'forget-outcomes'; readonly attempts: readonly string[] }
  | { readonly type: 'report'; readonly message: OutboxMessage }
  /** Give a running attempt this, instead of what it had. */
  | { readonly type: 'reallocate'; readonly attempt: string; readonly allocation: Allocation };

export function createAgent(
  node: string,
  offer: AgentOffer,
  restored: { readonly term: number; readonly outcomes: readonly Outcome[] },
): AgentState {
  return {
    node,
    term: restored.term,
    offer,
    stance: 'takes',
    reason: '',
    held: new Map(),
    outcomes: new Map(restored.outcomes.map((outcome) => [outcome.attempt, outcome])),
  };
}

export function stepAgent(state: AgentState, event: AgentEvent): AgentEffect[] {
  const effects: AgentEffect[] = [];
  switch (event.type) {
    case 'inbox':
      if (event.term < state.term) return []; // a leader of the past
      if (event.term > state.term) {
        state.term = event.term;
        effects.push({ type: 'persist-term', term: event.term });
      }
      for (const message of event.messages) obey(state, message, effects);
      break;
    case 'fetched': {
      const held = state.held.get(event.attempt);
      if (held?.phase === 'fetching') held.phase = 'fetched';
      break;
    }
    case 'fetch-failed':
      if (state.held.has(event.attempt)) end(state, nodeFault(event.attempt, event.problem), effects);
      break;
    case 'started': {
      const held = state.held.get(event.attempt);
      if (held === undefined) break;
      held.started = true;
      effects.push({ type: 'report', message: { type: 'started', attempt: event.attempt } });
      break;
    }
    case 'progressed':
      if (state.held.has(event.attempt)) {
        effects.push({
          type: 'report',
          message: { type: 'progress', attempt: event.attempt, fraction: event.fraction },
        });
      }
      break;
    case 'checkpoint-made': {
      const { attempt, checkpoint } = event;
      if (state.held.has(attempt)) effects.push({ type: 'place-checkpoint', attempt, checkpoint });
      break;
    }
    case 'checkpoint-placed': {
      const { attempt, checkpoint } = event;
      if (state.held.has(attempt))
        effects.push({ type: 'report', message: { type: 'checkpointed', attempt, checkpoint } });
      break;
    }
    case 'ended':
      // A cancelled attempt may end all the same: nobody waits for it.
      if (state.held.has(event.outcome.attempt)) end(state, event.outcome, effects);
      break;
    case 'owner-limits':
      followOwner(state, event, effects);
      break;
    case 'forbidden':
      for (const attempt of event.attempts) if (state.held.has(attempt)) release(state, attempt, event.reason, effects);
      break;
    case 'pressed':
      pressOut(state, event.reason, effects);
  }
  pump(state, effects);
  return effects;
}

function obey(state: AgentState, message: InboxMessage, effects: AgentEffect[]): void {
  switch (message.type) {
    case 'assign':
      take(state, message, effects);
      return;
    case 'cancel':
      if (state.held.delete(message.attempt))
        effects.push({ type: 'stop', attempt: message.attempt, reason: message.reason });
      return;
    case 'reclaim':
      giveBack(state, message, effects);
      return;
    case 'reallocate':
      reallocate(state, message, effects);
      return;
    case 'committed': {
      const known = message.attempts.filter((attempt) => state.outcomes.delete(attempt));
      if (known.length > 0) effects.push({ type: 'forget-outcomes', attempts: known });
      return;
    }
    case 'inventory-request':
      for (const outcome of state.outcomes.values()) effects.push({ type: 'report', message: outcome });
      effects.push({
        type: 'report',
        message: { type: 'inventory', request: message.request, attempts: [...state.held.keys()] },
      });
  }
}

function take(state: AgentState, assign: Assign, effects: AgentEffect[]): void {
  const { attempt } = assign;
  if (state.held.has(attempt)) return; // the same assignment twice
  const outcome = state.outcomes.get(attempt);
  if (outcome !== undefined) {
    effects.push({ type: 'report', message: outcome });
    return;
  }
  const reason = ownersRefusal(state, assign);
  if (reason !== undefined) {
    effects.push({ type: 'report', message: { type: 'released', attempt, reason } });
    return;
  }
  const problem = refusal(state, assign);
  if (problem !== undefined) {
    effects.push({ type: 'report', message: nodeFault(attempt, problem) });
    return;
  }
  state.held.set(attempt, { assign, phase: 'queued', inputBytes: inputBytesOf(assign) });
}

function refusal(state: AgentState, assign: Assign): Problem | undefined {
  const { offer } = state;
  if (!offer.engines.includes(assign.code.engine)) {
    return { code: 'MESH_ENGINE_UNKNOWN', message: `${state.node} has no engine ${assign.code.engine}` };
  }
  if (offer.slots === 0 || state.held.size >= offer.slots + offer.queue) {
    return {
      code: 'MESH_NODE_FULL',
      message: `${state.node} offers ${offer.slots} slots and a queue of ${offer.queue}`,
    };
  }
  if (assign.limits.memoryBytes > offer.memoryBytes) {
    return {
      code: 'MESH_NODE_FULL',
      message: `${state.node} offers ${offer.memoryBytes} bytes, the task may use ${assign.limits.memoryBytes}`,
    };
  }
  if (state.outcomes.size >= limits.outcomesHeldPerNode) {
    return {
      code: 'MESH_NODE_FULL',
      message: `outcomesHeldPerNode is ${limits.outcomesHeldPerNode}: nobody commits what ${state.node} has done`,
    };
  }
  return undefined;
}

function inputBytesOf({ input }: Assign): number {
  switch (input.kind) {
    case 'none':
      return 0;
    case 'whole':
      return input.source.sizeBytes;
    case 'records':
      return input.end - input.start;
    case 'spilled':
      return input.description.sizeBytes;
    case 'parts':
      return input.parts.reduce((sum, part) => sum + ('blob' in part ? part.sizeBytes : part.inline.length), 0);
    case 'outputs': {
      const outputs = Object.values(input.needs).flat();
      return outputs.reduce((sum, part) => sum + ('blob' in part ? part.sizeBytes : part.inline.length), 0);
    }
  }
}

function end(state: AgentState, outcome: Outcome, effects: AgentEffect[]): void {
  const held = state.held.get(outcome.attempt);
  if (held?.allocation?.memoryBytes !== undefined && outcome.type === 'failed' && outcome.code === 'MESH_TASK_MEMORY') {
    // It was given less than its spec says: not its fault, wherever it has what it may have.
    if (held.allocation.memoryBytes < held.assign.limits.memoryBytes) {
      release(state, outcome.attempt, 'it needed more memory than it was left with', effects);
      return;
    }
  }
  state.held.delete(outcome.attempt);
  state.outcomes.set(outcome.attempt, outcome);
  effects.push({ type: 'keep-outcome', outcome }, { type: 'report', message: outcome });
}

function nodeFault(attempt: string, problem: Problem): Outcome {
  return {
    type: 'failed',
    attempt,
    fault: 'node',
    code: problem.code,
    message: problem.message.slice(0, 4_000),
    usage: { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 },
  };
}

/** Moves attempts on: queued -> fetching, as far as memory for inputs allows; fetched -> engine, within the offer. */
function pump(state: AgentState, effects: AgentEffect[]): void {
  const { offer } = state;
  let inHand = 0;
  let inHandBytes = 0;
  const memory: number[] = [];
  for (const held of state.held.values()) {
    if (held.phase === 'queued') continue;
    inHand += 1;
    inHandBytes += held.inputBytes;
    if (held.phase === 'engine') memory.push(memoryOf(held));
  }
  for (const held of byPriority(state)) {
    if (held.phase === 'fetched' && fits(memory, held.assign.limits.memoryBytes, offer)) {
      held.phase = 'engine';
      memory.push(held.assign.limits.memoryBytes);
      effects.push({ type: 'run', assign: held.assign });
    }
    if (held.phase !== 'queued' || inHand >= offer.slots + offer.prefetchAttempts) continue;
    if (inHand >= offer.slots && inHandBytes + held.inputBytes > offer.prefetchBytes) continue;
    held.phase = 'fetching';
    inHand += 1;
    inHandBytes += held.inputBytes;
    effects.push({ type: 'fetch', assign: held.assign });
  }
}

function byPriority(state: AgentState): readonly HeldAttempt[] {
  const held = [...state.held.values()];
  const mixed = held.some((each) => each.assign.priority !== held[0]!.assign.priority);
  return mixed ? held.sort((a, b) => b.assign.priority - a.assign.priority) : held;
}

/** Throws when the agent holds more than it offered (I7). For tests and simulation. */
export function validateAgent(state: AgentState): void {
  if (state.held.size > state.offer.slots + state.offer.queue)
    throw new Error(`agent: ${state.held.size} attempts held`);
  if (state.stance === 'leaves' && state.held.size > 0) throw new Error('agent: it was to give back all it has');
  for (const attempt of state.outcomes.keys())
    if (state.held.has(attempt)) throw new Error(`agent: ${attempt} is held and ended`);
}
