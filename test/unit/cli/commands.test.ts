import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { runCli } from '@foremesh/node-runtime/cli';
import type { JobState, Problem } from '@foremesh/node-runtime/contract';
import { until } from '../../support/until.ts';
import { resultOf, stateOf } from '../sdk/scripted-mesh.ts';
import type { FakeIo } from './fake-io.ts';
import { meshOfSuite } from './mesh-of-suite.ts';

describe('cli: commands', () => {
  const { mesh, newIo, path } = meshOfSuite();
  let io: FakeIo;

  before(async () => {
    await mesh.startHolder();
    await writeFile(path('map.ts'), 'export default (task: { input: { length: number } }) => task.input.length;\n');
    await writeFile(path('large.txt'), 'line\n'.repeat(100_000));
    await writeFile(
      path('job.yaml'),
      'name: numbers\nstages: { map: { code: map.ts, split: lines, input: large.txt } }\n',
    );
    await writeFile(path('wrong.yaml'), 'stages: { map: { code: map.ts, retrys: 3 } }\n');
  });
  beforeEach(() => {
    io = newIo();
    mesh.answer = () => undefined;
    mesh.onCancel = () => undefined;
    mesh.onSpec = ({ job, specHash }) => void mesh.publishEnd(job, specHash);
  });
  const run = (...argv: string[]) => runCli(argv, io);

  describe('submit', () => {
    it('uploads, follows, and prints the result to stdout and nothing else', async () => {
      mesh.onSpec = async ({ job, specHash }) => {
        await mesh.publishState(stateOf(job, specHash));
        await mesh.publishEnd(job, specHash);
      };
      assert.equal(await run('submit', 'job.yaml', '--id', 'first'), 0, io.err);
      assert.equal(io.text, '{\n  "sum": 6\n}\n');
      assert.match(io.err, /^large\.txt .* of 500 kB\nfirst: (accepted|done)/);
      assert.match(io.err, /done in 1\.2 s on 2 nodes: ada 3 tasks, bob 1 task\n$/);
      const { code, input } = mesh.specs.get('first')!.spec.stages.map!;
      assert.match((code as { inline: string }).inline, /export \{\s+map_default as default\s+\}/);
      assert.equal((input as { sizeBytes: number }).sizeBytes, 500_000);
    });

    it('writes the result to a file', async () => {
      assert.equal(await run('submit', 'job.yaml', '--out', 'table.json'), 0, io.err);
      assert.equal(await readFile(path('table.json'), 'utf8'), '{"sum":6}');
      assert.equal(io.text, '');
      assert.match(io.err, /wrote table\.json\n$/);
    });

    it('prints one document per line with --json', async () => {
      assert.equal(await run('--json', 'submit', 'job.yaml', '--id', 'lines'), 0, io.err);
      const events = io.documents.map(({ event }) => event);
      assert.equal(events[0], 'submitted');
      assert.equal(events.at(-1), 'result');
      assert.equal(io.err, '');
      const { result } = io.documents.at(-1) as { result: { outputs: object } };
      assert.deepEqual(result.outputs, { map: { encoding: 'json', value: { sum: 6 } } });
    });

    it('ends with 1 and the problem when the job failed, with 4 when it was cancelled', async () => {
      const problem: Problem = { code: 'MESH_TASK_THREW', message: 'Error: no\u001b[2J', where: 'map-2', mend: 'look' };
      mesh.onSpec = ({ job, specHash }) => void mesh.publishEnd(job, specHash, { phase: 'failed', problem });
      assert.equal(await run('submit', 'job.yaml'), 1);
      assert.match(io.err, /map-2: Error: no\ufffd\[2J \(MESH_TASK_THREW\)\n {2}look\n$/);
      mesh.onSpec = ({ job, specHash }) => void mesh.publishEnd(job, specHash, { phase: 'cancelled' });
      assert.equal(await run('submit', 'job.yaml'), 4);
    });

    it('ends with 2 when the mesh refuses the job, with 3 when nobody accepts it', async () => {
      mesh.onSpec = ({ job, specHash }) => {
        const problem = { code: 'MESH_QUOTA_EXCEEDED', message: 'jobsAtOnce is 5000', mend: 'wait for jobs to end' };
        void mesh.publishState(stateOf(job, specHash, { phase: 'refused', problem }));
      };
      assert.equal(await run('submit', 'job.yaml'), 2);
      assert.match(io.err, /jobsAtOnce is 5000 \(MESH_QUOTA_EXCEEDED\)\n {2}wait for jobs to end\n$/);
      mesh.onSpec = () => undefined;
      assert.equal(await run('submit', 'job.yaml', '--wait', '0.05'), 3);
      assert.match(io.err, /MESH_NO_LEADER/);
    });

    it('ends with 2 for a wrong job file or code, before it asks the mesh for anything', async () => {
      io.environment.FOREMESH_CONNECTION = 'foremesh://nobody:none@127.0.0.1:1/nowhere';
      assert.equal(await run('submit', 'wrong.yaml'), 2);
      assert.equal(io.err, 'wrong.yaml:1:32: unknown key "retrys"; did you mean "retries"? (MESH_SPEC_INVALID)\n');
      io.err = '';
      await writeFile(path('bad.ts'), 'import fs from "node:fs";\nexport default () => fs;\n');
      await writeFile(path('bad.yaml'), 'stages: { map: { code: bad.ts } }\n');
      assert.equal(await run('submit', 'bad.yaml', '--json'), 2);
      const { error } = JSON.parse(io.err) as { error: Problem };
      assert.equal(error.code, 'MESH_TASK_CODE_INVALID');
      assert.match(error.where!, /bad\.ts:1:16$/);
    });

    it('detaches when told to, and on ^C', async () => {
      mesh.onSpec = ({ job, specHash }) => void mesh.publishState(stateOf(job, specHash));
      assert.equal(await run('submit', 'job.yaml', '--detach', '--id', 'left'), 0, io.err);
      assert.equal(io.text, 'left\n');
      const running = run('submit', 'job.yaml', '--id', 'left');
      await until('it follows', () => io.err.includes('left: accepted'));
      assert.equal(io.interrupt(), true);
      assert.equal(await running, 130);
      assert.match(io.err, /the job goes on: foremesh job left --follow {4}to stop it: foremesh cancel left\n$/);
    });

    it('says on ^C that a job which nobody has accepted yet may still be', async () => {
      mesh.onSpec = () => undefined;
      const running = run('submit', 'job.yaml', '--id', 'unheard');
      await until('it is published', () => mesh.specs.has('unheard'));
      io.interrupt();
      assert.equal(await running, 130);
      assert.match(io.err, /interrupted before unheard was accepted; it may still be: foremesh job unheard\n$/);
    });
  });

  describe('job, jobs, cancel', () => {
    const state: JobState = stateOf('old', 'h', {
      phase: 'failed',
      revision: 9,
      elapsedMs: 61_000,
      problem: { code: 'MESH_TASK_THREW', message: 'Error: seven\n  at map' },
      stages: [{ stage: 'map', tasks: 2, waiting: 0, running: 0, done: 1, failed: 1, progress: 0.5 }],
    });

    it('shows a job with its stages and tasks', async () => {
      mesh.answer = () => ({
        query: 'job',
        state,
        tasks: [
          { task: 'map-0', stage: 'map', state: 'done', node: 'ada', attempts: 1, progress: 1 },
          { task: 'map-1', stage: 'map', state: 'failed', attempts: 3, progress: 0, problem: state.problem! },
        ],
        truncated: 1,
      });
      assert.equal(await run('job', 'old'), 0, io.err);
      assert.equal(
        io.text,
        `old  failed after 1 min 1 s
  map  ████████████░░░░░░░░░░░░   50 %  1/2  1 failed
Error: seven
  at map (MESH_TASK_THREW)

STAGE  TASKS  DONE  FAILED  PROGRESS
map        2     1       1      50 %

TASK   STATE   NODE  ATTEMPTS  PROGRESS  PROBLEM
map-0  done    ada          1     100 %
map-1  failed               3       0 %  Error: seven (MESH_TASK_THREW)
and 1 task more
`,
      );
    });

    it('says that there is no such job', async () => {
      mesh.answer = () => ({ query: 'error', problem: { code: 'MESH_JOB_UNKNOWN', message: 'there is no job "x"' } });
      assert.equal(await run('job', 'x'), 2);
      assert.equal(io.err, 'there is no job "x" (MESH_JOB_UNKNOWN)\n');
    });

    it('follows a job that exists to its result', async () => {
      await mesh.publishEnd('known', 'h');
      assert.equal(await run('job', 'known', '--follow'), 0, io.err);
      assert.equal(io.text, '{\n  "sum": 6\n}\n');
    });

    it('lists jobs, as a table and as JSON', async () => {
      mesh.answer = () => ({ query: 'jobs', jobs: [state], truncated: 0 });
      assert.equal(await run('jobs'), 0, io.err);
      assert.equal(
        io.text,
        `JOB  PHASE   PROGRESS  TASKS  PRIORITY       TIME  PROBLEM
old  failed      50 %    1/2         5  1 min 1 s  Error: seven
`,
      );
      io.out = Buffer.alloc(0);
      assert.equal(await run('jobs', '--json', '--phase', 'failed'), 0);
      assert.deepEqual(io.documents, [{ jobs: [state], truncated: 0 }]);
      assert.deepEqual(mesh.asks.at(-1), { ...mesh.asks.at(-1), query: 'jobs', phase: 'failed' });
    });

    it('cancels, and says when it came too late', async () => {
      mesh.answer = () => ({ query: 'job', state: stateOf('go', 'h', { phase: 'running' }), tasks: [], truncated: 0 });
      mesh.onCancel = async () => {
        await mesh.publishResult(resultOf('go', 'h', { phase: 'cancelled' }));
        await mesh.publishState(stateOf('go', 'h', { phase: 'cancelled', revision: 5 }));
      };
      assert.equal(await run('cancel', 'go', '--reason', 'no need'), 0, io.err);
      assert.equal(mesh.cancels.at(-1)!.reason, 'no need');
      assert.equal(io.err, 'go is cancelled\n');
      mesh.answer = () => ({ query: 'job', state, tasks: [], truncated: 0 });
      io.err = '';
      assert.equal(await run('cancel', 'old'), 0);
      assert.equal(io.err, 'old is failed already\n');
    });
  });
});
