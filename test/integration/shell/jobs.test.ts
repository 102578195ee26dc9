import assert from 'node:assert/strict';
import { encode, limits, type ResultOutput } from '@foremesh/node-runtime/contract';
import { jobOf, Mesh, stageOf } from './mesh.ts';
import { endAll, until } from './support.ts';

function shown(output: ResultOutput | undefined): unknown {
  if (output === undefined) return undefined;
  if ('value' in output) return output.value;
  return 'base64' in output ? Buffer.from(output.base64, 'base64').toString() : output;
}

/** A task that spins until it is stopped; its limits are far away. */
const spins = 'for (;;) { task.progress(0.5); await null; }';

describe('jobs in a real mesh of one', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await Mesh.start();
  });
  after(endAll);

  it('small outputs travel inline, in every encoding', async () => {
    const { outputs, phase } = await mesh.run('small', {
      stages: {
        json: stageOf('return { a: [1, null, "x"] }'),
        text: stageOf('return task.text("hé")'),
        bytes: stageOf('return new TextEncoder().encode("bytes")'),
      },
    });
    assert.equal(phase, 'done');
    assert.deepEqual(shown(outputs!.json), { a: [1, null, 'x'] });
    assert.deepEqual([shown(outputs!.text), shown(outputs!.bytes)], ['hé', 'bytes']);
  });

  it('outputs above the inline limits go by blob: between stages and in the result', async () => {
    const bytes = limits.inlineResultBytes + 1_000;
    const { outputs, problem } = await mesh.run('large', {
      stages: {
        many: stageOf(`return task.text('x'.repeat(${limits.inlineOutputBytes + 1}))`),
        more: { ...stageOf(`return task.needs.many + '.'.repeat(${bytes})`), needs: ['many'] },
      },
    });
    assert.equal(problem, undefined);
    const output = outputs!.more as { blob: string; sizeBytes: number };
    assert.match(output.blob, /^sha256-/);
    assert.equal(output.sizeBytes, limits.inlineOutputBytes + 1 + bytes + 2);
  });

  it('a merge of more parts than an assignment can name has its input spilled, in order', async function () {
    this.timeout(60_000);
    const parts = 300;
    const lines = Array.from({ length: parts }, (_, n) => n).join('\n');
    const { outputs } = await mesh.run('spilled', {
      stages: {
        parts: {
          ...stageOf('return task.input.text().trim() + ":" + "x".repeat(1000)'),
          input: { inline: lines },
          split: { by: 'lines', chunks: parts },
          merge: { inline: 'export default (task) => task.parts.map((part) => Number(part.split(":")[0]))' },
        },
      },
    });
    assert.deepEqual(shown(outputs?.parts), lines.split('\n').map(Number));
  });

  it('a merge of large parts is fetched in measure: nobody is drowned', async function () {
    this.timeout(60_000);
    const parts = 40;
    const { outputs } = await mesh.run('heavy', {
      stages: {
        parts: {
          ...stageOf('return task.text(task.input.text().trim().padEnd(200000, String(Math.random())))'),
          input: { inline: Array.from({ length: parts }, (_, n) => n).join('\n') },
          split: { by: 'lines', chunks: parts },
          merge: { inline: 'export default (task) => task.parts.reduce((sum, part) => sum + part.length, 0)' },
          limits: { memoryMiB: 256 },
        },
      },
    });
    assert.equal(shown(outputs?.parts), parts * 200_000);
  });

  it('an input larger than one payload is split, and every record counted once', async () => {
    const lines = Array.from({ length: 3_000 }, (_, n) => `${n}`.padEnd(20, '.'));
    const { outputs } = await mesh.run('counted', {
      stages: {
        make: stageOf(
          `return task.text(Array.from({ length: ${lines.length} }, (_, n) => String(n).padEnd(20, '.') + '\\n').join(''))`,
        ),
        count: {
          ...stageOf('let sum = 0; for await (const line of task.input) sum += parseInt(line); return sum'),
          needs: ['make'],
          split: { by: 'lines', chunks: 7 },
          merge: { inline: 'export default (task) => task.parts' },
        },
      },
    });
    const sums = shown(outputs?.count) as number[];
    assert.equal(sums.length, 7);
    assert.equal(
      sums.reduce((sum, each) => sum + each, 0),
      (2_999 * 3_000) / 2,
    );
  });

  it('a task that throws is tried again, and then its job fails and says why', async () => {
    const { phase, problem } = await mesh.run('throws', jobOf('throw new Error("no good")', { retries: 1 }));
    assert.equal(phase, 'failed');
    assert.equal(problem?.code, 'MESH_TASK_THREW');
    assert.match(problem!.message, /failed 2 times: .*no good/);
  });

  it('log lines of any size and content end neither the node nor the job', async () => {
    const heard: string[] = [];
    mesh.client.listen((topic) => topic.endsWith('/logs') && heard.push(topic));
    await mesh.client.subscribe([`${mesh.topics.prefix}jobs/+/+/logs`], 0);
    const noisy = "for (let i = 0; i < 900; i++) task.log('\\u0001'.repeat(1900)); return 'said'";
    const { outputs, problem } = await mesh.run('noisy', jobOf(noisy));
    assert.equal(problem, undefined);
    assert.equal(shown(outputs?.main), 'said');
    await until('lines arrive', () => heard.length > 0);
  });

  it('progress that makes no sense does no harm', async () => {
    const { outputs } = await mesh.run(
      'senseless',
      jobOf('for (const f of [NaN, -1, 5, "x", undefined]) { try { task.progress(f); } catch {} } return 1'),
    );
    assert.equal(shown(outputs?.main), 1);
  });

  it('parameters as large as they may be arrive', async () => {
    const parameters = 'é'.repeat(limits.parametersBytes / 2 - 8);
    const { outputs } = await mesh.run('parameters', jobOf('return task.parameters.length', { parameters }));
    assert.equal(shown(outputs?.main), parameters.length);
    await mesh.submit('too-many', jobOf('return 1', { parameters: parameters + parameters }));
    const refused = await until('refused', () => mesh.state('too-many'));
    assert.deepEqual([refused.phase, refused.problem?.code], ['refused', 'MESH_SPEC_INVALID']);
  });

  it('a running job is cancelled, and so is one that waits behind it', async () => {
    await mesh.submit('running', jobOf(spins));
    await until('it runs', () => mesh.state('running')?.phase === 'running');
    await mesh.submit('behind', jobOf('return 1'));
    await until('accepted', () => mesh.state('behind'));
    for (const job of ['behind', 'running']) {
      await mesh.cancel(job);
      const { phase, problem } = await mesh.result(job);
      assert.deepEqual([phase, problem?.code, problem?.message], ['cancelled', 'MESH_JOB_CANCELLED', 'no more']);
    }
    assert.equal((await mesh.run('next', jobOf('return 1'))).phase, 'done');
  });

  it('a job cancelled in the same breath as it is submitted is cancelled', async () => {
    await Promise.all([mesh.submit('regretted', jobOf(spins)), mesh.cancel('regretted')]);
    assert.equal((await mesh.result('regretted')).phase, 'cancelled');
  });

  it('the same spec again is the same job, another under its id is refused and changes nothing', async () => {
    const spec = jobOf('return "first"');
    await mesh.run('twice', spec);
    mesh.results.delete('twice');
    await mesh.submit('twice', spec);
    assert.equal(shown((await mesh.result('twice')).outputs?.main), 'first');
    await mesh.submit('twice', jobOf('return "second"'));
    const refused = await until('refused', () => mesh.states.get('twice')?.find(({ phase }) => phase === 'refused'));
    assert.equal(refused.problem?.code, 'MESH_JOB_CONFLICT');
    assert.equal(mesh.results.get('twice')?.phase, 'done');
  });

  it('a job whose code or input no holder has is refused, with what is missing', async () => {
    const blob = { blob: `sha256-${'0'.repeat(64)}`, sizeBytes: 10 };
    await mesh.submit('no-code', { stages: { main: { code: blob } } });
    await mesh.submit('no-input', jobOf('return 1', { input: blob }));
    for (const job of ['no-code', 'no-input']) {
      const { phase, problem } = await until('refused', () => mesh.state(job));
      assert.deepEqual([phase, problem?.code], ['refused', 'MESH_BLOB_MISSING']);
    }
  });

  it('a task bigger than any node waits, says why, and runs when one joins that can take it', async () => {
    await mesh.submit('picky', jobOf('return "ran"', { labels: ['gpu'] }));
    const waiting = await until('it is unplaceable', () => {
      const state = mesh.state('picky');
      return state?.stages[0]?.reason === 'unplaceable' ? state : undefined;
    });
    assert.equal(waiting.problem?.code, 'MESH_NO_ROOM');
    assert.match(waiting.problem!.message, /ada: lacks gpu/);
    await mesh.node('bob', { labels: ['gpu'] });
    const { outputs, tasksByNode } = await mesh.result('picky');
    assert.equal(shown(outputs?.main), 'ran');
    assert.deepEqual(tasksByNode, { bob: 1 });
  });

  it('a task that fails on three machines is poison', async () => {
    await mesh.node('cyd');
    const { problem } = await mesh.run('poison', jobOf('throw new Error("always")', { retries: 10 }));
    assert.equal(problem?.code, 'MESH_TASK_POISON');
    assert.match(problem!.message, /on 3 machines.*always/);
  });

  it('queries are answered: its own jobs and the nodes', async () => {
    const { account } = mesh.connection;
    const answers: Record<string, unknown>[] = [];
    mesh.client.listen((topic, payload) => {
      if (topic.endsWith('/answer')) answers.push(JSON.parse(Buffer.from(payload).toString()));
    });
    await mesh.client.subscribe([mesh.topics.queryAnswer(account, 'me')], 1);
    const ask = (body: object) => mesh.publish(mesh.topics.queryAsk(account, 'me'), encode({ v: 1, ...body }, 'json'));
    await ask({ id: '1', query: 'jobs' });
    await ask({ id: '2', query: 'job', job: 'throws' });
    await ask({ id: '3', query: 'nodes' });
    await ask({ id: '4', query: 'job', job: 'unheard-of' });
    await until('four answers', () => answers.length === 4);
    assert.deepEqual(
      answers.map(({ query }) => query),
      ['jobs', 'job', 'nodes', 'error'],
    );
    assert.deepEqual((answers[2]!.nodes as { status: { node: string } }[]).map(({ status }) => status.node).sort(), [
      'ada',
      'bob',
      'cyd',
    ]);
  });
});
