import assert from 'node:assert/strict';
import {
  createRecordScanner,
  cutByWeights,
  itemsSlice,
  type RecordIndex,
  RecordsError,
  recordIndexProblem,
} from '@foremesh/partitioner';
import fc from 'fast-check';
import { chunked, chunking } from './chunking.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const space = fc.array(fc.constantFrom(' ', '\t', '\n', '\r'), { maxLength: 3 }).map((each) => each.join(''));
const spaces = fc.infiniteStream(space);

/** JSON with any whitespace between its tokens. */
function write(value: unknown, next: () => string): string {
  if (Array.isArray(value)) {
    return `[${next()}${value.map((each) => write(each, next)).join(`${next()},${next()}`)}${next()}]`;
  }
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).map(
      ([key, each]) => `${write(key, next)}${next()}:${next()}${write(each, next)}`,
    );
    return `{${next()}${members.join(`${next()},${next()}`)}${next()}}`;
  }
  return JSON.stringify(value);
}

const array = fc.array(fc.jsonValue({ stringUnit: 'grapheme', maxDepth: 3 }), { maxLength: 30 });
const document = fc.tuple(array, spaces, fc.boolean()).map(([value, stream, bom]) => {
  const next = () => stream.next().value;
  return { value, text: `${bom ? '\ufeff' : ''}${next()}${write(value, next)}${next()}` };
});

function scan(bytes: Uint8Array, sizes: readonly number[], maxMarks = 4_096): RecordIndex {
  const scanner = createRecordScanner('items', { maxMarks });
  for (const chunk of chunked(bytes, sizes)) scanner.push(chunk);
  return scanner.finish();
}

function parses(text: string): boolean {
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}

describe('records: items', () => {
  it('finds the elements of any JSON array, and every piece of any cut parses to its elements', () => {
    const weights = fc
      .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 9 })
      .filter((all) => all.some(Boolean));
    fc.assert(
      fc.property(
        document,
        chunking,
        fc.integer({ min: 1, max: 40 }),
        weights,
        ({ value, text }, sizes, marks, shares) => {
          const bytes = encoder.encode(text);
          const index = scan(bytes, sizes, marks);
          assert.equal(index.totalRecords, value.length);
          assert.equal(recordIndexProblem(index), undefined);
          const found: unknown[] = [];
          for (const piece of cutByWeights(index, shares)) {
            assert.equal(piece.firstRecord, found.length);
            const own = JSON.parse(
              `[${decoder.decode(itemsSlice(bytes.subarray(piece.start, piece.end)))}]`,
            ) as unknown[];
            assert.equal(own.length, piece.records);
            found.push(...own);
          }
          assert.deepEqual(found, JSON.parse(JSON.stringify(value)));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('accepts exactly what JSON.parse accepts as an array: near misses', () => {
    const piece = fc.constantFrom(
      ...'[ ] { } , : " \\ 0 1 9 - + . e E t true false null nul "a" "\\n" "\\u00e9" "\\x" -0 01 1.5 1. .5 1e5 1e 1e+3 \n \t \u0001'.split(
        ' ',
      ),
      ' ',
    );
    const near = fc.oneof(
      fc.array(piece, { maxLength: 10 }).map((parts) => `[${parts.join('')}]`),
      fc.array(piece, { maxLength: 10 }).map((parts) => parts.join('')),
      fc
        .tuple(
          document,
          fc.nat(),
          fc.nat({ max: 2 }),
          fc.oneof(piece, fc.string({ unit: 'grapheme-ascii', maxLength: 2 })),
        )
        .map(([{ text }, at, gone, put]) => {
          const clean = text.replace('\ufeff', '');
          const place = at % (clean.length + 1);
          return clean.slice(0, place) + put + clean.slice(place + gone);
        })
        // What a mutation leaves of a character is not UTF-8 and not what is compared here.
        .filter((text) => !/\p{Surrogate}/u.test(text)),
    );
    fc.assert(
      fc.property(near, chunking, (text, sizes) => {
        const bytes = encoder.encode(text);
        let accepted = true;
        try {
          scan(bytes, sizes);
        } catch (error) {
          assert.ok(error instanceof RecordsError);
          assert.equal(error.kind, 'malformed');
          assert.ok(error.offset >= 0 && error.offset <= bytes.length);
          accepted = false;
        }
        assert.equal(accepted, parses(text), JSON.stringify(text));
      }),
      { numRuns: 5_000 },
    );
  });

  it('reports the same error wherever the bytes are cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), chunking, (noise, sizes) => {
        const bytes = Uint8Array.from([0x5b, ...noise]);
        const outcome = (cut: readonly number[]) => {
          try {
            return scan(bytes, cut);
          } catch (error) {
            return (error as Error).message;
          }
        };
        assert.deepEqual(outcome(sizes), outcome([1_000]));
      }),
      { numRuns: 2_000 },
    );
  });
});
