import type { LedgerCommand, LogEntry } from '../../../node-runtime/core/index.ts';

export type Entry = LogEntry<LedgerCommand>;

/** An entry that can be told apart by its text. */
export function entry(index: number, text = `entry ${index}`, term = 1): Entry {
  const command: LedgerCommand = {
    type: 'end-job',
    account: 'owner',
    job: `job-${index}`,
    atMs: index,
    phase: 'failed',
    problem: { code: 'MESH_TASK_THREW', message: text },
  };
  return { index, term, command };
}

export function entriesFrom(first: number, count: number): Entry[] {
  return Array.from({ length: count }, (_, offset) => entry(first + offset));
}

/** As the log gives them back: plain objects, whatever CBOR made of them. */
export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
