import assert from 'node:assert/strict';
import {
  createRecordScanner,
  cutByWeights,
  cutRecords,
  type RecordIndex,
  recordIndexProblem,
} from '@foremesh/partitioner';
import fc from 'fast-check';
import { chunked, chunking, joined } from './chunking.ts';

/** Lines as a person would write it down, newline included. */
function dumbLines(bytes: Uint8Array): string[] {
  return (
    Buffer.from(bytes)
      .toString('latin1')
      .match(/[^\r\n]*(\r\n|\r|\n)|[^\r\n]+$/g) ?? []
  );
}

function scan(bytes: Uint8Array, sizes: readonly number[], maxMarks: number): RecordIndex {
  const scanner = createRecordScanner('lines', { maxMarks });
  for (const chunk of chunked(bytes, sizes)) scanner.push(chunk);
  return scanner.finish();
}

const text = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('\n', '\r', '\r\n', '\n\r', '\r\r\n', '') },
    { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
    { weight: 1, arbitrary: fc.constantFrom('é', '€', '😀', '\u2028', '\u0085', 'x'.repeat(300)) },
  ),
  { maxLength: 60 },
);
const bytes = fc.oneof(
  text.map((parts) => new TextEncoder().encode(parts.join(''))),
  fc.uint8Array({ maxLength: 200 }),
  fc.array(fc.constantFrom(10, 13, 97), { maxLength: 200 }).map((each) => Uint8Array.from(each)),
);
const weights = fc
  .array(fc.oneof(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.constantFrom(0, 1, 1, 2)), {
    minLength: 1,
    maxLength: 12,
  })
  .filter((all) => all.some((weight) => weight > 0));

describe('records: lines', () => {
  it('counts and marks the lines of a dumb model, however the bytes arrive', () => {
    fc.assert(
      fc.property(bytes, chunking, fc.integer({ min: 1, max: 20 }), (input, sizes, maxMarks) => {
        const index = scan(input, sizes, maxMarks);
        const lines = dumbLines(input);
        assert.equal(index.totalRecords, lines.length);
        assert.equal(index.endOffset, input.length);
        assert.equal(recordIndexProblem(index), undefined);
        assert.ok(index.records.length <= maxMarks);
        if (lines.length > 0) assert.ok(index.records.length >= Math.min(lines.length, Math.ceil(maxMarks / 2)));
        const begins = [0];
        for (const line of lines) begins.push(begins.at(-1)! + line.length);
        index.records.forEach((record, i) => {
          assert.equal(index.offsets[i], begins[record]);
        });
        const strides = new Set(index.records.slice(1).map((record, i) => record - index.records[i]!));
        assert.ok(strides.size <= 1, 'marks are evenly spread');
      }),
      { numRuns: 2_000 },
    );
  });

  it('cuts by any weights and measure so that no line is lost, doubled or cut', () => {
    const measures = fc.constantFrom('records' as const, 'bytes' as const);
    fc.assert(
      fc.property(
        bytes,
        chunking,
        fc.integer({ min: 1, max: 40 }),
        weights,
        measures,
        (input, sizes, marks, shares, by) => {
          const pieces = cutByWeights(scan(input, sizes, marks), shares, by);
          const lines = dumbLines(input);
          let record = 0;
          let offset = 0;
          let weight = -1;
          const found: string[] = [];
          for (const piece of pieces) {
            assert.equal(piece.firstRecord, record);
            assert.equal(piece.start, offset);
            assert.ok(piece.records > 0 && piece.weight > weight && piece.weight < shares.length);
            const own = dumbLines(input.subarray(piece.start, piece.end));
            assert.equal(own.length, piece.records);
            found.push(...own);
            record += piece.records;
            offset = piece.end;
            weight = piece.weight;
          }
          assert.deepEqual(found, lines);
          assert.equal(offset, input.length);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('cuts at any record numbers', () => {
    fc.assert(
      fc.property(bytes, fc.array(fc.integer({ min: -5, max: 100 })), (input, targets) => {
        const pieces = cutRecords(scan(input, [7], 4_096), targets);
        const inside = new Set(targets.filter((target) => target > 0 && target < dumbLines(input).length));
        assert.deepEqual(
          pieces.slice(1).map((piece) => piece.firstRecord),
          [...inside].sort((a, b) => a - b),
        );
        assert.deepEqual(
          Buffer.from(joined(pieces.map(({ start, end }) => input.subarray(start, end)))),
          Buffer.from(input),
        );
      }),
    );
  });

  it('shares within half a stride of what was asked', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5_000 }),
        weights,
        fc.integer({ min: 2, max: 512 }),
        (lines, shares, marks) => {
          const index = scan(new Uint8Array(lines).fill(10), [997], marks);
          const stride = index.records[1] ?? lines;
          const sum = shares.reduce((a, b) => a + b, 0);
          const byWeight = new Map(cutByWeights(index, shares).map((piece) => [piece.weight, piece.records]));
          shares.forEach((share, i) => {
            assert.ok(Math.abs((byWeight.get(i) ?? 0) - (lines * share) / sum) <= stride + 1);
          });
        },
      ),
    );
  });
});
