import assert from 'node:assert/strict';
import { pino } from 'pino';
import { bytesOf, encode, type JobSpecInput, limits, textOf } from '../../../node-runtime/contract/index.ts';
import { parseSpec, planOf } from '../../../node-runtime/shell/voter/job-plans.ts';
import { SpecIntake } from '../../../node-runtime/shell/voter/spec-intake.ts';
import { FakeBlobs } from './fake-blobs.ts';
import { meshError } from './scratch.ts';

const code = { inline: 'export default () => 1' };

describe('intake', () => {
  let blobs: FakeBlobs;
  beforeEach(() => {
    blobs = new FakeBlobs();
  });
  const parse = (spec: object) => parseSpec(encode(spec, 'json'));
  const plan = (spec: JobSpecInput) => planOf(parse(spec).spec, blobs.client);

  it('holds what is malformed while nobody leads, and refuses it once somebody does', async () => {
    const fed: { type: string }[] = [];
    const voter = { planner: { leading: false }, feed: (event: { type: string }) => fed.push(event) };
    const refused: string[] = [];
    const intake = new SpecIntake({
      voter: () => voter as never,
      blobs: blobs.client,
      log: pino({ level: 'silent' }),
      refuse: ({ account, job }, error) => refused.push(`${account}/${job}: ${error.code}`),
    });
    intake.hear('owner', 'odd', bytesOf('{"stages":1}'));
    assert.deepEqual(
      fed.map(({ type }) => type),
      ['spec-heard'],
    );
    voter.planner.leading = true;
    await intake.take({ ...fed[0]!, type: 'take-spec' } as never);
    assert.deepEqual(refused, ['owner/odd: MESH_SPEC_INVALID']);
    assert.equal(fed.at(-1)!.type, 'spec-cleared');
  });

  it('fills in the weights that a job does not say', async () => {
    const { weights } = await plan({ stages: { main: { code } }, weights: { contention: 0 } });
    assert.deepEqual(weights, { makespan: 1, contention: 0, transfer: 1, risk: 1 });
  });

  it('fills in every default', async () => {
    const { stages, ...job } = await plan({ stages: { main: { code } } });
    assert.deepEqual(job, {});
    const { code: put, ...stage } = stages[0]!;
    assert.equal(put.engine, 'js');
    assert.equal(textOf(blobs.held.get(put.blob)!), code.inline);
    assert.deepEqual(stage, {
      stage: 'main',
      needs: [],
      retries: limits.retriesDefault,
      limits: {
        memoryBytes: limits.memoryBytesDefault,
        cpuMs: limits.cpuMsDefault,
        wallMs: limits.wallMsDefault,
        outputBytes: limits.outputBytesDefault,
      },
      labels: [],
      priority: 5,
      sink: true,
    });
  });

  it('keeps everything that is said', async () => {
    const blob = { ...(await blobs.put(bytesOf('a\nb\n'))) };
    const { name, stages } = await plan({
      v: 1,
      name: 'all',
      priority: 2,
      stages: {
        main: {
          code: { ...blob, engine: 'wasm' },
          arguments: ['-v'],
          environment: { A: 'b' },
          files: { 'a/b': blob, c: { inline: 'text' } },
          output: 'bytes',
          input: blob,
          split: { by: 'lines', chunks: 9 },
          merge: 'concat',
          parameters: { deep: [1] },
          profile: 'data-analysis',
          estimate: '1.5min',
          retries: 0,
          limits: { memoryMiB: 4, cpuSeconds: 0.5, wallSeconds: 2, outputMiB: 0.5 },
          labels: ['gpu'],
        },
        after: { code, needs: ['main'], priority: 9 },
      },
    });
    assert.equal(name, 'all');
    const { merge, command, ...main } = stages[0]!;
    assert.ok(blobs.held.has(merge!.blob));
    const { files, ...told } = command!;
    assert.deepEqual(told, { arguments: ['-v'], environment: { A: 'b' }, output: 'bytes' });
    assert.deepEqual([files['a/b'], files.c?.sizeBytes], [blob, 4]);
    assert.ok(blobs.held.has(files.c!.blob));
    assert.deepEqual(main, {
      stage: 'main',
      code: { engine: 'wasm', ...blob },
      needs: [],
      retries: 0,
      limits: { memoryBytes: 4 * 1024 ** 2, cpuMs: 500, wallMs: 2_000, outputBytes: 512 * 1024 },
      labels: ['gpu'],
      priority: 2,
      sink: false,
      input: blob,
      split: { by: 'lines', chunks: 9 },
      parameters: { deep: [1] },
      profile: 'data-analysis',
      estimateSeconds: 90,
    });
    assert.deepEqual([stages[1]!.priority, stages[1]!.sink], [9, true]);
  });

  it('merges a split stage into an array only where nobody needs its parts', async () => {
    const input = { inline: 'a\n' };
    const { stages } = await plan({
      stages: {
        inner: { code, input, split: 'lines' },
        outer: { code, needs: ['inner'] },
        alone: { code, input, split: 'lines' },
        own: { code, input, split: 'lines', merge: { inline: 'export default 2' } },
      },
    });
    const merges = Object.fromEntries(
      stages.map(({ stage, merge }) => [stage, merge && textOf(blobs.held.get(merge.blob)!)]),
    );
    assert.deepEqual([merges.inner, merges.outer, merges.own], [undefined, undefined, 'export default 2']);
    assert.match(merges.alone!, /export default/);
  });

  it('never lets a limit round down to none', async () => {
    const { stages } = await plan({
      stages: { main: { code, limits: { cpuSeconds: 1e-9, wallSeconds: 1e-9, outputMiB: 1e-9 } } },
    });
    const { cpuMs, wallMs, outputBytes } = stages[0]!.limits;
    assert.deepEqual([cpuMs, wallMs, outputBytes], [1, 1, 1]);
  });

  it('puts every stage behind what it needs', async () => {
    const needs: Record<string, string[]> = { e: ['d', 'c'], d: ['b'], c: ['a', 'b'], b: ['a'], a: [], z: [] };
    const stages = Object.fromEntries(
      Object.entries(needs).map(([name, each]) => [name, { code, ...(each.length === 0 ? {} : { needs: each }) }]),
    );
    const order = (await plan({ stages })).stages.map(({ stage }) => stage);
    assert.deepEqual([...order].sort(), Object.keys(needs).sort());
    for (const [name, each] of Object.entries(needs))
      for (const need of each) assert.ok(order.indexOf(need) < order.indexOf(name));
  });

  it('takes only code and input that are there, and code that fits', async () => {
    const missing = { blob: `sha256-${'0'.repeat(64)}`, sizeBytes: 3 };
    await assert.rejects(plan({ stages: { main: { code: missing } } }), meshError('MESH_BLOB_MISSING', missing.blob));
    await assert.rejects(
      plan({ stages: { main: { code, input: missing } } }),
      meshError('MESH_BLOB_MISSING', missing.blob),
    );
    const huge = { ...missing, sizeBytes: limits.codeBytes + 1 };
    await assert.rejects(plan({ stages: { main: { code: huge } } }), meshError('MESH_LIMIT_EXCEEDED', 'codeBytes'));
  });

  it('names a spec by what it means, however it is written', () => {
    const { specHash } = parse({
      stages: { a: { code: { inline: '1', engine: 'js' }, estimate: '20s', split: 'lines', input: { inline: '' } } },
    });
    const other = {
      stages: { a: { input: { inline: '' }, split: { by: 'lines' }, estimate: 20, code: { inline: '1' } } },
    };
    assert.equal(parse(other).specHash, specHash);
    assert.equal(parseSpec(encode(other, 'cbor')).specHash, specHash);
    assert.notEqual(parse({ stages: { ...other.stages, b: { code } } }).specHash, specHash);
  });

  const refused: [string, object | string, string, string][] = [
    ['a key that is not known', { stages: { a: { code, colour: 1 } } }, 'MESH_SPEC_INVALID', 'stages.a'],
    [
      'a stage called __proto__',
      '{"stages":{"a":{"code":{"inline":"1"}},"__proto__":{"code":{"inline":"1"}}}}',
      'MESH_SPEC_INVALID',
      '__proto__',
    ],
    [
      'a need that every object has',
      { stages: { a: { code, needs: ['hasOwnProperty'] } } },
      'MESH_SPEC_INVALID',
      'hasOwnProperty',
    ],
    ['a list', '[]', 'MESH_', ''],
    ['no stages', {}, 'MESH_SPEC_INVALID', 'stages'],
    ['ten megabytes', `{"name":"${'x'.repeat(10 * 1024 ** 2)}"}`, 'MESH_LIMIT_EXCEEDED', 'payloadBytes'],
    [
      'deep parameters',
      `{"stages":{"a":{"code":{"inline":"1"},"parameters":${'['.repeat(9_999)}${']'.repeat(9_999)}}}}`,
      'MESH_LIMIT_EXCEEDED',
      '',
    ],
    [
      'more stages than may be',
      { stages: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`s${n}`, { code }])) },
      'MESH_SPEC_INVALID',
      'stagesPerJob',
    ],
  ];
  for (const [what, spec, errorCode, text] of refused) {
    it(`refuses ${what}`, () => {
      const payload = typeof spec === 'string' ? bytesOf(spec) : encode(spec, 'json');
      assert.throws(
        () => parseSpec(payload),
        (error: { code: string; toLine: () => string }) => {
          assert.ok(error.code.startsWith(errorCode), `${error.code}: ${error.toLine()}`);
          assert.ok(error.toLine().includes(text) && error.toLine().length < 2_000, error.toLine());
          return true;
        },
      );
    });
  }
});
