import { deepEqual, equal, match, ok } from 'node:assert/strict';
import fc from 'fast-check';
import type { EngineInput } from '../../../node-runtime/engines/engine.ts';
import { builtinMergeCode } from '../../../node-runtime/engines/merges.ts';
import { evaluate, guest } from './guest.ts';
import { linesModel } from './lines-model.ts';

const json = (value: unknown) => ({ encoding: 'json' as const, bytes: Buffer.from(JSON.stringify(value)) });
const text = (value: string) => ({ encoding: 'text' as const, bytes: Buffer.from(value) });
const bytes = (...values: number[]) => ({ encoding: 'bytes' as const, bytes: Uint8Array.from(values) });
const lines = (value: string | Uint8Array): EngineInput => ({
  kind: 'records',
  by: 'lines',
  bytes: Buffer.from(value),
});
const items = (value: string): EngineInput => ({ kind: 'records', by: 'items', bytes: Buffer.from(value) });
const collect = `export default async (task) => {
  const asynchronous = [];
  for await (const record of task.input) asynchronous.push(record);
  return [asynchronous, [...task.input], task.input.length];
}`;

describe('what a task of engine js is given', () => {
  it('reads lines as the rule says, for any bytes', async () => {
    const some = fc
      .array(fc.constantFrom(10, 13, 97, 0xff, 0xc3, 0xa9, 0, 0xef, 0xbb, 0xbf, 0xed, 0xa0, 0x80), { maxLength: 40 })
      .map((list) => Uint8Array.from(list));
    await fc.assert(
      fc.asyncProperty(some, async (input) => {
        const { value } = await guest(collect, { input: lines(input), key: 'collect' });
        const expected = linesModel(input);
        deepEqual(value, [expected, expected, expected.length]);
      }),
      { numRuns: 300 },
    );
  });

  it('reads lines over many blocks', async () => {
    const parts = Array.from({ length: 30_000 }, (_, i) => `line ${i} é${['\n', '\r\n', '\r'][(i * 7) % 3]}`);
    const input = Buffer.from(parts.join(''));
    const { value } = await guest(collect, { input: lines(input), limits: { outputBytes: 16 * 1024 ** 2 } });
    const expected = linesModel(input);
    deepEqual(value, [expected, expected, 30_000]);
  });

  it('reads items, over many blocks', async () => {
    const list = Array.from({ length: 9_000 }, (_, i) => ({
      id: i,
      text: `a "quoted", [text] {${i}}`,
      deep: [[i], null],
    }));
    const input = items(list.map((item) => JSON.stringify(item)).join(' ,\n'));
    const { value } = await guest(collect, { input, limits: { outputBytes: 16 * 1024 ** 2 } });
    deepEqual(value, [list, list, 9_000]);
    deepEqual(await evaluate('task.input.json().length', { input }), 9_000);
  });

  it('knows the borders of nothing', async () => {
    deepEqual((await guest(collect, { input: lines('') })).value, [[], [], 0]);
    deepEqual((await guest(collect, { input: lines('\n') })).value, [[''], [''], 1]);
    deepEqual((await guest(collect, { input: items('') })).value, [[], [], 0]);
    deepEqual((await guest(collect, { input: items('  ') })).value, [[], [], 0]);
    deepEqual((await guest(collect)).value, [[], [], 0]);
    equal(await evaluate('task.input.text() + task.input.bytes().length'), '0');
  });

  it('can read all at once', async () => {
    const whole: EngineInput = { kind: 'whole', bytes: Buffer.from('{"a": "é\u0000"}\n'.replace('\u0000', '\\u0000')) };
    deepEqual(await evaluate('task.input.json()', { input: whole }), { a: 'é\u0000' });
    equal(await evaluate('task.text(task.input.text())', { input: whole }), '{"a": "é\\u0000"}\n');
    deepEqual(
      await evaluate('task.input.bytes()', { input: lines(Uint8Array.of(0, 255, 10)) }),
      Uint8Array.of(0, 255, 10),
    );
    equal(await evaluate('task.input.text()', { input: lines(Uint8Array.of(0, 255, 65)) }), '\u0000\ufffdA');
    equal(await evaluate('task.input.sizeBytes', { input: whole }), whole.bytes.length);
    deepEqual(await evaluate('task.input.json()', { input: items('1,"a"') }), [1, 'a']);
  });

  it('takes text that is no C string and no UTF-8 in any size', async () => {
    const odd = Buffer.from('\0\u{1f600}é"\\\n'.repeat(40_000));
    const limits = { outputBytes: 4 * 1024 ** 2 };
    const { result } = await guest('export default (task) => task.text(task.input.text())', {
      input: lines(odd),
      limits,
    });
    ok(result.type === 'done' && Buffer.compare(result.bytes, odd) === 0);
    const encoded = await evaluate('new TextEncoder().encode(task.input.text())', { input: lines(odd), limits });
    ok(encoded instanceof Uint8Array && Buffer.compare(encoded, odd) === 0);
    const invalid = Buffer.concat([
      Buffer.from('é'.repeat(50_000)),
      Uint8Array.of(0xff),
      Buffer.from('\u{1f600}'.repeat(50_000)),
    ]);
    const text = await evaluate('task.text(task.input.text())', { input: lines(invalid), limits });
    equal(text, invalid.toString());
  });

  it('can leave a loop and begin again', async () => {
    const code = `export default async (task) => {
      for await (const line of task.input) { if (line === 'b') break; }
      for (const line of task.input) return line;
    }`;
    equal((await guest(code, { input: lines('a\nb\nc') })).value, 'a');
  });

  it('reads outputs of stages and parts', async () => {
    const input: EngineInput = {
      kind: 'outputs',
      needs: { one: json({ a: 1 }), many: [text('x'), bytes(1, 2)], none: [] },
    };
    deepEqual(
      await evaluate('[task.needs.one, task.needs.many[0], [...task.needs.many[1]], task.needs.none]', { input }),
      [{ a: 1 }, 'x', [1, 2], []],
    );
    const parts: EngineInput = { kind: 'parts', parts: [json([1]), text('y')] };
    deepEqual(await evaluate('task.parts', { input: parts }), [[1], 'y']);
    deepEqual(await evaluate('task.parts'), []);
  });

  it('gets its parameters as they are', async () => {
    const parameters = { a: [1, null, 'é\u0000\ud800'], __proto__: { b: 1 } };
    deepEqual(await evaluate('task.parameters', { parameters }), JSON.parse(JSON.stringify(parameters)));
    equal(await evaluate('typeof task.parameters'), 'undefined');
  });

  it('gives JSON, text or bytes', async () => {
    equal(await evaluate('undefined'), null);
    equal(await evaluate('"a\\0b"'), 'a\u0000b');
    equal(await evaluate('"\\ud800"'), '\ud800');
    const { result } = await guest('export default (task) => task.text("a\\0é\\ud800")');
    ok(result.type === 'done' && result.encoding === 'text');
    deepEqual([...result.bytes], [...Buffer.from('a\u0000é\ufffd')]);
    deepEqual(await evaluate('new Uint8Array([1, 2, 3]).subarray(1)'), Uint8Array.of(2, 3));
    deepEqual(await evaluate('new Uint16Array([258]).buffer'), Uint8Array.of(2, 1));
    deepEqual(await evaluate('new Uint8Array(0)'), new Uint8Array(0));
  });

  it('has a console, encoders, microtasks, a clock and chance', async () => {
    const { logs, progress } = await guest(`export default (task) => {
      task.log('a', 1, { b: 2 }, null, undefined);
      console.error('two\\nlines');
      task.progress(0.25); task.progress(NaN); task.progress(7); task.progress('0.5');
    }`);
    deepEqual(logs, ['a 1 {"b":2} null undefined', 'two', 'lines']);
    deepEqual(progress, [0.25, 0.5]);
    deepEqual(
      await evaluate('new TextEncoder().encode("é\\0\\ud800")'),
      Uint8Array.of(0xc3, 0xa9, 0, 0xef, 0xbf, 0xbd),
    );
    equal(await evaluate('new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 65, 255]))'), 'A\ufffd');
    match(
      String(await evaluate('new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([255]))')),
      /invalid UTF-8/,
    );
    equal(await evaluate('new Promise((resolve) => queueMicrotask(() => resolve(3)))'), 3);
    const now = Number(await evaluate('Date.now()'));
    ok(Math.abs(now - Date.now()) < 60_000);
  });

  it('merges', async () => {
    const merge = async (
      name: 'array' | 'concat',
      ...parts: (ReturnType<typeof json> | ReturnType<typeof text> | ReturnType<typeof bytes>)[]
    ) => (await guest(builtinMergeCode[name], { input: { kind: 'parts', parts } })).value;
    deepEqual(await merge('array', json(1), text('a')), [1, 'a']);
    deepEqual(await merge('concat', text('a'), json('b')), 'ab');
    deepEqual(await merge('concat', bytes(1), bytes(), bytes(2, 3)), Uint8Array.of(1, 2, 3));
    deepEqual(await merge('concat', json([1, [2]]), json([])), [1, [2]]);
    deepEqual(await merge('concat'), '');
    match(String(await merge('concat', json(1), text('a'))), /^MESH_TASK_THREW: TypeError: merge "concat"/);
  });
});
