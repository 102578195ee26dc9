import { lastValue } from '@foremesh/models';
import {
  applyCommand,
  createLedger,
  createPlanner,
  createRaft,
  type Ledger,
  type LedgerCommand,
  type LedgerEvent,
  type LogEntry,
  lastIndex,
  type PlannerEffect,
  type PlannerEvent,
  type PlannerState,
  type RaftEvent,
  type RaftState,
  restoreLedger,
  snapshotLedger,
  stepPlanner,
  stepRaft,
  validateLedger,
  validatePlanner,
  validateRaft,
} from '@foremesh/node-runtime/core';
import { cutByWeights, placeByCurrentRoom, recordIndexProblem } from '@foremesh/partitioner';
import type { Lifetime } from '../engine/machine.ts';
import type { World } from '../world.ts';
import { VirtualLogStore } from './log-store.ts';

export interface VirtualVoterOptions {
  readonly world: World;
  readonly life: Lifetime;
  readonly bootId: string;
  readonly perform: (effect: Exclude<PlannerEffect, { type: 'propose' }>) => void;
  readonly onFatal: (error: Error) => void;
}

const policy = {
  cut: (index, weights) => recordIndexProblem(index) ?? cutByWeights(index, weights),
  place: placeByCurrentRoom,
  createForecaster: (intervalMs) => lastValue({ intervalMs, range: { low: 0, high: 1 } }),
} satisfies Parameters<typeof createPlanner>[0]['policy'];

/** Nodes fail here far more often than in any mesh: no job shall fail by that. */
const nodeFaultsMost = 1_000;

/** Log, ledger and planner of a voter, driven as `shell/voter.ts` drives them, on a virtual disk. */
export class VirtualVoter {
  readonly planner: PlannerState;
  readonly #options: VirtualVoterOptions;
  readonly #store: VirtualLogStore;
  readonly #raft: RaftState<LedgerCommand>;
  readonly #ledger: Ledger;
  #appliedIndex: number;
  /** Commands that came too late: their place in the log is taken. */
  readonly #settled: LedgerCommand[] = [];

