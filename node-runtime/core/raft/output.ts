import type { Configuration } from './configuration.ts';
import type { LogEntry, RaftEffect, RaftMessage, Vote } from './messages.ts';
import { lastIndex, type RaftState } from './state.ts';

/** What one step wants done. Gathered, so that a step makes one write at most, and answers wait for it. */
export class Output<Command> {
  hardChanged = false;
  readonly entries: LogEntry<Command>[] = [];
  install: { readonly index: number; readonly term: number; readonly configuration: Configuration } | undefined;
  readonly applied: LogEntry<Command>[] = [];
  readonly fetches: Extract<RaftEffect<Command>, { type: 'fetch-snapshot' }>[] = [];
  votes: readonly Vote[] | undefined;
  private readonly now: { to: string; message: RaftMessage<Command> }[] = [];
  private readonly afterWrite: { to: string; message: RaftMessage<Command> }[] = [];

  /** Says nothing about this disk that was not there before: a leader's appends, whose term its votes have made durable. */
  send(to: string, message: RaftMessage<Command>): void {
    this.now.push({ to, message });
  }

  /** Rests on what this or an earlier step has written: leaves when that is fsynced. */
  sendDurable(to: string, message: RaftMessage<Command>): void {
    this.afterWrite.push({ to, message });
  }

  /** The sequence that a write of this step will have. */
  nextSequence(state: RaftState<Command>): number {
    return state.sequence + (this.install === undefined ? 1 : 2);
  }

  flush(state: RaftState<Command>): RaftEffect<Command>[] {
    const effects: RaftEffect<Command>[] = [];
    this.reportRole(state, effects);
    if (this.install !== undefined) {
      state.sequence += 1;
      state.writes.push({ sequence: state.sequence, lastIndex: lastIndex(state) });
      effects.push({ type: 'install-snapshot', sequence: state.sequence, ...this.install });
    }
    if (this.hardChanged || this.entries.length > 0) {
      state.sequence += 1;
      state.writes.push({ sequence: state.sequence, lastIndex: lastIndex(state) });
      const hard = this.hardChanged ? { hard: state.hard } : {};
      effects.push({ type: 'persist', sequence: state.sequence, ...hard, entries: this.entries });
    }
    if (this.applied.length > 0) effects.push({ type: 'apply', entries: this.applied });
    effects.push(...this.fetches);
    for (const { to, message } of this.now) effects.push({ type: 'send', to, message });
    for (const { to, message } of this.afterWrite) state.held.push({ sequence: state.sequence, to, message });
    releaseHeld(state, effects);
    return effects;
  }

  private reportRole(state: RaftState<Command>, effects: RaftEffect<Command>[]): void {
    const role = state.role === 'leader' ? 'leader' : 'follower';
    const { term } = state.hard;
    // A term in which nobody leads yet is no news to anybody.
    const reported = state.leader === undefined ? role : `${role} ${term} ${state.leader}`;
    if (reported === state.reported || (state.reported === '' && state.leader === undefined)) return;
    state.reported = reported;
    const leader = state.leader === undefined ? {} : { leader: state.leader };
    const votes = role === 'leader' && this.votes !== undefined ? { votes: this.votes } : {};
    effects.push({ type: 'role-changed', role, term, ...leader, ...votes });
  }
}

function releaseHeld<Command>(state: RaftState<Command>, effects: RaftEffect<Command>[]): void {
  while (state.held.length > 0 && state.held[0]!.sequence <= state.persistedSequence) {
    const { to, message } = state.held.shift()!;
    // What was true of a past term helps nobody in this one.
    if (message.term >= state.hard.term) effects.push({ type: 'send', to, message });
  }
}
