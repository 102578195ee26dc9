import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const module = new URL('../../../node-runtime/shell/lean-heap.ts', import.meta.url).href;

/** What a process that has had a thread, and makes much that lives for a short while, has then of its heap, MiB. */
async function grownHeap(isLean: boolean): Promise<{ readonly young: number; readonly all: number }> {
  const program = `
    import { getHeapSpaceStatistics } from 'node:v8';
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    import { keepHeapLean, stayLeanBeside } from '${module}';
    if (${isLean}) keepHeapLean();
    const thread = new Worker('', { eval: true, execArgv: [] });
    stayLeanBeside(thread);
    await once(thread, 'exit');
    const kept = [];
    for (let round = 0; round < 500; round += 1) {
      kept.push(Array.from({ length: 2_000 }, (_, index) => ({ value: index + 0.5 })));
      if (kept.length > 40) kept.shift();
    }
    const sizes = getHeapSpaceStatistics().map(({ space_name, space_size }) => [space_name, space_size / 2 ** 20]);
    const all = sizes.reduce((sum, [, size]) => sum + size, 0);
    console.log(JSON.stringify({ young: Object.fromEntries(sizes).new_space, all }));
  `;
  const args = ['--import=tsx', '--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

describe('lean heap', () => {
  it('keeps the young generation as it is, and the old one near to what lives in it', async function () {
    this.timeout(60_000);
    const [lean, plain] = await Promise.all([grownHeap(true), grownHeap(false)]);
    assert.ok(lean.young < plain.young, `${lean.young} MiB of ${plain.young}`);
    assert.ok(lean.all < 0.75 * plain.all, `${lean.all} MiB of ${plain.all}`);
  });
});