  constructor(options: VirtualVoterOptions) {
    const { life, world, bootId } = options;
    const { id } = life.machine;
    this.#options = options;
    this.#store = new VirtualLogStore(life);
    const { restored, ledger } = this.#store;
    this.#raft = createRaft<LedgerCommand>(id, [id], restored);
    this.#ledger = ledger === undefined ? createLedger() : restoreLedger(ledger);
    this.#appliedIndex = this.#raft.snapshotIndex;
    const config = { ...options.world.planner, nodeFaultsMost };
    this.planner = createPlanner({ id, bootId, holders: ['broker'], ledger: this.#ledger, policy, config });
    world.checks.restored(id, { term: restored.hard.term, lastIndex: lastIndex(this.#raft) });
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  start(): void {
    const { chance, clock } = this.#options.life.machine;
    this.#stepRaft({ type: 'start', nowMs: clock.nowMs, seed: chance.between(0, 2 ** 31) });
  }

  feed(event: PlannerEvent): void {
    const { life, perform } = this.#options;
    if (life.ended) return;
    const { nowMs, wallMs } = life.machine.clock;
    const effects = stepPlanner(this.planner, event, { nowMs, wallMs });
    validatePlanner(this.planner);
    const commands: LedgerCommand[] = [];
    for (const effect of effects) {
      if (effect.type === 'propose') commands.push(...effect.commands);
      else perform(effect);
    }
    if (commands.length > 0) this.#stepRaft({ type: 'propose', commands: [...commands, ...this.#stray()] });
  }

  /** Now and then somebody proposes once more what the log has, with another content: the first must win. */
  #stray(): LedgerCommand[] {
    const { world, life } = this.#options;
    const { chance } = life.machine;
    if (!world.faulty || !chance.percent(world.strayPercent) || this.#settled.length === 0) return [];
    return [chance.pick(this.#settled)];
  }

  #stepRaft(event: RaftEvent<LedgerCommand>): void {
    const { world, life, onFatal } = this.#options;
    const effects = stepRaft(this.#raft, event);
    validateRaft(this.#raft);
    const { hard, commitIndex } = this.#raft;
    world.checks.logMoved(life.machine.id, { term: hard.term, commitIndex, durableIndex: this.#store.durableIndex });
    for (const effect of effects) {
      switch (effect.type) {
        case 'persist': {
          const { sequence } = effect;
          this.#store.persist(effect.hard, effect.entries, (error) => {
            if (life.ended) return;
            if (error !== undefined) onFatal(error);
            else this.#stepRaft({ type: 'persisted', nowMs: life.machine.clock.nowMs, sequence });
          });
          break;
        }
        case 'apply':
          this.#apply(effect.entries);
          break;
        case 'role-changed':
          world.trace.say(world.time.nowMs, `${life.machine.id} is ${effect.role} of term ${effect.term}`);
          if (effect.role === 'leader') world.checks.becameLeader(life.machine.id, effect.term);
          break;
        default:
          throw new Error(`raft: a sole voter has no use for ${effect.type}`);
      }
    }
  }

  #apply(entries: readonly LogEntry<LedgerCommand>[]): void {
    const { world, life } = this.#options;
    const { id, chance } = life.machine;
    const events: LedgerEvent[] = [];
    let elected: number | undefined;
    for (const entry of entries) {
      world.checks.applied(id, entry, this.#appliedIndex + 1);
      if (entry.command !== undefined) {
        events.push(...applyCommand(this.#ledger, entry.command));
        validateLedger(this.#ledger);
        const rival = rivalOf(entry.command);
        if (rival !== undefined) this.#settled.push(rival);
      } else if (entry.configuration === undefined && entry.term === this.#raft.hard.term) elected = entry.term;
      this.#appliedIndex = entry.index;
      world.trace.say(world.time.nowMs, `${id} applied ${entry.index}: ${describeCommand(entry.command)}`);
    }
    world.checks.ledgerMoved(events, this.#ledger);
    if (elected !== undefined) {
      world.checks.elected(this.#ledger);
      this.feed({ type: 'elected', term: elected });
    } else if (events.length > 0) this.feed({ type: 'applied', events });
    if (chance.percent(5)) this.#compact();
  }

  #compact(): void {
    const index = this.#appliedIndex;
    const snapshot = snapshotLedger(this.#ledger);
    this.#stepRaft({ type: 'compacted', index });
    const { snapshotIndex, snapshotTerm } = this.#raft;
    this.#store.compact(snapshotIndex, snapshotTerm, snapshot, () => [...this.#raft.log]);
  }
}

/** What another leader might have proposed in its place. */
function rivalOf(command: LedgerCommand): LedgerCommand | undefined {
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
    case 'certify-voters':
      return command;
    case 'set-voters':
      return undefined;
  }
}

function describeCommand(command: LedgerCommand | undefined): string {
  if (command === undefined) return 'a new term';
  switch (command.type) {
    case 'commit-task':
    case 'fail-attempt':
      return `${command.type} ${command.attempt} of ${command.node}`;
    case 'cut-stage':
      return `cut-stage ${command.job}/${command.stage} into ${command.tasks.length}`;
    case 'accept-job':
      return `accept-job ${command.job}`;
    case 'end-job':
      return `end-job ${command.job} ${command.phase}: ${command.problem.message}`;
    case 'enroll-node':
      return `enroll-node ${command.node} with ${command.publicKey}`;
    case 'certify-voters':
      return `certify-voters ${command.link.voters.map((voter) => voter.node).join(' ')} of ${command.link.index}`;
    case 'set-voters':
      return `set-voters ${command.settings.count ?? 'auto'}`;
  }
}
