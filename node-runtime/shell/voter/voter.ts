import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { asMeshError, type MeshError, type QueryAnswer, type QueryAsk, type VotersLink } from '../../contract/index.ts';
import {
  answerQuery,
  createVoter,
  describeRemoval,
  describeVoters,
  hasMoreToLearn,
  isHeard,
  isSoleVoter,
  type JobPlan,
  knownChain,
  knownKeyOf,
  type Ledger,
  type LedgerCommand,
  type LogEntry,
  type PlannerState,
  type RaftMessage,
  settingsWith,
  stepVoter,
  type VoterEffect,
  type VoterEvent,
  type VoterOptions as VoterMachineOptions,
  type VoterSnapshot,
  type VoterState,
  voterDueMs,
} from '../../core/index.ts';
import { release } from '../release.ts';
import { Journal } from './journal.ts';
import { LogStore } from './log-store.ts';
import type { RelayedQuery } from './node-relay.ts';

/** The log is replaced by a snapshot once its segment has grown to this. */
const compactAtBytes = 16 * 1024 ** 2;

/** What the driver does not do itself: it is of the mesh, not of the disk. */
export type OutwardEffect = Exclude<
  VoterEffect,
  { type: 'persist' | 'install-snapshot' | 'compact' | 'send-raft' | 'fetch-snapshot' }
>;

export interface VoterOptions extends VoterMachineOptions {
  readonly logDirectory: string;
  /** Where everything is recorded that comes into the machine, a file per boot; nothing is unless said. */
  readonly journalDirectory?: string;
  readonly log: Logger;
  readonly perform: (effect: OutwardEffect) => void;
  readonly sendRaft: (to: string, message: RaftMessage<LedgerCommand>) => void;
  /** Answer by feeding `snapshot-fetched` or `snapshot-failed`. */
  readonly fetchSnapshot: (from: string, index: number, term: number) => void;
  /** The disk failed: nothing more can be promised, the process must end. */
  readonly onFatal: (error: MeshError) => void;
}

/** Drives the machine of a voter: feeds it events with the time, fsyncs what it wants persisted, carries out the rest. */
export class Voter {
  readonly #options: VoterOptions;
  readonly #store: LogStore;
  readonly #state: VoterState;
  readonly #journal: Journal | undefined;
  #closed = false;
  #starting: { readonly resolve: () => void; readonly reject: (error: MeshError) => void } | undefined;
  /** Events that came while the effects of another were carried out: they wait for their turn. */
  #waiting: VoterEvent[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #study: NodeJS.Timeout | undefined;

  private constructor(options: VoterOptions, store: LogStore, state: VoterState, journal: Journal | undefined) {
    this.#options = options;
    this.#store = store;
    this.#state = state;
    this.#journal = journal;
  }

  /** Reads the log back. Throws `MESH_LOG_CORRUPT` or `MESH_STORAGE_FAILED`. */
  static async open(options: VoterOptions): Promise<Voter> {
    const { store, restored, ledger, tornBytes } = await LogStore.open(options.logDirectory);
    if (tornBytes > 0)
      options.log.warn({ tornBytes }, 'the last write of the log was cut off; it had not been answered for');
    const { id, bootId, holders, founders, profile, config, publicKey, journalDirectory, log } = options;
    const { looksAhead } = options.policy;
    const asked = config === undefined ? {} : { config };
    const start = { id, bootId, holders, founders, profile, publicKey, looksAhead, ...asked };
    const begin = { release, start, restored: { ...restored, ledger } };
    const journal = journalDirectory === undefined ? undefined : await Journal.create(journalDirectory, begin, log);
    return new Voter(options, store, createVoter(options, begin.restored), journal);
  }

