import {
  type Assign,
  type Checkpoint,
  type InboxEnvelope,
  type OutboxMessage,
  type Outcome,
  parseAttemptKey,
  type Usage,
} from '@foremesh/node-runtime/contract';
import {
  type AgentEffect,
  type AgentEvent,
  type AgentOffer,
  type AgentState,
  createAgent,
  stepAgent,
  validateAgent,
} from '@foremesh/node-runtime/core';
import { nodeOutbox, type Outbox } from '@foremesh/node-runtime/wire';
import type { VirtualConnection } from '../engine/broker.ts';
import { encodeFrame, readFrames } from '../engine/frames.ts';
import type { Lifetime } from '../engine/machine.ts';
import { bytesOfNumbers, bytesOfState, compute, referenceOf } from '../scenario/virtual-jobs.ts';
import { raise, type World } from '../world.ts';
import type { VirtualTrust } from './trust.ts';
import type { VirtualVitals } from './vitals.ts';

export interface VirtualAgentOptions {
  readonly world: World;
  readonly life: Lifetime;
  readonly bootId: string;
  readonly offer: AgentOffer;
  readonly trust: VirtualTrust;
  readonly vitals: VirtualVitals;
  readonly connection: () => Pick<VirtualConnection, 'publish'> | undefined;
}

type JournalLine = { readonly keep: Outcome } | { readonly forget: readonly string[] };

const storeAgainMs = 500;
/** What may travel inline, so that virtual results use blobs too. */
const inlineMostBytes = 100;

/** The agent of a node with virtual slots: driven as `shell/agent-driver.ts` does it. */
export class VirtualAgent {
  readonly #options: VirtualAgentOptions;
  readonly #state: AgentState;
  readonly #outbox: Outbox<OutboxMessage>;
  readonly #journaled = new Set<string>();
  readonly #fetching = new Map<string, Assign>();
  /** Handed to the engine: the first `slots` of them that are not ended run. */
  #pool: Assign[] = [];
  readonly #running = new Map<string, Assign>();
  /** The last checkpoint of a running attempt. */
  readonly #made = new Map<string, number>();
  /** What attempts go on from. */
  readonly #resumed = new Map<string, readonly number[]>();
  /** States that no holder has yet, by their names. */
  readonly #states = new Map<string, Uint8Array>();
  #closed = false;

