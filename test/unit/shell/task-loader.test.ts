import assert from 'node:assert/strict';
import {
  type Assign,
  bytesOf,
  encodeCbor,
  limits,
  type Output,
  type TaskInput,
  textOf,
} from '../../../node-runtime/contract/index.ts';
import type { EngineInput } from '../../../node-runtime/engines/index.ts';
import { TaskLoader } from '../../../node-runtime/shell/task-loader.ts';
import { FakeBlobs } from './fake-blobs.ts';
import { meshError } from './scratch.ts';

const never = new AbortController().signal;

describe('TaskLoader', () => {
  let blobs: FakeBlobs;
  let loader: TaskLoader;
  let code: Assign['code'];
  beforeEach(async () => {
    blobs = new FakeBlobs();
    loader = new TaskLoader(blobs.client);
    code = { engine: 'js', ...(await blobs.put(bytesOf('export default 1'))) };
  });

  function assign(input: TaskInput, more: Partial<Assign> = {}): Assign {
    const taskLimits = { memoryBytes: 1, cpuMs: 1, wallMs: 1, outputBytes: 1 };
    return {
      type: 'assign',
      attempt: 'owner/job/main-0#1.1',
      account: 'owner',
      job: 'job',
      stage: 'main',
      task: 'main-0',
      code,
      input,
      limits: taskLimits,
      inlineOutputBytes: 0,
      priority: 5,
      ...more,
    };
  }
  const put = async (text: string): Promise<Output & { blob: string }> => ({
    encoding: 'text',
    ...(await blobs.put(bytesOf(text))),
  });
  const inline = (text: string): Output => ({ encoding: 'text', inline: bytesOf(text) });
  const load = async (input: TaskInput): Promise<EngineInput> => (await loader.load(assign(input), never)).input;

  it('brings everything that an assignment says', async () => {
    const request = await loader.load(assign({ kind: 'none' }, { parameters: { a: 1 } }), never);
    assert.equal(textOf(request.code), 'export default 1');
    const { code: _, ...rest } = request;
    assert.deepEqual(rest, {
      attempt: 'owner/job/main-0#1.1',
      job: 'owner/job',
      engine: 'js',
      codeHash: code.blob,
      input: { kind: 'none' },
      limits: { memoryBytes: 1, cpuMs: 1, wallMs: 1, outputBytes: 1 },
      parameters: { a: 1 },
    });
  });

  it('brings whole blobs, record ranges, outputs and parts, inline or not', async () => {
    const source = await blobs.put(bytesOf('one\ntwo\nthree\n'));
    const range = { source, firstRecord: 1, records: 1 };
    assert.deepEqual(await load({ kind: 'whole', source }), { kind: 'whole', bytes: bytesOf('one\ntwo\nthree\n') });
    const lines = await load({ kind: 'records', by: 'lines', ...range, start: 4, end: 8 });
    assert.equal(textOf((lines as { bytes: Uint8Array }).bytes), 'two\n');
    const parts = await load({ kind: 'parts', parts: [inline('a'), await put('b'), inline('')] });
    assert.deepEqual(
      (parts as EngineInput & { kind: 'parts' }).parts.map(({ bytes }) => textOf(bytes)),
      ['a', 'b', ''],
    );
    const { needs } = (await load({
      kind: 'outputs',
      needs: { one: inline('x'), many: [await put('y'), inline('z')] },
    })) as EngineInput & { kind: 'outputs' };
    const shown = Object.entries(needs).map(([stage, each]) => [
      stage,
      [each].flat().map(({ bytes }) => textOf(bytes)),
      Array.isArray(each),
    ]);
    assert.deepEqual(shown, [
      ['one', ['x'], false],
      ['many', ['y', 'z'], true],
    ]);
  });

  it('refuses a record range that is none of its blob', async () => {
    const source = await blobs.put(bytesOf('one\n'));
    for (const [start, end] of [
      [0, 5],
      [3, 2],
      [9, 9],
    ] as const) {
      const input = { kind: 'records', by: 'lines', source, start, end, firstRecord: 0, records: 1 } as const;
      await assert.rejects(loader.load(assign(input), never), meshError('MESH_INPUT_INVALID'));
    }
  });

  describe('an input that was spilled', () => {
    const spill = async (value: unknown) =>
      ({ kind: 'spilled', description: await blobs.put(encodeCbor(value)) }) as const;

    it('is what its description says', async () => {
      assert.deepEqual(await load(await spill({ kind: 'parts', parts: [inline('a')] })), {
        kind: 'parts',
        parts: [{ encoding: 'text', bytes: Buffer.from('a') }],
      });
    });

    it('twice, or to nonsense, is refused', async () => {
      const nonsense = { kind: 'spilled', description: await blobs.put(new Uint8Array([0x9a, 0xff])) } as const;
      for (const input of [
        await spill(await spill({ kind: 'none' })),
        await spill({ kind: 'what' }),
        await spill(7),
        nonsense,
      ]) {
        await assert.rejects(loader.load(assign(input), never), meshError('MESH_MESSAGE_MALFORMED'));
      }
    });
  });

  it('fetches thousands of outputs a few at a time, in order', async () => {
    const parts = await Promise.all(Array.from({ length: 1_000 }, (_, n) => put(`${n}`)));
    blobs.gate = () => new Promise((resolve) => setImmediate(resolve));
    const loaded = (await load({ kind: 'parts', parts })) as EngineInput & { kind: 'parts' };
    assert.deepEqual(
      loaded.parts.map(({ bytes }) => Number(textOf(bytes))),
      parts.map((_, n) => n),
    );
    assert.ok(blobs.widest <= 16, `${blobs.widest} at once`);
  });

  it('fetches code once for many tasks, and again after so many others', async () => {
    for (let n = 0; n < 5; n += 1) await load({ kind: 'none' });
    assert.deepEqual(blobs.asked, [code.blob]);
    for (let n = 0; n < 16; n += 1) {
      const other = { engine: 'js', ...(await blobs.put(bytesOf(`${n}`))) } as const;
      await loader.load(assign({ kind: 'none' }, { code: other }), never);
    }
    await load({ kind: 'none' });
    assert.equal(blobs.asked.filter((blob) => blob === code.blob).length, 2);
  });

  it('does not keep a failure: once the code is there, it is found', async () => {
    const later = bytesOf('later');
    const { blob } = await new FakeBlobs().put(later);
    const task = assign({ kind: 'none' }, { code: { engine: 'js', blob, sizeBytes: later.length } });
    await assert.rejects(loader.load(task, never), meshError('MESH_BLOB_MISSING'));
    await blobs.put(later);
    assert.equal(textOf((await loader.load(task, never)).code), 'later');
  });

  it('lets one task go while others wait for the same code', async () => {
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    blobs.gate = () => opened;
    const abort = new AbortController();
    const [gone, stays] = [
      loader.load(assign({ kind: 'none' }), abort.signal),
      loader.load(assign({ kind: 'none' }), never),
    ];
    abort.abort(new Error('cancelled'));
    await assert.rejects(gone, /cancelled/);
    open();
    assert.equal(textOf((await stays).code), 'export default 1');
    await assert.rejects(loader.load(assign({ kind: 'none' }), abort.signal), /cancelled/);
    assert.equal(blobs.asked.length, 1);
  });

  it('keeps small inputs of records between the tasks that share them, large ones never', async () => {
    const small = await blobs.put(bytesOf('a\nb\n'));
    const large = await blobs.put(new Uint8Array(limits.wholeBlobBytes + 1));
    for (const source of [small, large]) {
      for (const start of [0, 2])
        await load({ kind: 'records', by: 'lines', source, start, end: start + 2, firstRecord: 0, records: 1 });
    }
    assert.deepEqual(
      [small, large].map(({ blob }) => blobs.asked.filter((each) => each === blob).length),
      [1, 2],
    );
  });
});