  get planner(): PlannerState {
    return this.#state.planner;
  }
  /** The answer to a client's question, of one that leads. `dryRun`: what the spec in it means. */
  answer(account: string, ask: Exclude<QueryAsk, RelayedQuery>, dryRun?: JobPlan): QueryAnswer {
    switch (ask.query) {
      case 'voters':
        return { ...describeVoters(this.#state, ask, performance.now()), wallMs: Date.now() };
      case 'set-voters':
        this.feed({ type: 'voters-wanted', settings: settingsWith(this.#state, ask.settings) });
        return { v: 1, id: ask.id, query: 'set-voters' };
      case 'set-quota':
        if (Object.keys(ask.change).length > 0)
          this.feed({ type: 'quota-wanted', account: ask.account, change: ask.change });
        return answerQuery(this.#state.planner, account, ask);
      case 'remove-node':
        this.feed({ type: 'removal-wanted', node: ask.node });
        return describeRemoval(this.#state, ask);
      default:
        return answerQuery(this.#state.planner, account, ask, dryRun);
    }
  }
  get ledger(): Ledger {
    return this.#state.ledger;
  }
  /** It leads by the log's word; `planner.leading` follows when the ledger is as new as any. */
  get isElected(): boolean {
    return this.#state.raft.role === 'leader';
  }
  /** Whether it still leads: one that slept finds out here, before it says another word. */
  leadsNow(): boolean {
    if (performance.now() >= (voterDueMs(this.#state) ?? Number.POSITIVE_INFINITY)) this.feed({ type: 'tick' });
    return this.isElected;
  }
  chainWith(proven: readonly VotersLink[]): VotersLink[] {
    return knownChain(this.#state, proven);
  }
  keyOf(node: string): string | undefined {
    return knownKeyOf(this.#state, node);
  }
  hears(node: string, isProven: boolean): boolean {
    return isHeard(this.#state, node, isProven);
  }
  get leader(): string | undefined {
    return this.#state.raft.leader;
  }

  /** Resolves when it can take what it hears: a sole voter leads by then. Rejects with `MESH_STORAGE_FAILED`. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject };
      this.feed({ type: 'start', seed: randomBytes(4).readUInt32LE() });
      const { configuration } = this.#state.raft.configurations.at(-1)!;
      if (!isSoleVoter(configuration, this.#options.id)) resolve();
    });
  }

  /** One event; its effects are carried out before this returns, except what waits for the disk. */
  feed(event: VoterEvent): void {
    if (this.#closed) return;
    if (this.#waiting !== undefined) {
      this.#waiting.push(event);
      return;
    }
    this.#waiting = [event];
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) this.#step(next);
    } finally {
      this.#waiting = undefined;
    }
    this.#setTimer();
    this.#setStudy(0);
  }

  #step(event: VoterEvent): void {
    const at = { nowMs: performance.now(), wallMs: Date.now() };
    const effects = stepVoter(this.#state, event, at);
    this.#journal?.record(event, at, effects);
    for (const effect of effects) this.#perform(effect);
    if (this.#state.planner.leading) this.#starting?.resolve();
    // Once for each event: when no snapshot can be made now, asking at once again would never end.
    if (event.type !== 'compaction-due' && this.#store.segmentBytes > compactAtBytes && !this.#state.compacting)
      this.feed({ type: 'compaction-due' });
  }

  #perform(effect: VoterEffect): void {
    switch (effect.type) {
      case 'persist':
        this.#written(this.#store.persist(effect.hard, effect.entries), effect.sequence);
        return;
      case 'install-snapshot':
        this.#written(this.#replace(effect), effect.sequence);
        return;
      case 'compact':
        this.#replace(effect).then(() => this.feed({ type: 'compacted' }), this.#fail);
        return;
      case 'send-raft':
        this.#options.sendRaft(effect.to, effect.message);
        return;
      case 'fetch-snapshot':
        this.#options.fetchSnapshot(effect.from, effect.index, effect.term);
        return;
      default:
        this.#options.perform(effect);
    }
  }

  #replace(snapshot: VoterSnapshot & { readonly tail: readonly LogEntry<LedgerCommand>[] }): Promise<void> {
    const { index, term, ledger, configuration, tail } = snapshot;
    return this.#store.compact(index, term, ledger, tail, configuration);
  }

  #written(write: Promise<void>, sequence: number): void {
    write.then(() => this.feed({ type: 'persisted', sequence }), this.#fail);
  }

  readonly #fail = (error: unknown): void => {
    const failure = asMeshError(error, 'MESH_STORAGE_FAILED');
    this.#starting?.reject(failure);
    this.#options.onFatal(failure);
  };

  #setTimer(): void {
    const dueMs = voterDueMs(this.#state) ?? Number.POSITIVE_INFINITY;
    if (dueMs === this.#timerDueMs || this.#closed) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    if (dueMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => {
        this.#timerDueMs = Number.POSITIVE_INFINITY;
        this.feed({ type: 'tick' });
      },
      Math.max(1, Math.ceil(dueMs - performance.now())),
    );
  }

  /**
   * What a new leader has to learn it learns between its rounds too, in short pieces. After each it rests for as long as the piece took and was late: a slow
   * machine for longer, and one with more to do for as long as that takes.
   */
  #setStudy(restMs: number): void {
    if (this.#study !== undefined || this.#closed || !hasMoreToLearn(this.#state.planner)) return;
    const dueMs = performance.now() + restMs;
    this.#study = setTimeout(() => {
      // A timer counts from when this turn of the event loop began, which may have been some milliseconds before.
      const earlyMs = dueMs - performance.now();
      if (earlyMs <= 0) this.feed({ type: 'study' });
      this.#study = undefined;
      this.#setStudy(earlyMs > 0 ? earlyMs : performance.now() - dueMs);
    }, restMs);
  }

  /** The newest snapshot on the disk, for a voter that has fallen behind. */
  readSnapshot(): Promise<Uint8Array | undefined> {
    return this.#store.readSnapshot();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#study);
    await this.#journal?.close();
    await this.#store.close();
  }
}
