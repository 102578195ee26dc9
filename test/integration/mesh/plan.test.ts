import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PlanAnswer } from '@foremesh/node-runtime/contract';
import { Fleet } from './fleet.ts';
import { ForemeshProcess } from './processes.ts';

/** Burns CPU for each line as long as it says, in rounds of the reference machine. */
const code = `export default async (task) => {
  let sum = 0;
  for await (const line of task.input) for (let round = 0; round < 400000; round += 1) sum = (sum + round * line.length) % 9973;
  return sum;
}`;

describe('foremesh plan, on a mesh', function () {
  this.timeout(120_000);
  let fleet: Fleet;
  let folder: string;
  before(async () => {
    fleet = await Fleet.start();
    await fleet.startNode('bob');
    folder = await mkdtemp(join(tmpdir(), 'foremesh-plan-'));
  });
  after(async () => {
    await fleet?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  const foremesh = (...words: string[]) =>
    new ForemeshProcess(words, { FOREMESH_CONNECTION: fleet.connectionString }, ['env', '-C', folder]).exited;
  const job = async (name: string, yaml: string) => {
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(join(folder, name, 'task.js'), code);
    await writeFile(join(folder, name, 'lines.txt'), 'a line of text\n'.repeat(64));
    await writeFile(join(folder, name, 'job.yaml'), yaml);
  };
  const stages = (more: string) =>
    `stages:\n  burn: { code: task.js, input: lines.txt, split: { by: lines, chunks: 8 }, ${more} }\n`;
  const planOf = async (...words: string[]): Promise<PlanAnswer> => {
    const { code: exit, stdout, stderr } = await foremesh('plan', ...words, '--json');
    assert.equal(exit, 0, stderr);
    return (JSON.parse(stdout) as { plan: PlanAnswer }).plan;
  };

  it('says what nobody knows, then what the author says, then what tasks took, and leaves nothing behind', async () => {
    await job('burn', stages('merge: array'));
    const unknown = await foremesh('plan', 'burn');
    assert.equal(unknown.code, 2, unknown.stderr);
    assert.match(unknown.stdout, /MESH_WORK_UNKNOWN nobody knows .* burn take/);
    await job('burn', stages('merge: array, estimate: 40s'));
    const said = await foremesh('plan', 'burn', '--svg', 'plan.svg');
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /^burn: 1 stage, 9 tasks, 2 nodes\n/);
    assert.match(said.stdout, /as its author says/);
    assert.match(said.stdout, /\n {2}(ada|bob) 1 +[bB]+/);
    assert.match(said.stdout, /\nplan: [12] nodes?, \d\d:\d\d:\d\d \(90 %\)\n$/);
    assert.match(await readFile(join(folder, 'plan.svg'), 'utf8'), /^<svg [\s\S]*burn-0: [\s\S]*<\/svg>\n$/);
    const { stdout: jobs } = await foremesh('jobs', '--json');
    assert.deepEqual((JSON.parse(jobs) as { jobs: unknown[] }).jobs, [], 'nothing is submitted');
    const { stdout: data } = await foremesh('data', '--json');
    assert.ok(!data.includes('"lines'), data);
    const ran = await foremesh('run', 'burn', '--id', 'burn');
    assert.equal(ran.code, 0, ran.stderr);
    const plan = await planOf('burn');
    assert.equal(plan.stages[0]!.basis, 'own');
    assert.equal(plan.tasks.length, 9);
    const single = await planOf('burn', '--algorithm', 'single');
    assert.equal(single.algorithm, 'single');
    assert.equal(new Set(single.tasks.map(({ node }) => node)).size, 1);
    const dead = await foremesh('plan', '--id', 'nothing');
    assert.equal(dead.code, 2);
    assert.match(dead.stderr, /no job "nothing".*MESH_JOB_UNKNOWN/);
  });

  it('finds what is wrong with a graph, and names it', async () => {
    const wrong = async (yaml: string) => {
      await job('wrong', yaml);
      const { code: exit, stderr } = await foremesh('plan', 'wrong');
      assert.equal(exit, 2, stderr);
      return stderr;
    };
    const stage = (name: string, needs: string) => `  ${name}: { code: task.js, needs: [${needs}] }\n`;
    const circle = await wrong(`stages:\n${stage('a', 'b')}${stage('b', 'a')}${stage('c', 'b')}`);
    assert.match(circle, /circle: a -> b -> a/);
    assert.match(circle, /"c" can never start: it needs "b"/);
    assert.match(await wrong(`stages:\n  a: { code: task.js }\n${stage('b', 'x')}`), /there is no stage "x"/);
    assert.match(await wrong('stages:\n  a: { code: task.js }\n  a: { code: task.js }\n'), /"a" is there twice/);
  });

  it('says of a deadline that it will not be met, runs the job, and keeps the promise that it made', async () => {
    await job(
      'late',
      `deadline: 100ms\nconfidence: 0.8\n${stages('merge: array, estimate: 2000s, limits: { memoryMiB: 48 }')}`,
    );
    // Other code, so that nothing is known of it but what its author says; and so long that a promise is worth while.
    await writeFile(join(folder, 'late', 'task.js'), code.replace('9973', '9967').replace('400000', '2000000'));
    const dry = await foremesh('plan', 'late');
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(
      dry.stdout,
      /MESH_DEADLINE_UNLIKELY the deadline in 0\.1 s is met with 0 %, asked for were 80 %; .* \(50 %\), .* \(80 %\)/,
    );
    const ran = await foremesh('submit', 'late/job.yaml', '--id', 'late', '--json');
    assert.equal(ran.code, 0, ran.stderr);
    const states = ran.stdout
      .trim()
      .split('\n')
      .map(
        (line) => JSON.parse(line) as { event: string; state?: { deadline?: { missed: boolean }; promise?: unknown } },
      );
    const last = states.filter(({ event }) => event === 'state').at(-1)!;
    assert.equal(last.state!.deadline!.missed, true);
    assert.ok(last.state!.promise !== undefined, 'it was promised');
    const { stdout } = await foremesh('jobs', '--promises');
    assert.match(stdout, /late .* 80 %/);
    assert.match(stdout, /\d+ of \d+ promises? held \(\d+ %; \d+ % were to\)\n$/);
  });
});
