import assert from 'node:assert/strict';
import { type LogEntry, lastIndex, type RaftState, termAt } from '@foremesh/node-runtime/core';

/** A committed entry, as the dumb model keeps it: one list that only grows. */
interface Committed {
  readonly term: number;
  readonly text: string;
}

/** What Raft promises, checked from outside: it looks at all machines at once, and at what their disks hold. */
export class RaftModel {
  readonly committed: Committed[] = [];
  /** The term in which an entry was committed for the first time, by index. */
  private readonly committedInTerm: number[] = [];
  private readonly leaders = new Map<number, string>();
  private readonly commitSeen = new Map<string, number>();
  private readonly termSeen = new Map<string, number>();
  /** What each leader appended: entries by index and term are one and the same everywhere. */
  private readonly entries = new Map<string, string>();

  led(id: string, term: number, state: RaftState<string>): void {
    const other = this.leaders.get(term);
    assert.ok(other === undefined || other === id, `election safety: ${other} and ${id} lead in term ${term}`);
    this.leaders.set(term, id);
    for (const [offset, { term: wanted }] of this.committed.entries()) {
      const index = offset + 1;
      // What was committed in this term or a later one is no business of an election that is over.
      if (this.committedInTerm[offset]! >= term || index <= state.snapshotIndex) continue;
      assert.equal(
        termAt(state, index),
        wanted,
        `leader completeness: ${id} leads in term ${term} without entry ${index}`,
      );
    }
  }

  applied(id: string, term: number, entries: readonly LogEntry<string>[]): void {
    for (const entry of entries) {
      const text = textOf(entry);
      const before = this.committed[entry.index - 1];
      if (before === undefined) {
        assert.equal(entry.index, this.committed.length + 1, `${id} applies ${entry.index} before what comes before`);
        this.committed.push({ term: entry.term, text });
        this.committedInTerm.push(term);
      } else {
        assert.deepEqual(
          { term: entry.term, text },
          before,
          `state machine safety: ${id} applies another entry ${entry.index}`,
        );
      }
    }
  }

  /** After every step of a machine. */
  stepped(id: string, state: RaftState<string>): void {
    const term = this.termSeen.get(id) ?? 0;
    assert.ok(state.hard.term >= term, `${id} went back from term ${term} to ${state.hard.term}`);
    this.termSeen.set(id, state.hard.term);
    const commit = this.commitSeen.get(id) ?? 0;
    assert.ok(state.commitIndex >= commit, `${id} went back from commit ${commit} to ${state.commitIndex}`);
    this.commitSeen.set(id, state.commitIndex);
    assert.ok(state.commitIndex <= this.committed.length, `${id} knows of commits that nobody applied`);
    for (let at = Math.max(0, state.log.length - 4); at < state.log.length; at += 1) this.matches(id, state.log[at]!);
  }

  /** Log matching: an index and a term name one entry, and all that comes before it. */
  private matches(id: string, entry: LogEntry<string>): void {
    const key = `${entry.index}:${entry.term}`;
    const before = this.entries.get(key);
    const text = textOf(entry);
    assert.ok(before === undefined || before === text, `log matching: entry ${key} of ${id} is another one`);
    this.entries.set(key, text);
  }

  /** The whole of the logs, pairwise: costs more, so from time to time. */
  compareLogs(states: readonly RaftState<string>[]): void {
    for (const [n, a] of states.entries()) {
      for (const b of states.slice(n + 1)) {
        let equal = false;
        for (
          let index = Math.min(lastIndex(a), lastIndex(b));
          index > Math.max(a.snapshotIndex, b.snapshotIndex);
          index -= 1
        ) {
          const same = termAt(a, index) === termAt(b, index);
          assert.ok(same || !equal, `log matching: ${a.id} and ${b.id} agree after ${index}, and not there`);
          equal ||= same;
        }
      }
    }
  }

  /** After a crash: disk may have lost what nobody was told of, and nothing else. */
  restarted(id: string, state: RaftState<string>): void {
    assert.ok(state.hard.term <= (this.termSeen.get(id) ?? 0), `${id} has a term on disk that it never had`);
    this.termSeen.set(id, state.hard.term);
    this.commitSeen.set(id, state.commitIndex);
  }
}

export function textOf({ command, configuration }: LogEntry<string>): string {
  return configuration === undefined ? (command ?? '-') : JSON.stringify(configuration);
}
