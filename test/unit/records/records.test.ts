import assert from 'node:assert/strict';
import {
  createRecordScanner,
  cutByWeights,
  itemsSlice,
  type RecordIndex,
  RecordsError,
  recordIndexProblem,
  type SplitBy,
} from '@foremesh/partitioner';

const encoder = new TextEncoder();

function scan(
  by: Exclude<SplitBy, 'bytes'>,
  text: string,
  options: { maxMarks?: number; maxRecordBytes?: number } = {},
): RecordIndex {
  const scanner = createRecordScanner(by, options);
  scanner.push(encoder.encode(text));
  return scanner.finish();
}

function failure(
  text: string,
  options: { maxRecordBytes?: number } = {},
  by: Exclude<SplitBy, 'bytes'> = 'items',
): RecordsError {
  try {
    scan(by, text, options);
  } catch (error) {
    assert.ok(error instanceof RecordsError);
    return error;
  }
  assert.fail(`accepted: ${text}`);
}

describe('records', () => {
  it('knows lines by \\n, \\r\\n and lone \\r', () => {
    const counts: [string, number][] = [
      ['', 0],
      ['\n', 1],
      ['\r', 1],
      ['\r\n', 1],
      ['\n\r', 2],
      ['\r\r\n', 2],
      ['a', 1],
      ['a\nb', 2],
      ['a\nb\n', 2],
      ['\n\n\n', 3],
      ['a\rb\r\nc\nd', 4],
    ];
    for (const [text, expected] of counts) {
      const index = scan('lines', text);
      assert.equal(index.totalRecords, expected, JSON.stringify(text));
      assert.equal(index.endOffset, text.length);
    }
    assert.deepEqual(scan('lines', 'a\r\nbc\n\nd'), {
      by: 'lines',
      totalRecords: 4,
      endOffset: 8,
      records: [0, 1, 2, 3],
      offsets: [0, 3, 6, 7],
    });
  });

  it('joins \\r and \\n of two chunks', () => {
    const scanner = createRecordScanner('lines');
    for (const part of ['a\r', '\nb\r', 'c', '\r']) scanner.push(encoder.encode(part));
    const index = scanner.finish();
    assert.deepEqual(index.offsets, [0, 3, 5]);
    assert.equal(index.totalRecords, 3);
  });

  it('marks items at their first byte, and ends behind the last one', () => {
    assert.deepEqual(scan('items', '\ufeff [ 1 , {"a":[2,"]"]} ,"x,y" ] \n'), {
      by: 'items',
      totalRecords: 3,
      endOffset: 30,
      records: [0, 1, 2],
      offsets: [6, 10, 25],
    });
    assert.deepEqual(scan('items', ' [ ] '), { by: 'items', totalRecords: 0, endOffset: 0, records: [], offsets: [] });
  });

  it('tells where malformed items break and what was expected', () => {
    const messages: [string, string][] = [
      ['', 'byte 0: expected a JSON array: "[", found the end of the input'],
      ['{"a":1}', 'byte 0: expected a JSON array: "[", found "{"'],
      ['[1,]', 'byte 3: expected a value, found "]"'],
      ['[1 2]', 'byte 3: expected "," or "]", found "2"'],
      ['[{"a":1]', 'byte 7: expected "," or "}", found "]" (in item 0)'],
      ['[1,[2', 'byte 5: expected the rest of the array, found the end of the input (in item 1)'],
      ['[{a:1}]', 'byte 2: expected a key in double quotes or "}", found "a" (in item 0)'],
      ['[{"a" 1}]', 'byte 6: expected ":" behind the key, found "1" (in item 0)'],
      ['[01]', 'byte 2: expected "," or "]", found "1"'],
      ['[-]', 'byte 2: expected a digit, found "]" (in item 0)'],
      ['[1.]', 'byte 3: expected a digit behind the point, found "]" (in item 0)'],
      ['["a\nb"]', 'byte 3: expected the end of the string, no control character, found byte 0x0a (in item 0)'],
      ['["\\q"]', 'byte 3: expected one of "\\/bfnrtu behind the backslash, found "q" (in item 0)'],
      ['["\\u12g4"]', 'byte 6: expected four hexadecimal digits, found "g" (in item 0)'],
      ['[tru]', 'byte 4: expected "true", found "]" (in item 0)'],
      ['[] x', 'byte 3: expected nothing but whitespace behind the array, found "x"'],
      ['[1]]', 'byte 3: expected nothing but whitespace behind the array, found "]"'],
      ['[é]', 'byte 1: expected a value or "]", found byte 0xc3'],
    ];
    for (const [text, expected] of messages) {
      assert.equal(failure(text).message, expected, text);
    }
    assert.match(failure(`[${'['.repeat(2_000)}`).message, /nested deeper than 1024 levels/);
  });

  it('refuses a record above the limit before it has read all of it', () => {
    assert.equal(failure('ok\n0123456789x\n', { maxRecordBytes: 10 }, 'lines').offset, 3);
    assert.equal(scan('lines', '0123456789\r\n', { maxRecordBytes: 10 }).totalRecords, 1);
    assert.equal(failure('[1, "0123456789"]', { maxRecordBytes: 11 }).kind, 'too-large');
    assert.equal(scan('items', '[1, "0123456789"]', { maxRecordBytes: 12 }).totalRecords, 2);
    const scanner = createRecordScanner('lines', { maxRecordBytes: 1_000 });
    assert.throws(() => {
      for (let i = 0; i < 3; i++) scanner.push(new Uint8Array(500).fill(0x78));
    }, RecordsError);
  });

  it('cuts by the bytes or by the records', () => {
    const index = scan('lines', `${'x'.repeat(99)}\na\nb\nc\n`);
    assert.deepEqual(
      cutByWeights(index, [1, 1]).map(({ records, weight }) => [weight, records]),
      [
        [0, 2],
        [1, 2],
      ],
    );
    assert.deepEqual(
      cutByWeights(index, [1, 1], 'bytes').map(({ records }) => records),
      [1, 3],
    );
    assert.deepEqual(
      cutByWeights(index, [0, 3, 0, 1, 0]).map(({ records, weight }) => [weight, records]),
      [
        [1, 3],
        [3, 1],
      ],
    );
    for (const wrong of [[], [0, 0], [-1, 2], [Number.NaN], [Number.POSITIVE_INFINITY]]) {
      assert.throws(() => cutByWeights(index, wrong), RangeError);
    }
  });

  it('trims the slice of items', () => {
    const trimmed = (text: string) => Buffer.from(itemsSlice(encoder.encode(text))).toString();
    assert.equal(trimmed('1 , '), '1');
    assert.equal(trimmed(' {"a":","},'), '{"a":","}');
    assert.equal(trimmed(''), '');
  });

  it('recognises an index that cannot be', () => {
    const sound = scan('lines', 'a\nb\nc\n');
    assert.equal(recordIndexProblem(sound), undefined);
    const broken: Partial<RecordIndex>[] = [
      { offsets: [0, 2] },
      { records: [1, 2, 3] },
      { offsets: [0, 4, 2] },
      { totalRecords: 2 },
      { endOffset: 4 },
      { totalRecords: 0 },
      { offsets: [0, 1.5, 4] },
    ];
    for (const each of broken)
      assert.notEqual(recordIndexProblem({ ...sound, ...each }), undefined, JSON.stringify(each));
  });

  it('reads 10 MB in well under 100 ms', () => {
    const bytes = encoder.encode(
      JSON.stringify(
        Array.from({ length: 80_000 }, (_, i) => ({ id: i, name: `device-${i}`, tags: ['a', null], v: i / 7 })),
      ),
    );
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 5; run++) {
      const scanner = createRecordScanner('items');
      const before = process.cpuUsage();
      for (let at = 0; at < bytes.length; at += 131_072) scanner.push(bytes.subarray(at, at + 131_072));
      assert.equal(scanner.finish().totalRecords, 80_000);
      // The processor's time: the tests may share it with others.
      const { user, system } = process.cpuUsage(before);
      best = Math.min(best, ((user + system) / 1_000 / bytes.length) * 10e6);
    }
    assert.ok(best < 100, `${best.toFixed(0)} ms per 10 MB`);
  });
});
