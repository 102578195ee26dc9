import { OutcomeJournal } from '../../../node-runtime/shell/outcome-journal.ts';
import { LogStore } from '../../../node-runtime/shell/voter/log-store.ts';
import { entry } from '../../unit/shell/entries.ts';

/**
 * Persists in a loop until it is killed, and prints what was acknowledged. Arguments: what, path, first number, and bytes
 * of text per entry.
 */
const [what, path, first, bytes] = process.argv.slice(2) as [string, string, string, string];
const text = 'x'.repeat(Number(bytes));
let last = Number(first);

async function persistLog(): Promise<void> {
  const { store, restored } = await LogStore.open(path);
  const log = [...restored.log];
  let snapshotIndex = restored.snapshotIndex;
  process.stdout.write(`found ${snapshotIndex + log.length}\n`);
  if (restored.hard.term === 0) await store.persist({ term: 1, votedFor: 'ada' }, []);
  last = snapshotIndex + log.length;
  for (let round = 1; ; round += 1) {
    const entries = Array.from({ length: (round % 3) + 1 }, (_, offset) => entry(last + 1 + offset, text));
    last += entries.length;
    log.push(...entries);
    const acknowledged = last;
    const persisted = store.persist(undefined, entries);
    if (round % 20 === 0) {
      const index = snapshotIndex + log.length - 5;
      log.splice(0, index - snapshotIndex);
      snapshotIndex = index;
      await store.compact(index, 1, { upTo: index }, [...log]);
    }
    await persisted;
    process.stdout.write(`${acknowledged}\n`);
  }
}

function keepOutcomes(): void {
  const journal = new OutcomeJournal(path);
  const usage = { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 };
  const keep = () => {
    last += 1;
    journal.keep({
      type: 'failed',
      attempt: `owner/job/t-0#1.${last}`,
      usage,
      fault: 'task',
      code: 'X',
      message: text,
    });
    process.stdout.write(`${last}\n`);
    setImmediate(keep);
  };
  keep();
}

if (what === 'log') {
  await persistLog().catch((error: { code?: string }) => {
    process.stdout.write(`error ${error.code}\n`);
  });
} else {
  keepOutcomes();
}
