import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { asMeshError, type MeshError } from '../contract/index.ts';
import {
  applyCommand,
  createLedger,
  createPlanner,
  createRaft,
  type Ledger,
  type LedgerCommand,
  type LedgerEvent,
  type LogEntry,
  type PlannerEffect,
  type PlannerEvent,
  type PlannerOptions,
  type PlannerState,
  type RaftEvent,
  type RaftState,
  restoreLedger,
  snapshotLedger,
  stepPlanner,
  stepRaft,
} from '../core/index.ts';
import { LogStore } from './log-store.ts';

/** The log is replaced by a snapshot once its segment has grown to this. */
const compactAtBytes = 16 * 1024 ** 2;

export interface VoterOptions extends Omit<PlannerOptions, 'ledger'> {
  readonly logDirectory: string;
  readonly log: Logger;
  /** Carries out what the planner wants done outside. */
  readonly perform: (effect: Exclude<PlannerEffect, { type: 'propose' }>) => void;
  /** The disk failed: nothing more can be promised, the process must end. */
  readonly onFatal: (error: MeshError) => void;
}

/** Drives log, ledger and planner of a voter: feeds them events, fsyncs before anything counts. */
export class Voter {
  readonly #options: VoterOptions;
  readonly #store: LogStore;
  readonly #raft: RaftState<LedgerCommand>;
  readonly #ledger: Ledger;
  readonly planner: PlannerState;
  #appliedIndex: number;
  #compacting = false;
  #closed = false;
  #starting: { resolve: () => void; reject: (error: MeshError) => void } | undefined;

  private constructor(options: VoterOptions, store: LogStore, raft: RaftState<LedgerCommand>, ledger: Ledger) {
    this.#options = options;
    this.#store = store;
    this.#raft = raft;
    this.#ledger = ledger;
    this.#appliedIndex = raft.snapshotIndex;
    this.planner = createPlanner({ ...options, ledger });
  }

  /** Reads the log back. Throws `MESH_LOG_CORRUPT` or `MESH_STORAGE_FAILED`. */
  static async open(options: VoterOptions): Promise<Voter> {
    const { store, restored, ledger, tornBytes } = await LogStore.open(options.logDirectory);
    if (tornBytes > 0)
      options.log.warn({ tornBytes }, 'the last write of the log was cut off; it had not been answered for');
    const raft = createRaft<LedgerCommand>(options.id, [options.id], restored);
    return new Voter(options, store, raft, ledger === undefined ? createLedger() : restoreLedger(ledger));
  }

  /** Stands for election, which a sole voter wins; resolves then. Rejects with `MESH_STORAGE_FAILED`. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject };
      this.#stepRaft({ type: 'start', nowMs: performance.now(), seed: randomBytes(4).readUInt32LE() });
    });
  }

  /** One event for the planner; its effects are carried out before this returns, except what waits for the disk. */
  feed(event: PlannerEvent): void {
    if (this.#closed) return;
    const at = { nowMs: performance.now(), wallMs: Date.now() };
    const commands: LedgerCommand[] = [];
    for (const effect of stepPlanner(this.planner, event, at)) {
      if (effect.type === 'propose') commands.push(...effect.commands);
      else this.#options.perform(effect);
    }
    if (commands.length > 0) this.#stepRaft({ type: 'propose', commands });
  }

  #stepRaft(event: RaftEvent<LedgerCommand>): void {
    for (const effect of stepRaft(this.#raft, event)) {
      switch (effect.type) {
        case 'persist': {
          const { sequence } = effect;
          this.#store.persist(effect.hard, effect.entries).then(
            () => {
              if (!this.#closed) this.#stepRaft({ type: 'persisted', nowMs: performance.now(), sequence });
            },
            (error: unknown) => {
              const failure = asMeshError(error, 'MESH_STORAGE_FAILED');
              this.#starting?.reject(failure);
              this.#options.onFatal(failure);
            },
          );
          break;
        }
        case 'apply':
          this.#apply(effect.entries);
          break;
        case 'role-changed':
          this.#options.log.info({ role: effect.role, term: effect.term }, 'role changed');
          break;
        default:
          throw new Error(`raft: a sole voter has no use for ${effect.type}`);
      }
    }
  }

  #apply(entries: readonly LogEntry<LedgerCommand>[]): void {
    const events: LedgerEvent[] = [];
    let elected: number | undefined;
    for (const { command, configuration, index, term } of entries) {
      if (command !== undefined) events.push(...applyCommand(this.#ledger, command));
      // The entry that a leader writes first: with it applied, the ledger is as new as any.
      else if (configuration === undefined && term === this.#raft.hard.term) elected = term;
      this.#appliedIndex = index;
    }
    if (elected !== undefined) {
      this.feed({ type: 'elected', term: elected });
      this.#starting?.resolve();
    } else if (events.length > 0) this.feed({ type: 'applied', events });
    if (this.#store.segmentBytes > compactAtBytes && !this.#compacting) this.#compact();
  }

  #compact(): void {
    const index = this.#appliedIndex;
    const snapshot = snapshotLedger(this.#ledger);
    this.#compacting = true;
    this.#stepRaft({ type: 'compacted', index });
    this.#store
      .compact(this.#raft.snapshotIndex, this.#raft.snapshotTerm, snapshot, () => [...this.#raft.log])
      .catch((error: unknown) => this.#options.onFatal(asMeshError(error, 'MESH_STORAGE_FAILED')))
      .finally(() => {
        this.#compacting = false;
      });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#store.close();
  }
}
