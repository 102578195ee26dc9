import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobState, StageState } from '@foremesh/node-runtime/contract';
import { bar, clip, type JobProgress, plainJob, renderJob, renderUploads } from '../../../node-runtime/cli/progress.ts';
import { coloured, plain } from '../../../node-runtime/cli/style.ts';
import { widthOf } from '../../../node-runtime/cli/text.ts';

const golden = join(import.meta.dirname, 'progress.golden.txt');

function stage(name: string, more: Partial<StageState> = {}): StageState {
  return { stage: name, tasks: 48, waiting: 48, running: 0, done: 0, failed: 0, progress: 0, ...more };
}

function job(more: Partial<JobState>, runningByNode?: Record<string, number>): JobProgress {
  const state: JobState = {
    v: 1,
    account: 'owner',
    job: 'flights-7k2m9q',
    specHash: 'h',
    phase: 'running',
    priority: 5,
    stages: [],
    elapsedMs: 12_400,
    term: 1,
    revision: 1,
    ...more,
  };
  const atMs = new Date(2026, 6, 1, 14, 2, 0).getTime();
  return runningByNode === undefined ? { state, atMs } : { state, runningByNode, atMs };
}

const uncut = { tasks: 0, waiting: 0 };
const noRoom = {
  code: 'MESH_NO_ROOM',
  message: 'no node has 900 MB: ada 760 MB, bob 230 MB',
  mend: 'foremesh share bob 50%',
};
const nodes = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`pi-${i}`, 1 + (i % 2)]));

const scenes: Record<string, JobProgress> = {
  accepted: job({
    phase: 'accepted',
    stages: [stage('map', { ...uncut, reason: 'index' }), stage('merge', { ...uncut, reason: 'needs' })],
  }),
  'half done on three nodes': job(
    {
      remainingMs: 14_200,
      stages: [
        stage('map', { waiting: 16, running: 4, done: 28, progress: 0.6123 }),
        stage('merge', { ...uncut, reason: 'needs' }),
      ],
    },
    { cyd: 1, ada: 2, bob: 1 },
  ),
  'almost done': job(
    { remainingMs: 100, stages: [stage('map', { waiting: 0, running: 1, done: 47, progress: 0.9999 })] },
    { ada: 1 },
  ),
  'with a promise': job({
    finish: { q10Ms: 12_000, q50Ms: 20_000, q90Ms: 31_000 },
    remainingMs: 14_200,
    stages: [stage('map', { waiting: 16, running: 4, done: 28, progress: 0.6123 })],
  }),
  'into the next day': job({ finish: { q90Ms: 40_000_000 }, stages: [stage('map')] }),
  'a promise that was kept': job({
    ...{ phase: 'done', elapsedMs: 41_000, promise: { withinMs: 44_000, confidence: 0.9, madeMs: 1_200 } },
    stages: [stage('map', { waiting: 0, done: 48, progress: 1 })],
  }),
  done: job({ phase: 'done', elapsedMs: 41_000, stages: [stage('map', { waiting: 0, done: 48, progress: 1 })] }),
  'failed, and one waits': job({
    phase: 'failed',
    stages: [
      stage('map', { waiting: 20, failed: 1, done: 27, progress: 0.56 }),
      stage('a-longer-name', { ...uncut, reason: 'needs' }),
    ],
    problem: { code: 'MESH_TASK_THREW', message: 'shown elsewhere' },
  }),
  'no room': job({ phase: 'accepted', stages: [stage('map', { reason: 'unplaceable' })], problem: noRoom }),
  'connection lost': {
    ...job({ stages: [stage('map', { running: 2, waiting: 46, progress: 0.02 })] }),
    connected: false,
  },
  'many nodes': job({ stages: [stage('map', { running: 16, waiting: 32, progress: 0.01 })] }, nodes),
};

describe('golden: progress', () => {
  it('is drawn as it was', async () => {
    const shown: string[] = [];
    for (const columns of [100, 60, 30]) {
      shown.push(`# ${columns} columns`, '');
      for (const [name, progress] of Object.entries(scenes)) {
        shown.push(`## ${name}`, ...renderJob(progress, { columns, paint: plain }), '');
      }
    }
    shown.push('# one line', '', ...Object.values(scenes).map(plainJob), '');
    const uploads = [
      { shown: 'flights-200k.json', doneBytes: 4_200_000, totalBytes: 9_863_892 },
      { shown: 'empty.txt', doneBytes: 0, totalBytes: 0 },
    ];
    shown.push('# uploads', '', ...renderUploads(uploads, { columns: 80, paint: plain }), '');
    const text = shown.join('\n');
    if (process.env.UPDATE_GOLDEN === '1') await writeFile(golden, text);
    assert.equal(text, await readFile(golden, 'utf8'), 'run with UPDATE_GOLDEN=1 and look at the difference');
  });

  it('is never wider than the terminal, coloured or not', () => {
    for (let columns = 12; columns <= 120; columns += 3) {
      for (const progress of Object.values(scenes)) {
        for (const paint of [plain, coloured]) {
          for (const line of renderJob(progress, { columns, paint }))
            assert.ok(widthOf(line) < columns, `${columns}: ${line}`);
        }
      }
    }
  });

  it('is coloured only by escape sequences: without them it is the plain text', () => {
    for (const progress of Object.values(scenes)) {
      const lines = renderJob(progress, { columns: 100, paint: coloured });
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
      const bare = lines.map((line) => line.replace(/\u001b\[[0-9;]*m/g, ''));
      assert.deepEqual(bare, renderJob(progress, { columns: 100, paint: plain }));
    }
  });

  it('has bars of exact width that are full only at the end', () => {
    for (const fraction of [-1, 0, 0.01, 0.4999, 0.5, 0.999, 0.999999, 1, 2]) {
      assert.equal(bar(fraction, 10).length, 10);
      assert.equal(bar(fraction, 10) === '██████████', fraction >= 1);
    }
    assert.equal(bar(0.55, 10), '█████▌░░░░');
    assert.equal(clip('日本語', 4), '日…');
  });
});
