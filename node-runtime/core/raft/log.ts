import type { LogEntry } from './messages.ts';
import type { Output } from './output.ts';
import { configurationsOf, lastIndex, type RaftState, termAt } from './state.ts';

export function appendEntries<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  entries: readonly LogEntry<Command>[],
): void {
  state.log.push(...entries);
  out.entries.push(...entries);
  state.configurations.push(...configurationsOf(entries));
}

/** Drops every entry after `index`; what was written of them no longer counts. */
export function truncate<Command>(state: RaftState<Command>, index: number): void {
  if (index < state.commitIndex)
    throw new Error(`raft: ${state.id} would drop what is committed: ${index} < ${state.commitIndex}`);
  state.log.splice(index - state.snapshotIndex);
  forgetWritten(state, index);
  while (state.configurations.length > 1 && state.configurations.at(-1)!.index > index) state.configurations.pop();
}

export function forgetWritten<Command>(state: RaftState<Command>, index: number): void {
  state.persistedIndex = Math.min(state.persistedIndex, index);
  for (const write of state.writes) write.lastIndex = Math.min(write.lastIndex, index);
}

/** The last entry up to `index` that is of this term or an older one: no entry between can be in both logs. */
export function lastUpToTerm<Command>(state: RaftState<Command>, index: number, term: number): number {
  let at = Math.min(index, lastIndex(state));
  while (at > state.snapshotIndex && termAt(state, at)! > term) at -= 1;
  return at;
}

export function commitTo<Command>(state: RaftState<Command>, out: Output<Command>, index: number): void {
  const to = Math.min(index, state.persistedIndex);
  if (to <= state.commitIndex) return;
  const from = state.commitIndex - state.snapshotIndex;
  state.commitIndex = to;
  out.applied.push(...state.log.slice(from, to - state.snapshotIndex));
}

export function dropUpTo<Command>(state: RaftState<Command>, index: number): void {
  const keepFrom = index - state.snapshotIndex;
  if (keepFrom <= 0 || index > state.commitIndex) return;
  state.snapshotTerm = state.log[keepFrom - 1]!.term;
  state.snapshotIndex = index;
  state.log.splice(0, keepFrom);
  while (state.configurations.length > 1 && state.configurations[1]!.index <= index) state.configurations.shift();
}
