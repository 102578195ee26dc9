import assert from 'node:assert/strict';
import { paddedBytes, tarFiles, tarHeader } from '@foremesh/partitioner';
import { guest } from './guest.ts';

function archive(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const parts = Object.entries(files).flatMap(([name, text]) => {
    const content = Buffer.from(text as string);
    return [tarHeader(name, content.length), content, Buffer.alloc(paddedBytes(content.length) - content.length)];
  });
  return Buffer.concat(parts);
}

describe('engine js: files and blocks', () => {
  const files = { 'photos/a.txt': 'one\n', 'ü.json': '{"two": 2}', empty: '' };

  it('gives the files of the input, by name', async () => {
    const code = `export default async (task) => {
      const found = [];
      for await (const file of task.input) found.push([file.name, file.sizeBytes, file.text(), [...file.bytes()].length]);
      const [, second] = task.input;
      return { found, two: second.json().two, length: task.input.length };
    }`;
    const { value } = await guest(code, { input: { kind: 'records', by: 'files', bytes: archive(files) } });
    assert.deepEqual(value, {
      found: [
        ['photos/a.txt', 4, 'one\n', 4],
        ['ü.json', 10, '{"two": 2}', 10],
        ['empty', 0, '', 0],
      ],
      two: 2,
      length: 3,
    });
  });

  it('gives a block as bytes, and where it begins', async () => {
    const code = 'export default ({ input }) => [input.start, input.length, [...input].map((block) => [...block])]';
    const input = { kind: 'records', by: 'bytes', bytes: Buffer.from([1, 2, 3]), start: 4096 } as const;
    assert.deepEqual((await guest(code, { input })).value, [4096, 1, [[1, 2, 3]]]);
    const empty = { kind: 'records', by: 'bytes', bytes: Buffer.alloc(0) } as const;
    assert.deepEqual((await guest(code, { input: empty })).value, [0, 0, []]);
  });

  it('makes files of what a task gives', async () => {
    const code = `export default (task) => task.files({
      'out/text.txt': 'grüße \\0', bytes: new Uint8Array([7, 8]), words: new Uint16Array([513]), none: new ArrayBuffer(0),
    })`;
    const { value } = await guest(code);
    const bytes = value as Uint8Array;
    const found = Array.from(tarFiles(bytes), ({ name, start, sizeBytes }) => [
      name,
      Buffer.from(bytes.subarray(start, start + sizeBytes)).toString('latin1'),
    ]);
    assert.deepEqual(found, [
      ['out/text.txt', Buffer.from('grüße \0').toString('latin1')],
      ['bytes', '\u0007\u0008'],
      ['words', '\u0001\u0002'],
      ['none', ''],
    ]);
    assert.equal(bytes.length % 512, 0);
  });

  it('says what cannot be a file, and does not fall over a damaged archive', async () => {
    const failure = async (code: string, bytes?: Uint8Array) => {
      const input = bytes === undefined ? {} : { input: { kind: 'records', by: 'files', bytes } as const };
      const { result } = await guest(code, input);
      assert.equal(result.type, 'failed');
      return result.type === 'failed' ? `${result.code} ${result.message}` : '';
    };
    assert.match(
      await failure('export default (task) => task.files({ a: 5 })'),
      /MESH_TASK_THREW.*"a" must be a string/,
    );
    const long = `export default (task) => task.files({ ['x'.repeat(200)]: '' })`;
    assert.match(await failure(long), /MESH_TASK_THREW TypeError: the name .* too long/);
    assert.match(await failure('export default ({ input }) => [...input].length', Buffer.alloc(700, 1)), /MESH_TASK/);
  });
});
