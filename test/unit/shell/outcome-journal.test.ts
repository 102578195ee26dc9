import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Outcome } from '../../../node-runtime/contract/index.ts';
import { encodeFrame } from '../../../node-runtime/shell/frames.ts';
import { OutcomeJournal } from '../../../node-runtime/shell/outcome-journal.ts';
import { endAll, meshError, scratch } from './scratch.ts';

const usage = { cpuMs: 1.5, wallMs: 2, peakMemoryBytes: 3, inputBytes: 4, outputBytes: 5 };

function done(n: number, bytes = 10): Outcome {
  return {
    type: 'done',
    attempt: `owner/job/t-${n}#1.${n}`,
    usage,
    output: { encoding: 'bytes', inline: Buffer.alloc(bytes, n) },
  };
}
function failed(n: number): Outcome {
  return {
    type: 'failed',
    attempt: `owner/job/t-${n}#1.${n}`,
    usage,
    fault: 'task',
    code: 'MESH_TASK_THREW',
    message: 'no',
  };
}
function attempts(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(({ attempt }) => attempt);
}

describe('OutcomeJournal', () => {
  let file: string;
  const reopened = () => {
    const journal = new OutcomeJournal(file);
    const held = journal.held();
    journal.close();
    return held;
  };
  beforeEach(async () => {
    file = join(await scratch(), 'node', 'outcomes');
  });
  afterEach(endAll);

  it('gives back what was kept and not forgotten, as it was', () => {
    const journal = new OutcomeJournal(file);
    assert.deepEqual(journal.held(), []);
    for (const outcome of [done(1), failed(2), done(3)]) journal.keep(outcome);
    journal.forget([done(1).attempt, 'owner/job/unknown#1.9']);
    assert.deepEqual(journal.held(), [failed(2), done(3)]);
    journal.close();
    assert.deepEqual(reopened(), [failed(2), done(3)]);
    assert.deepEqual(reopened(), [failed(2), done(3)]);
  });

  it('loses the last outcome alone to a write that was cut off, and goes on behind it', async () => {
    const journal = new OutcomeJournal(file);
    for (const n of [1, 2, 3]) journal.keep(done(n));
    journal.close();
    const bytes = await readFile(file);
    for (let cut = 1; cut < bytes.length / 3; cut += 7) {
      await writeFile(file, bytes);
      await truncate(file, bytes.length - cut);
      const mended = new OutcomeJournal(file);
      assert.deepEqual(attempts(mended.held()), attempts([done(1), done(2)]));
      mended.keep(done(4));
      mended.close();
      assert.deepEqual(attempts(reopened()), attempts([done(1), done(2), done(4)]));
    }
  });

  it('passes over frames of another release', async () => {
    new OutcomeJournal(file).close();
    await appendFile(
      file,
      Buffer.concat([{ keep: { type: 'moved' } }, 7, null, [], { drop: 1 }, { keep: done(1) }].map(encodeFrame)),
    );
    assert.deepEqual(reopened(), [done(1)]);
  });

  it('keeps its file small, whether something is always held or nothing is', async () => {
    const journal = new OutcomeJournal(file);
    journal.keep(failed(0));
    for (let n = 1; n <= 60; n += 1) {
      journal.keep(done(n, 100_000));
      journal.forget([done(n).attempt]);
    }
    assert.ok((await stat(file)).size < 3e6, `${(await stat(file)).size} bytes`);
    journal.keep(done(61));
    journal.close();
    assert.deepEqual(reopened(), [failed(0), done(61)]);

    const again = new OutcomeJournal(file);
    again.forget([failed(0).attempt]);
    for (let n = 0; n < 20; n += 1) again.keep(done(n, 100_000));
    for (let n = 0; n < 20; n += 1) again.forget([done(n).attempt]);
    again.forget([done(61).attempt]);
    assert.equal((await stat(file)).size, 0);
    again.close();
    assert.deepEqual(reopened(), []);
  });

  it('says which file it cannot open', async () => {
    await mkdir(file, { recursive: true });
    assert.throws(() => new OutcomeJournal(file), meshError('MESH_STORAGE_FAILED', file));
  });
});