  constructor(options: VirtualAgentOptions) {
    const { life, world, bootId, offer, connection } = options;
    const { id } = life.machine;
    this.#options = options;
    const outcomes = this.#readJournal();
    this.#state = createAgent(id, offer, { term: options.trust.term, outcomes });
    this.#outbox = nodeOutbox({
      from: id,
      bootId,
      timers: life.timers,
      term: () => this.#state.term,
      publish: (payload) => {
        world.checks.nodeActs(id, this.#state.term, options.trust.termOnDisk);
        connection()?.publish(world.topics.nodeOutbox(id), payload, { qos: 1 });
      },
      onProblem: raise,
    });
  }

  #readJournal(): Outcome[] {
    const { disk } = this.#options.life.machine;
    const { values, goodBytes } = readFrames(disk.read('journal') ?? new Uint8Array());
    disk.truncate('journal', goodBytes);
    const held = new Map<string, Outcome>();
    for (const line of values as JournalLine[]) {
      if ('keep' in line) held.set(line.keep.attempt, line.keep);
      else for (const attempt of line.forget) held.delete(attempt);
    }
    for (const attempt of held.keys()) this.#journaled.add(attempt);
    return [...held.values()];
  }

  hear(envelope: InboxEnvelope): void {
    const { world, life } = this.#options;
    const seen = () => [this.#state.term, this.#state.held.size, this.#state.outcomes.size];
    const before = seen();
    this.#step({ type: 'inbox', term: envelope.term, messages: envelope.messages });
    world.checks.nodeHeard(life.machine.id, envelope.term, before, seen());
    for (const message of envelope.messages) this.#options.vitals.hear(message, (answer) => this.#outbox.push(answer));
  }

  #step(event: AgentEvent): void {
    if (this.#closed) return;
    const effects = stepAgent(this.#state, event);
    validateAgent(this.#state);
    for (const effect of effects) {
      if (!this.#closed) this.#perform(effect);
    }
  }

  #perform(effect: AgentEffect): void {
    const { world, life, trust } = this.#options;
    const { id } = life.machine;
    switch (effect.type) {
      case 'persist-term':
        // It was proven, and is there already.
        if (effect.term > trust.term) throw new Error(`I2: ${id} takes term ${effect.term}, which was not proven`);
        return;
      case 'keep-outcome':
        this.#journaled.add(effect.outcome.attempt);
        this.#journal({ keep: effect.outcome });
        return;
      case 'forget-outcomes':
        for (const attempt of effect.attempts) this.#journaled.delete(attempt);
        this.#journal({ forget: effect.attempts });
        return;
      case 'fetch':
        this.#fetch(effect.assign);
        return;
      case 'place-checkpoint':
        this.#placeState(effect.attempt, effect.checkpoint);
        return;
      case 'run':
        world.checks.nodeActs(id, this.#state.term, trust.termOnDisk);
        this.#pool.push(effect.assign);
        this.#fill();
        return;
      case 'stop':
        this.#fetching.delete(effect.attempt);
        this.#pool = this.#pool.filter((assign) => assign.attempt !== effect.attempt);
        if (this.#running.delete(effect.attempt)) this.#fill();
        return;
      case 'report': {
        const { message } = effect;
        world.checks.outcomeReported(id, message, this.#journaled);
        const { wallMs: clockMs } = this.#options.life.machine.clock;
        this.#outbox.push(message.type === 'inventory' ? { ...message, clockMs } : message);
      }
    }
  }

  /** A full disk costs no outcome while this process lives. */
  #journal(line: JournalLine): void {
    try {
      this.#options.life.machine.disk.append('journal', encodeFrame(line));
    } catch {
      // held in memory alone
    }
  }

  #fetch(assign: Assign): void {
    const { world, life, connection } = this.#options;
    const { attempt } = assign;
    const fails = world.faulty && life.machine.chance.percent(world.fetchFailPercent);
    this.#fetching.set(attempt, assign);
    life.after(life.machine.chance.between(1, 200), () => {
      if (this.#fetching.get(attempt) !== assign) return;
      this.#fetching.delete(attempt);
      const failed = (code: string, message: string) =>
        this.#step({ type: 'fetch-failed', attempt, problem: { code, message } });
      const done = assign.resume === undefined ? [] : world.blobs.state(assign.resume.state);
      if (fails || connection() === undefined) failed('MESH_BLOB_MISSING', 'no holder has it');
      else if (done === undefined) failed('MESH_CHECKPOINT_LOST', 'its bytes are not what they were');
      else {
        this.#resumed.set(attempt, done);
        this.#step({ type: 'fetched', attempt });
      }
    });
  }

  /** Starts what waits for the engine, as far as there are slots. */
  #fill(): void {
    const { world, life, offer } = this.#options;
    while (this.#running.size < offer.slots && this.#pool.length > 0) {
      const assign = this.#pool.shift()!;
      const { attempt } = assign;
      world.checks.runsOn(
        life.machine.id,
        offer,
        [...this.#running.values(), assign].map((each) => ({
          attempt: each.attempt,
          memoryBytes: each.limits.memoryBytes,
        })),
      );
      this.#running.set(attempt, assign);
      const wallMs = life.machine.chance.between(5, 2_500);
      const mine = (run: () => void) => () => {
        if (this.#running.get(attempt) === assign) run();
      };
      const say = (event: AgentEvent) => mine(() => this.#step(event));
      life.after(1, say({ type: 'started', attempt }));
      life.after(wallMs / 2, say({ type: 'progressed', attempt, fraction: 0.5 }));
      for (const part of this.#checkpointsOf(attempt))
        life.after(
          wallMs * part,
          mine(() => this.#checkpoint(assign, part)),
        );
      life.after(
        wallMs,
        mine(() => this.#finish(assign, wallMs)),
      );
    }
  }

  /** At which parts of its run an attempt makes checkpoints. */
  #checkpointsOf(attempt: string): number[] {
    const chance = this.#options.life.machine.chance.fork(attempt);
    if (!chance.percent(this.#options.world.checkpointPercent)) return [];
    const many = chance.between(1, 4);
    return Array.from({ length: many }, (_, at) => (at + 1) / (many + 1));
  }

  #compute(assign: Assign): number[] {
    return compute(assign, this.#options.world.blobs, this.#resumed.get(assign.attempt)!);
  }

  #checkpoint(assign: Assign, part: number): void {
    const { attempt, resume } = assign;
    const all = this.#compute(assign);
    const before = this.#resumed.get(attempt)!.length;
    const bytes = bytesOfState(all.slice(0, before + Math.floor((all.length - before) * part)));
    const state = referenceOf(bytes);
    this.#states.set(state.blob, bytes);
    const made = this.#made.get(attempt) ?? resume?.sequence ?? 0;
    this.#made.set(attempt, made + 1);
    this.#step({ type: 'checkpoint-made', attempt, checkpoint: { sequence: made + 1, state } });
  }

  /** However long it takes; nobody hears of it before. */
  #placeState(attempt: string, checkpoint: Checkpoint): void {
    const { world, life, connection } = this.#options;
    const { blob } = checkpoint.state;
    const bytes = this.#states.get(blob)!;
    this.#states.delete(blob);
    life.after(life.machine.chance.fork(blob).between(1, 600), () => {
      if (connection() === undefined) return; // there will be another
      world.blobs.put(bytes);
      this.#step({ type: 'checkpoint-placed', attempt, checkpoint });
    });
  }

  #finish(assign: Assign, wallMs: number): void {
    const { world, life } = this.#options;
    const { attempt } = assign;
    this.#running.delete(attempt);
    const { account, job, task } = parseAttemptKey(attempt);
    const bytes = bytesOfNumbers(this.#compute(assign));
    const peakMemoryBytes = 1_000 + 8 * bytes.length;
    const usage: Usage = {
      cpuMs: wallMs,
      wallMs,
      peakMemoryBytes,
      inputBytes: bytes.length,
      outputBytes: bytes.length,
    };
    const failed = (fault: 'task' | 'node', code: string): Outcome => ({
      type: 'failed',
      attempt,
      fault,
      code,
      message: 'virtual',
      usage,
    });
    if (world.throws(`${account}/${job}`, task))
      this.#step({ type: 'ended', outcome: failed('task', 'MESH_TASK_THREW') });
    else if (world.faulty && life.machine.chance.percent(world.fetchFailPercent / 4)) {
      this.#step({ type: 'ended', outcome: failed('node', 'MESH_SANDBOX_DIED') });
    } else this.#place(bytes, assign, usage);
    this.#fill();
  }

  /** A large output is in a holder before anyone hears of it, however long that takes. */
  #place(bytes: Uint8Array, { attempt, inlineOutputBytes }: Assign, usage: Usage): void {
    const { world, life, connection } = this.#options;
    if (bytes.length <= Math.min(inlineMostBytes, inlineOutputBytes)) {
      this.#step({
        type: 'ended',
        outcome: { type: 'done', attempt, usage, output: { encoding: 'json', inline: bytes } },
      });
      return;
    }
    const store = () => {
      if (connection() === undefined) {
        life.after(storeAgainMs, store);
        return;
      }
      const output = { encoding: 'json' as const, ...world.blobs.put(bytes) };
      this.#step({ type: 'ended', outcome: { type: 'done', attempt, usage, output } });
    };
    life.after(life.machine.chance.between(1, 100), store);
  }

  /** What should be empty once every job has ended and is settled. */
  leftovers(): string[] {
    return [...this.#state.held.keys(), ...this.#state.outcomes.keys(), ...this.#running.keys(), ...this.#journaled];
  }
}
