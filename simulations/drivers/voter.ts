import { createForesight, leavingHazards, predictTasks } from '@foremesh/models';
import {
  createVoter,
  type LedgerCommand,
  type LogEntry,
  type PlannerOptions,
  plannerDefaults,
  type RaftMessage,
  stepVoter,
  type VoterEffect,
  type VoterEvent,
  type VoterState,
  validateLedger,
  validatePlanner,
  validateRaft,
  validateVoter,
  voterDueMs,
} from '@foremesh/node-runtime/core';
import { cutByWeights, recordIndexProblem, standardPlacement } from '@foremesh/partitioner';
import type { Lifetime } from '../engine/machine.ts';
import { describeCommand, rivalCutOf, rivalOf } from '../scenario/commands.ts';
import { publicKeyOf } from '../scenario/keys.ts';
import type { World } from '../world.ts';
import { VirtualLogStore } from './log-store.ts';

/** What is of the mesh, not of the disk. */
export type OutwardEffect = Exclude<
  VoterEffect,
  { type: 'persist' | 'install-snapshot' | 'compact' | 'send-raft' | 'fetch-snapshot' }
>;

export interface VirtualVoterOptions {
  readonly world: World;
  readonly life: Lifetime;
  readonly bootId: string;
  /** Only the founder's is not empty. */
  readonly founders: readonly string[];
  readonly perform: (effect: OutwardEffect) => void;
  readonly sendRaft: (to: string, message: RaftMessage<LedgerCommand>) => void;
  readonly fetchSnapshot: (from: string, index: number, term: number) => void;
  readonly onFatal: (error: Error) => void;
}

const policy = {
  cut: (index, weights) => recordIndexProblem(index) ?? cutByWeights(index, weights),
  ...standardPlacement,
  looksAhead: true,
  predictTasks,
  createLeaving: leavingHazards,
  createForesight: () => createForesight({ steps: plannerDefaults.forecastSteps }),
  occurrences: () => 'no schedules here',
} satisfies PlannerOptions['policy'];

/** Nodes fail here far more often than in any mesh: no job shall fail by that. */
const nodeFaultsMost = 1_000;

/** A log that grows by a few entries is worth a snapshot here, so that snapshots are everyday things. */
const compactPercent = 5;

/** Drives the machine of a voter as `shell/voter/voter.ts` does, on a virtual disk, and shows each step to the checks. */
export class VirtualVoter {
  readonly state: VoterState;
  readonly #options: VirtualVoterOptions;
  readonly #store: VirtualLogStore;
  #waiting: VoterEvent[] | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #startedMs = 0;
  #steppedMs = 0;
  /** The last entry that the checks were shown. */
  #shownIndex: number;
  /** Specs that the log does not have. */
  readonly #heard = new Map<string, VoterEvent & { type: 'spec-heard' }>();
  /** Commands that came too late: their place in the log is taken. */
  readonly #settled: LedgerCommand[] = [];

  constructor(options: VirtualVoterOptions) {
    const { life, world, bootId, founders } = options;
    const { id } = life.machine;
    const { profile } = world;
    this.#options = options;
    this.#store = new VirtualLogStore(life);
    const { restored, durable } = this.#store;
    const config = { ...world.planner, nodeFaultsMost };
    this.state = createVoter(
      { id, bootId, publicKey: publicKeyOf(id), holders: ['broker'], policy, config, founders, profile },
      restored,
    );
    this.#shownIndex = this.state.appliedIndex;
    world.checks.log.opened(id, durable, this.state.raft.hard);
  }

  get isElected(): boolean {
    return this.state.raft.role === 'leader';
  }

  /** Whether it still leads: one that slept finds out here, before it says another word. */
  leadsNow(): boolean {
    const { nowMs } = this.#options.life.machine.clock;
    if (nowMs >= (voterDueMs(this.state) ?? Number.POSITIVE_INFINITY)) this.feed({ type: 'tick' });
    return this.isElected;
  }

