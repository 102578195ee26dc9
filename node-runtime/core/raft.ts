/**
 * The replicated log, behind the interface that the whole of Raft will fill (Ongaro and Ousterhout 2014). Here a mesh
 * has one voter, its founder: it votes for itself, and what is on its disk is committed. The machine is pure: the
 * driver persists, then says so; nothing is answered before that.
 */
export interface LogEntry<Command> {
  readonly index: number;
  readonly term: number;
  /** Absent in the entry that a new leader writes first, to commit what older terms left. */
  readonly command?: Command;
}

export interface HardState {
  readonly term: number;
  readonly votedFor?: string;
}

export interface RaftState<Command> {
  readonly id: string;
  readonly voters: readonly string[];
  role: 'follower' | 'candidate' | 'leader';
  hard: HardState;
  /** Entries after the snapshot, in order; `log[0].index === snapshotIndex + 1`. */
  readonly log: LogEntry<Command>[];
  snapshotIndex: number;
  snapshotTerm: number;
  persistedIndex: number;
  commitIndex: number;
}

export type RaftEvent<Command> =
  | { readonly type: 'start' }
  | { readonly type: 'propose'; readonly commands: readonly Command[] }
  /** The hard state of this term, and every entry up to this index, are fsynced. */
  | { readonly type: 'persisted'; readonly term: number; readonly index: number }
  /** The driver has a durable snapshot of everything up to this index. */
  | { readonly type: 'compacted'; readonly index: number };

export type RaftEffect<Command> =
  /** Must be fsynced, in the order given, before `persisted` is fed back. */
  | { readonly type: 'persist'; readonly hard?: HardState; readonly entries: readonly LogEntry<Command>[] }
  | { readonly type: 'apply'; readonly entries: readonly LogEntry<Command>[] }
  | { readonly type: 'role-changed'; readonly role: RaftState<Command>['role']; readonly term: number };

/** What the disk held at the start. */
export interface RaftRestored<Command> {
  readonly hard: HardState;
  readonly log: readonly LogEntry<Command>[];
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
}

export function createRaft<Command>(
  id: string,
  voters: readonly string[],
  restored?: RaftRestored<Command>,
): RaftState<Command> {
  if (voters.length !== 1 || voters[0] !== id)
    throw new Error(`raft: ${id} must be the only voter, not ${voters.join(', ')}`);
  const snapshotIndex = restored?.snapshotIndex ?? 0;
  return {
    id,
    voters,
    role: 'follower',
    hard: restored?.hard ?? { term: 0 },
    log: [...(restored?.log ?? [])],
    snapshotIndex,
    snapshotTerm: restored?.snapshotTerm ?? 0,
    persistedIndex: snapshotIndex + (restored?.log.length ?? 0),
    commitIndex: snapshotIndex,
  };
}

export function lastIndex<Command>(state: RaftState<Command>): number {
  return state.snapshotIndex + state.log.length;
}

export function stepRaft<Command>(state: RaftState<Command>, event: RaftEvent<Command>): RaftEffect<Command>[] {
  switch (event.type) {
    case 'start': {
      // A sole voter leads at once: its own vote is a majority as soon as it is on disk.
      state.role = 'candidate';
      state.hard = { term: state.hard.term + 1, votedFor: state.id };
      return [{ type: 'persist', hard: state.hard, entries: [] }];
    }
    case 'propose': {
      if (state.role !== 'leader') throw new Error('raft: only a leader proposes');
      return [{ type: 'persist', entries: append(state, event.commands) }];
    }
    case 'persisted':
      return persisted(state, event.term, event.index);
    case 'compacted': {
      const keepFrom = event.index - state.snapshotIndex;
      if (keepFrom <= 0 || event.index > state.commitIndex) return [];
      state.snapshotTerm = state.log[keepFrom - 1]!.term;
      state.snapshotIndex = event.index;
      state.log.splice(0, keepFrom);
      return [];
    }
  }
}

function append<Command>(state: RaftState<Command>, commands: readonly (Command | undefined)[]): LogEntry<Command>[] {
  const entries = commands.map((command, offset) => ({
    index: lastIndex(state) + 1 + offset,
    term: state.hard.term,
    ...(command === undefined ? {} : { command }),
  }));
  state.log.push(...entries);
  return entries;
}

function persisted<Command>(state: RaftState<Command>, term: number, index: number): RaftEffect<Command>[] {
  if (term !== state.hard.term) return []; // an answer of an earlier term proves nothing about this one
  state.persistedIndex = Math.max(state.persistedIndex, index);
  if (state.role === 'candidate') {
    state.role = 'leader';
    return [
      { type: 'role-changed', role: 'leader', term },
      { type: 'persist', entries: append(state, [undefined]) },
    ];
  }
  // Raft section 5.4.2: only an entry of the own term commits by counting, and with it all before.
  const newest = state.log[state.persistedIndex - state.snapshotIndex - 1];
  if (newest === undefined || newest.term !== term || state.persistedIndex <= state.commitIndex) return [];
  const from = state.commitIndex - state.snapshotIndex;
  state.commitIndex = state.persistedIndex;
  return [{ type: 'apply', entries: state.log.slice(from, state.commitIndex - state.snapshotIndex) }];
}

/** Throws when the log contradicts itself (I1). For tests and simulation. */
export function validateRaft<Command>(state: RaftState<Command>): void {
  for (const [offset, entry] of state.log.entries()) {
    if (entry.index !== state.snapshotIndex + 1 + offset)
      throw new Error(`raft: entry ${offset} has index ${entry.index}`);
    if (entry.term > state.hard.term)
      throw new Error(`raft: entry ${entry.index} is of term ${entry.term} > ${state.hard.term}`);
  }
  if (state.commitIndex > state.persistedIndex) throw new Error('raft: committed what is not on disk');
  if (state.persistedIndex > lastIndex(state)) throw new Error('raft: persisted what was never appended');
}