  start(): void {
    const { chance, clock } = this.#options.life.machine;
    this.#startedMs = clock.nowMs;
    this.#steppedMs = clock.nowMs;
    this.feed({ type: 'start', seed: chance.between(0, 2 ** 31) });
  }

  /** One event; its effects are carried out before this returns, except what waits for the disk. */
  feed(event: VoterEvent): void {
    const { life } = this.#options;
    if (life.ended) return;
    if (this.#waiting !== undefined) {
      this.#waiting.push(event);
      return;
    }
    this.#waiting = [event];
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (life.ended) return;
      this.#step(next);
    }
    this.#waiting = undefined;
    this.#setTimer();
  }

  #step(event: VoterEvent): void {
    const { world, life } = this.#options;
    const { state } = this;
    const { nowMs, wallMs } = life.machine.clock;
    const { configuration } = state.raft.configurations.at(-1)!;
    const before = { role: state.raft.role, term: state.raft.hard.term, leading: state.planner.leading, configuration };
    this.#noteSpec(event);
    const effects = stepVoter(state, event, { nowMs, wallMs });
    world.checks.log.slept(state.raft, before, nowMs - this.#steppedMs);
    this.#steppedMs = nowMs;
    const shown = this.#shownIndex;
    this.#show(effects);
    if (state.planner.leading && !before.leading) world.checks.elected(state, effects, this.#heard.values());
    for (const effect of effects) if (!life.ended) this.#perform(effect);
    if (this.#shownIndex === shown || life.ended) return;
    if (!state.compacting && life.machine.chance.percent(compactPercent)) this.feed({ type: 'compaction-due' });
  }

  #noteSpec(event: VoterEvent): void {
    if (event.type !== 'spec-heard' && event.type !== 'spec-cleared') return;
    const key = `${event.account}/${event.job}`;
    if (event.type === 'spec-cleared') this.#heard.delete(key);
    else if (!this.state.ledger.jobs.has(key)) this.#heard.set(key, event);
  }

  /** What is checked after every step of every voter. */
  #show(effects: readonly VoterEffect[]): void {
    const { world, life } = this.#options;
    const { state } = this;
    const { log } = world.checks;
    const { id } = life.machine;
    validateRaft(state.raft);
    validatePlanner(state.planner);
    validateVoter(state);
    for (const effect of effects) {
      switch (effect.type) {
        case 'role-changed':
          world.trace.say(world.time.nowMs, `${id} is ${effect.role} of term ${effect.term}`);
          if (effect.role === 'leader') log.becameLeader(state.raft);
          break;
        case 'persist':
          log.writes(id, effect);
          this.#noteChange(effect.entries);
          break;
        case 'install-snapshot':
          world.trace.say(world.time.nowMs, `${id} takes the snapshot up to ${effect.index}`);
          this.#shownIndex = effect.index;
          log.snapshot(id, effect);
          break;
        case 'compact':
          log.snapshot(id, effect);
      }
    }
    this.#showApplied();
    log.moved(state.raft);
  }

  #noteChange(entries: readonly LogEntry<LedgerCommand>[]): void {
    if (!this.isElected) return;
    const { world, life } = this.#options;
    const { id } = life.machine;
    for (const { configuration } of entries) {
      const { voters = [], outgoing, learners = [] } = configuration ?? {};
      const others = (outgoing ?? voters).filter((voter) => voter !== id);
      if (outgoing !== undefined) world.changing(id, others);
      else if (learners.length > 1 && others.length > 1) world.changing(id, others);
    }
  }

  #showApplied(): void {
    const { world, life } = this.#options;
    const { raft, appliedIndex, ledger } = this.state;
    if (this.#shownIndex >= appliedIndex) return;
    const { id } = life.machine;
    while (this.#shownIndex < appliedIndex) {
      this.#shownIndex += 1;
      const entry = raft.log[this.#shownIndex - raft.snapshotIndex - 1]!;
      world.checks.applied(raft, entry, this.#shownIndex);
      world.trace.say(world.time.nowMs, `${id} applied ${entry.index}: ${describeEntry(entry)}`);
      const rival = entry.command === undefined ? undefined : rivalOf(entry.command);
      if (rival !== undefined) this.#settled.push(rival);
    }
    validateLedger(ledger);
    for (const key of this.#heard.keys()) if (ledger.jobs.has(key)) this.#heard.delete(key);
  }

  #perform(effect: VoterEffect): void {
    const { world, life, sendRaft, fetchSnapshot, perform } = this.#options;
    switch (effect.type) {
      case 'persist':
        this.#store.persist(effect.hard, effect.entries, this.#written(effect.sequence));
        if (effect.entries.some(({ command }) => command !== undefined)) {
          this.#stray();
          this.#rivalCut();
        }
        return;
      case 'install-snapshot':
        this.#store.replace(effect, effect.tail, this.#written(effect.sequence));
        return;
      case 'compact':
        this.#store.replace(effect, effect.tail, this.#whenDone({ type: 'compacted' }));
        return;
      case 'send-raft':
        world.checks.log.sends(this.state.raft, effect, life.machine.clock.nowMs - this.#startedMs);
        sendRaft(effect.to, effect.message);
        return;
      case 'fetch-snapshot':
        fetchSnapshot(effect.from, effect.index, effect.term);
        return;
      default:
        perform(effect);
    }
  }

  #written(sequence: number): (error?: Error) => void {
    return this.#whenDone({ type: 'persisted', sequence });
  }

  #whenDone(event: VoterEvent): (error?: Error) => void {
    const { life, onFatal } = this.#options;
    return (error) => {
      if (life.ended) return;
      if (error === undefined) this.feed(event);
      else onFatal(error);
    };
  }

  /** Now and then somebody proposes once more what the log has, with another content: the first must win. */
  #stray(): void {
    const { world, life } = this.#options;
    const { chance } = life.machine;
    if (!this.isElected || !world.faulty || !chance.percent(world.strayPercent) || this.#settled.length === 0) return;
    this.state.proposals.push(chance.pick(this.#settled));
  }

  /** Or it cuts what is cut, or splits what runs, as another leader might. */
  #rivalCut(): void {
    const { world, life } = this.#options;
    const { chance } = life.machine;
    if (!this.isElected || !world.faulty || world.rivalCutPercent === 0) return;
    const cut = chance.percent(world.rivalCutPercent) ? rivalCutOf(this.state.ledger, chance) : undefined;
    if (cut !== undefined) this.state.proposals.push(cut);
  }

  /** One that is there already and not too late may stay: an early tick does no harm. */
  #setTimer(): void {
    const dueMs = voterDueMs(this.state) ?? Number.POSITIVE_INFINITY;
    if (dueMs >= this.#timerDueMs) return;
    const { life } = this.#options;
    this.#timerDueMs = dueMs;
    life.after(Math.max(1, Math.ceil(dueMs - life.machine.clock.nowMs)), () => {
      if (this.#timerDueMs !== dueMs) return;
      this.#timerDueMs = Number.POSITIVE_INFINITY;
      if ((voterDueMs(this.state) ?? Number.POSITIVE_INFINITY) <= life.machine.clock.nowMs) this.feed({ type: 'tick' });
      else this.#setTimer();
    });
  }

  readSnapshot(): Uint8Array | undefined {
    return this.#store.readSnapshot();
  }
}

function describeEntry({ command, configuration }: LogEntry<LedgerCommand>): string {
  if (command !== undefined) return describeCommand(command);
  if (configuration === undefined) return 'a new term';
  const { voters, outgoing, learners } = configuration;
  const before = outgoing === undefined ? '' : ` instead of ${outgoing.join(' ')}`;
  return `voters ${voters.join(' ')}${before}${learners.length === 0 ? '' : `, learners ${learners.join(' ')}`}`;
}
